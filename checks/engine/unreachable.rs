use super::exit_cause::exit_cause;
use super::exit_reason::{ExitReason, exit_reason};
use super::lifecycle::{Phase, phase};
use super::panic::package;
use super::regressions::fixed_panic;
use crate::model::engine_version::EngineVersion;
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::engine::{EngineProcess, EngineService, Process};
use facts::log::{Level, Line, Log, Program};
use facts::{Gap, Host, Seen, Why};

check! {
    /// The engine of this node does not answer its API.
    ///
    /// ## Why it matters
    /// Without its engine a node starts no task, and the managers mark it as down. Several causes look the same from
    /// another node: dockerd is not running, it hangs, this user may not access its socket, or this host has no engine.
    ///
    /// ## How to fix it
    /// Not running: remove the cause that the last log lines name, then start it. Hung: find out what it waits for before
    /// you restart it. Permission denied: run the doctor as root or as a member of the socket's group. No engine: run the
    /// doctor on the node, or name the engine with `-H` or `--context`.
    ///
    /// ## When it is wrong
    /// An engine that starts or stops at this moment is reported as unknown. Where its log cannot be read and dockerd has
    /// run for more than a minute, a slow start or stop looks like a hang.
    ///
    /// Source: moby `cmd/dockerd/daemon.go`; the rows of `checks/engine/exit_cause.rs`.
    "engine/unreachable": Error, "the engine does not answer";
    healthy "the engine answers its API";
    needs Ping, EngineProcess, EngineLog;
    caused_by "host/netfilter-modules-missing", "host/disk-full", "engine/file-limit-reached", "swarm/state-damaged", "engine/daemon-json-malformed", "engine/daemon-json-refused", "engine/live-restore", "engine/nftables-backend", "swarm/stale-advertise-addr";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let Err(gap) = host.ping.get() else { return Ok(()) };
    let engine = host.engine.get();
    let process = engine.as_ref().ok().and_then(|engine| engine.running());
    if let Some(process) = process
        && matches!(gap.why, Why::TimedOut { .. } | Why::Unreachable { .. })
    {
        let what = match phase(process, host.log.get().ok(), view.snapshot.taken) {
            Phase::Starting(age, _) => Some(format!(
                "dockerd (pid {}) started {} s ago and is still starting",
                process.pid,
                age.as_secs()
            )),
            Phase::Stopping(age, _) => Some(format!(
                "dockerd (pid {}) received a stop signal {} s ago and is stopping",
                process.pid,
                age.as_secs()
            )),
            Phase::Running => None,
        };
        if let Some(what) = what {
            return Err(Gap { source: gap.source, why: Why::Undecidable { what } });
        }
    }
    match &gap.why {
        Why::NotAsked { .. } | Why::NotApplicable { .. } => return Err(gap),
        Why::Denied { .. } => denied(host, &gap, engine.as_ref().ok().copied(), out),
        Why::TimedOut { after_ms } => hung(host, &gap, *after_ms, engine.as_ref().ok().copied(), out),
        Why::Unreachable { .. } => match &engine {
            Ok(engine) if process.is_some() => no_endpoint(host, &gap, engine, out),
            Ok(engine) if engine.program.is_none() && engine.socket.is_none() => {
                not_installed(host, &gap, engine, out)
            }
            Ok(engine) => not_running(host, &gap, Some(*engine), out),
            Err(_) => not_running(host, &gap, None, out),
        },
        Why::Refused { .. } | Why::Undecidable { .. } | Why::Malformed { .. } => {
            let summary = format!("the endpoint of the engine returns an invalid answer: {}", gap.why);
            out.report(Subject::Node(host.name.clone()), summary, Evidence::gap(&gap));
        }
    }
    Ok(())
}

fn denied(host: &Host, gap: &Gap, engine: Option<&Seen<EngineProcess>>, out: &mut Findings<'_>) {
    let summary = "this user may not access the engine, so most checks of the swarm are incomplete";
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::gap(gap));
    finding.severity(Severity::Warning);
    if let Some(engine) = engine
        && let Some(socket) = &engine.socket
    {
        let mode = socket.mode & 0o7777;
        let shown = format!("{}: mode {mode:o}, uid {}, gid {}", socket.path, socket.uid, socket.gid);
        finding.with(Evidence::value(engine, shown));
    }
    let text = "run it as root, or as a member of the socket's group";
    let commands = ["sudo swarm-doctor run".to_owned()];
    finding.remedy(manual(host, "Run the doctor as root", "Nothing is changed.", text, &commands));
}

fn hung(host: &Host, gap: &Gap, after_ms: u64, engine: Option<&Seen<EngineProcess>>, out: &mut Findings<'_>) {
    let process = engine.and_then(|engine| engine.running());
    let pid = process.map(|process| process.pid.to_string()).unwrap_or_else(|| "$(pidof dockerd)".into());
    let name = process.map(|process| format!("dockerd (pid {})", process.pid));
    let name = name.unwrap_or_else(|| "the engine".into());
    let state = process.map(|process| process.state);
    let summary = match state {
        Some('T' | 't') => format!("{name} is stopped (SIGSTOP)"),
        Some('D') => {
            format!("{name} hangs in uninterruptible sleep: it waits for a disk or a network file system")
        }
        _ => format!("{name} hangs: it accepts connections and sends no answer within {after_ms} ms"),
    };
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::gap(gap));
    if let (Some(engine), Some(process)) = (engine, process) {
        finding
            .with(Evidence::value(engine, format!("dockerd pid {}, state {}", process.pid, process.state)));
    }
    let remedy = match state {
        Some('T' | 't') => {
            let commands = [format!("kill -CONT {pid}")];
            manual(
                host,
                "Resume dockerd",
                "Running tasks are not affected.",
                "continue the process",
                &commands,
            )
        }
        _ => {
            let commands = [
                format!("cat /proc/{pid}/stack"),
                format!("kill -USR1 {pid}"),
                service(host).command("restart"),
            ];
            let text =
                "find out what it waits for (USR1 writes its goroutine stacks to the log), then restart it";
            manual(
                host,
                "Find out what dockerd waits for",
                "A restart stops the tasks of this node.",
                text,
                &commands,
            )
        }
    };
    finding.remedy(remedy);
}

/// dockerd runs, and its endpoint refuses connections or does not exist.
fn no_endpoint(host: &Host, gap: &Gap, engine: &Seen<EngineProcess>, out: &mut Findings<'_>) {
    let process = engine.running();
    let pid = process.map_or(0, |process| process.pid);
    let args = process.map(|process| process.args.join(" ")).unwrap_or_default();
    let configured = process.map(Process::endpoints).unwrap_or_default();
    let elsewhere = configured.iter().find(|addr| addr.contains("://") && !addr.starts_with("fd:"));
    let state = format!("dockerd (pid {pid}) is running and does not answer at {}", engine.endpoint);
    let (summary, remedy) = match elsewhere {
        Some(elsewhere) if *elsewhere != engine.endpoint => (
            format!("{state}: it is configured to listen at {}", configured.join(" and ")),
            manual(
                host,
                "Use the address at which dockerd listens",
                "Nothing is changed.",
                "pass that address to the doctor and to docker",
                &[
                    format!("swarm-doctor run -H {}", shell_quote(elsewhere)),
                    format!("export DOCKER_HOST={}", shell_quote(elsewhere)),
                ],
            ),
        ),
        // Its socket, or the one that systemd holds for it, was removed while it runs.
        _ if engine.socket.is_none() && gap.why.to_string().contains("No such file") => {
            let how = service(host);
            let restart = how.command("restart");
            let restart = match how.manager {
                facts::engine::ServiceManager::Systemd => {
                    restart.replace("restart ", "restart docker.socket ")
                }
                _ => restart,
            };
            (
                format!("{state}: its socket file was removed"),
                manual(
                    host,
                    "Restart the engine to re-create its socket",
                    "All tasks on this node restart.",
                    "restart it, together with the socket unit where systemd holds the socket",
                    &[restart],
                ),
            )
        }
        _ => (
            state,
            manual(
                host,
                "Find out at which address dockerd listens",
                "Nothing is changed.",
                "read its -H flags and \"hosts\" in daemon.json, and pass that address to the doctor",
                &["swarm-doctor run -H unix:///PATH".to_owned()],
            ),
        ),
    };
    out.report(Subject::Node(host.name.clone()), summary, Evidence::gap(gap))
        .with(Evidence::value(engine, format!("dockerd pid {pid}: {args}")))
        .remedy(remedy);
}

fn not_installed(host: &Host, gap: &Gap, engine: &Seen<EngineProcess>, out: &mut Findings<'_>) {
    let text = "run the doctor on a node of the swarm, or name the engine of one";
    let commands = ["swarm-doctor run --context NAME".to_owned()];
    out.report(Subject::Node(host.name.clone()), "this host has no engine", Evidence::gap(gap))
        .with(Evidence::absent(engine, "no dockerd program, no dockerd process and no socket"))
        .remedy(manual(host, "Run the doctor where the engine is", "Nothing is changed.", text, &commands));
}

fn not_running(host: &Host, gap: &Gap, engine: Option<&Seen<EngineProcess>>, out: &mut Findings<'_>) {
    let log = host.log.get().ok();
    let reason = log.and_then(|log| exit_reason(log));
    let subject = Subject::Node(host.name.clone());
    let masked =
        engine.and_then(|engine| engine.service.as_ref()).filter(|service| !service.masked.is_empty());
    match (log, reason) {
        (Some(log), Some(ExitReason::Panicked(line))) => panicked(host, gap, log, line, out),
        (Some(log), Some(ExitReason::Failed(line))) => failed(host, gap, log, line, out),
        _ => {
            let summary = if engine.is_none() {
                format!("the engine does not answer: {}", gap.why)
            } else if let Some(service) = masked {
                let list = service.masked.join(", ");
                format!("dockerd is not running, and systemd does not start it: {list} is masked")
            } else {
                match reason {
                    Some(ExitReason::Stopped(line)) => {
                        format!("dockerd is not running: it received a stop signal{}", at(line))
                    }
                    Some(ExitReason::OutOfMemory(line)) => {
                        let at = at(line);
                        format!(
                            "dockerd is not running: the kernel killed it{at} because memory was exhausted"
                        )
                    }
                    _ => "dockerd is not running".to_owned(),
                }
            };
            let finding = out.report(subject, summary, Evidence::gap(gap));
            if let (Some(log), Some(reason)) = (log, reason) {
                finding.with(Evidence::log(log, reason.line()));
            }
            finding.remedy(start(host, engine.is_some(), masked));
        }
    }
    let Some(finding) = out.found.last_mut() else { return };
    if let Some(engine) = engine {
        finding.with(Evidence::absent(engine, "no process dockerd"));
        if let Some(service) = masked {
            finding.with(Evidence::value(engine, format!("masked units: {}", service.masked.join(", "))));
        }
    }
    if let Some((log, line)) = log.and_then(|log| Some((log, gave_up(log)?))) {
        finding.with(Evidence::log(log, line));
    }
}

/// It exited with an error message.
fn failed(host: &Host, gap: &Gap, log: &Seen<Log>, line: &Line, out: &mut Findings<'_>) {
    let node = host.name.clone();
    let messages = with_continuation(&log.lines, line);
    let config = host.daemon_json_path();
    let how = service(host);
    let known = exit_cause(&messages);
    let summary = match known {
        Some(cause) => {
            let state = cause.fill(cause.state, &messages, &how, &config);
            format!("dockerd is not running: {state}; its last message is: {}", line.message)
        }
        None => format!("dockerd is not running: it exited with: {}", line.message),
    };
    let starts = failed_starts(log, line);
    let finding = out.report(Subject::Node(node.clone()), summary, Evidence::gap(gap));
    finding.with(Evidence::log(log, line));
    if starts > 1 {
        finding.with(Evidence::value(log, format!("{starts} starts failed with this message")));
    }
    let mut steps = Vec::new();
    match known {
        Some(cause) => {
            let text = cause.fill(cause.text, &messages, &how, &config);
            let commands = cause.commands(&messages, &how, &config);
            steps.push(Step::Manual { node: node.clone().into(), text, commands });
            steps.extend(reset(host, log));
            steps.push(Step::StartEngine { node: node.into() });
        }
        // The cause still exists, so a plain start would fail again.
        None => steps.push(Step::Manual {
            node: node.into(),
            text: "correct what the message names, start the engine, and read its log if it exits again"
                .into(),
            commands: vec![how.command("start"), "journalctl -u docker -n 50 --no-pager".into()],
        }),
    }
    let title = match known {
        Some(cause) => cause.fill(cause.title, &messages, &how, &config),
        None => "Correct what the last message names and start the engine".to_owned(),
    };
    finding.remedy(Remedy {
        title: title.into(),
        risk: Risk::Disruptive,
        impact: "The tasks of this node start.".into(),
        steps,
    });
}

/// It crashed: an engine bug, which a start does not fix.
fn panicked(host: &Host, gap: &Gap, log: &Seen<Log>, line: &Line, out: &mut Findings<'_>) {
    let node = host.name.clone();
    let package = package(&log.lines, line);
    let version = EngineVersion::of_log(log);
    let place = package.map(|package| format!(" in {package}")).unwrap_or_default();
    let engine = version.as_ref().map_or("dockerd".to_owned(), |version| format!("dockerd {version}"));
    let summary = format!("{engine} crashed{place}, an engine bug: {}", line.message);
    let finding = out.report(Subject::Node(node.clone()), summary, Evidence::gap(gap));
    finding.with(Evidence::log(log, line)).confidence(Confidence::Medium);
    let fixed = package.and_then(|package| fixed_panic(package, version.as_ref()));
    let target = match fixed {
        Some(row) => {
            finding.with(Evidence::value(log, format!("known: {} ({})", row.effect, row.source)));
            format!("version {} or later fixes it", row.fixed_in)
        }
        None => {
            "install the newest release of the engine; if it crashes again, report it with the goroutine to \
                 https://github.com/moby/moby/issues"
                .to_owned()
        }
    };
    finding.remedy(Remedy {
        title: "Upgrade the engine: this version crashes".into(),
        risk: Risk::Disruptive,
        impact: "The tasks of this node start.".into(),
        steps: vec![
            Step::Manual {
                node: node.clone().into(),
                text: format!("upgrade the engine: {target}; upgrade one node at a time, managers last"),
                commands: vec!["dockerd --version".into(), "apt-cache madison docker-ce".into()],
            },
            Step::Manual {
                node: node.into(),
                text: "until then the engine can be started, and crashes again on the same operation".into(),
                commands: vec![service(host).command("start")],
            },
        ],
    });
}

fn start(host: &Host, seen: bool, masked: Option<&EngineService>) -> Remedy {
    let node = host.name.clone();
    let mut steps = Vec::new();
    if let Some(service) = masked {
        let commands = service.masked.iter().map(|unit| format!("systemctl unmask {unit}")).collect();
        steps.push(Step::Manual {
            node: node.clone().into(),
            text: "unmask the units that the engine needs".into(),
            commands,
        });
    }
    steps.push(match seen {
        true => Step::StartEngine { node: node.into() },
        false => Step::Manual {
            node: node.into(),
            text: "start the engine, and read its log if it exits again".into(),
            commands: vec![service(host).command("start"), "journalctl -u docker -n 50 --no-pager".into()],
        },
    });
    Remedy {
        title: if masked.is_some() {
            "Unmask the units of the engine and start it"
        } else {
            "Start the engine"
        }
        .into(),
        risk: Risk::Disruptive,
        impact: "The tasks of this node start.".into(),
        steps,
    }
}

/// The exit message with the lines that continue it: iptables prints several.
fn with_continuation(lines: &[Line], line: &Line) -> String {
    let at = lines.iter().position(|other| other.number == line.number && other.file == line.file);
    let rest = at.and_then(|at| lines.get(at + 1..)).unwrap_or_default().iter().take(3);
    let rest = rest.take_while(|line| line.program == Program::Engine && line.level == Level::Unknown);
    std::iter::once(line).chain(rest).map(|line| line.message.as_str()).collect::<Vec<_>>().join("\n")
}

/// How many starts ended with the same message.
fn failed_starts(log: &Log, line: &Line) -> u32 {
    log.lines.iter().filter(|other| other.message == line.message).map(|other| other.repeated).sum()
}

/// The line with which systemd gave up restarting the engine.
fn gave_up(log: &Log) -> Option<&Line> {
    log.lines.iter().rev().take(50).find(|line| {
        line.program == Program::Systemd && line.message.contains("Start request repeated too quickly")
    })
}

/// systemd refuses another start until its counter of failures is reset.
fn reset(host: &Host, log: &Log) -> Option<Step> {
    gave_up(log)?;
    Some(Step::Manual {
        node: host.name.clone().into(),
        text: "reset systemd's counter of failed starts".into(),
        commands: vec!["systemctl reset-failed docker.service".into()],
    })
}

fn service(host: &Host) -> EngineService {
    host.engine_service()
}

fn at(line: &Line) -> String {
    line.at.map(|at| at.strftime(" at %Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default()
}

fn manual(host: &Host, title: &'static str, impact: &'static str, text: &str, commands: &[String]) -> Remedy {
    Remedy {
        title: title.into(),
        risk: Risk::Manual,
        impact: impact.into(),
        steps: vec![Step::Manual {
            node: host.name.clone().into(),
            text: text.into(),
            commands: commands.to_vec(),
        }],
    }
}
