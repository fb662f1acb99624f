use super::cure::cure;
use super::ending::{Ending, ending};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::engine::{EngineProcess, Process};
use facts::log::Line;
use facts::{Gap, Host, Seen, Why};

check! {
    /// The engine of this node does not answer.
    ///
    /// ## Why it matters
    /// Without its engine a node runs no new task and the managers take it for down. Four things look alike from
    /// afar: the engine is dead, it hangs, this user may not speak to it, or there is none on this machine.
    ///
    /// ## How to fix it
    /// Dead: start it, and read the last lines of its log if it ends again. Hung: see what it waits for before
    /// killing it. Not permitted: run the doctor as root or as a member of the socket's group. Absent: run the
    /// doctor on the node, or name the engine with `-H` or `--context`.
    ///
    /// ## When it is wrong
    /// In the seconds of a start or a stop.
    "engine/unreachable": Error, "the engine does not answer";
    needs Ping, EngineProcess, EngineLog;
    caused_by "host/disk-full", "engine/file-limit-reached", "swarm/state-damaged", "engine/daemon-json-malformed", "engine/daemon-json-refused", "engine/live-restore", "swarm/stale-advertise-addr";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let Err(gap) = host.ping.get() else { return Ok(()) };
    let engine = host.engine.get();
    match &gap.why {
        Why::NotAsked { .. } | Why::NotApplicable { .. } => return Err(gap),
        Why::Denied { .. } => denied(host, &gap, engine.as_ref().ok().copied(), out),
        Why::TimedOut { after_ms } => hung(host, &gap, *after_ms, engine.as_ref().ok().copied(), out),
        Why::Unreachable { .. } => match &engine {
            Ok(engine) if engine.running().is_some() => silent(host, &gap, engine, out),
            Ok(engine) if engine.program.is_none() && engine.socket.is_none() => {
                absent(host, &gap, engine, out)
            }
            Ok(engine) => dead(host, &gap, Some(*engine), out),
            Err(_) => dead(host, &gap, None, out),
        },
        Why::Refused { .. } | Why::Undecidable { .. } | Why::Malformed { .. } => {
            let summary = format!("what answers in the engine's place says: {}", gap.why);
            out.report(Subject::Node(host.name.clone()), summary, Evidence::gap(&gap));
        }
    }
    Ok(())
}

fn denied(host: &Host, gap: &Gap, engine: Option<&Seen<EngineProcess>>, out: &mut Findings<'_>) {
    let summary = "this user may not speak to the engine, so most of the swarm cannot be judged";
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::gap(gap));
    finding.severity(Severity::Warning);
    if let Some(engine) = engine
        && let Some(socket) = &engine.socket
    {
        let shown = format!(
            "{}: mode {:o}, uid {}, gid {}",
            socket.path,
            socket.mode & 0o7777,
            socket.uid,
            socket.gid
        );
        finding.with(Evidence::value(engine, shown));
    }
    finding.remedy(by_hand(
        host,
        "Run the doctor as root",
        "nothing is changed",
        "run it with the right to look",
        &["sudo swarm-doctor run"],
    ));
}

fn hung(host: &Host, gap: &Gap, after_ms: u64, engine: Option<&Seen<EngineProcess>>, out: &mut Findings<'_>) {
    let process = engine.and_then(|engine| engine.running());
    let pid = process.map(|process| process.pid.to_string()).unwrap_or_else(|| "$(pidof dockerd)".into());
    let who = process
        .map(|process| format!("dockerd (pid {})", process.pid))
        .unwrap_or_else(|| "the engine".into());
    let state = process.map(|process| process.state);
    let summary = match state {
        Some('T' | 't') => format!("{who} is stopped by a signal and answers nothing"),
        Some('D') => format!("{who} hangs: it waits in the kernel for a device or a file system"),
        _ => format!("{who} hangs: it takes connections and answers none within {after_ms} ms"),
    };
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::gap(gap));
    if let (Some(engine), Some(process)) = (engine, process) {
        finding
            .with(Evidence::value(engine, format!("dockerd pid {}, state {}", process.pid, process.state)));
    }
    let remedy = match state {
        Some('T' | 't') => {
            let commands = [format!("kill -CONT {pid}")];
            by_hand(
                host,
                "Let the engine go on",
                "the engine goes on where it was stopped",
                "continue the process",
                &commands,
            )
        }
        _ => {
            let commands = [
                format!("cat /proc/{pid}/stack"),
                format!("kill -USR1 {pid}"),
                "systemctl restart docker".into(),
            ];
            let text =
                "see what it waits for (USR1 writes its stacks to the log), and only then start it anew";
            by_hand(
                host,
                "See what the engine waits for",
                "a restart stops the tasks of this node",
                text,
                &commands,
            )
        }
    };
    finding.remedy(remedy);
}

fn silent(host: &Host, gap: &Gap, engine: &Seen<EngineProcess>, out: &mut Findings<'_>) {
    let process = engine.running();
    let pid = process.map_or(0, |process| process.pid);
    let args = process.map(|process| process.args.join(" ")).unwrap_or_default();
    let told = process.map(Process::endpoints).unwrap_or_default();
    let elsewhere = told.iter().find(|told| told.contains("://") && !told.starts_with("fd:"));
    let says = format!("dockerd (pid {pid}) runs and does not answer at {}", engine.endpoint);
    let subject = Subject::Node(host.name.clone());
    let (summary, remedy) = match elsewhere {
        Some(elsewhere) if *elsewhere != engine.endpoint => (
            format!("{says}: it was told to listen at {}", told.join(" and ")),
            by_hand(
                host,
                "Ask the engine where it listens",
                "nothing is changed",
                "name that address to the doctor, and to docker",
                &[
                    format!("swarm-doctor run -H {}", shell_quote(elsewhere)),
                    format!("export DOCKER_HOST={}", shell_quote(elsewhere)),
                ],
            ),
        ),
        // Its own socket, or one that systemd holds for it, was taken away beneath it.
        _ if engine.socket.is_none() && gap.why.to_string().contains("No such file") => (
            format!("{says}: it runs, and the file of its socket is gone"),
            by_hand(
                host,
                "Let the engine make its socket anew",
                "the tasks of this node start again",
                "restart it, with the socket that systemd may hold for it",
                &["systemctl restart docker.socket docker.service"],
            ),
        ),
        _ => (
            says,
            by_hand(
                host,
                "Ask the engine where it listens",
                "nothing is changed",
                "it may be starting still, or listen elsewhere: see its -H flags and `hosts` in daemon.json",
                &["swarm-doctor run -H unix:///PATH"],
            ),
        ),
    };
    out.report(subject, summary, Evidence::gap(gap))
        .with(Evidence::value(engine, format!("dockerd pid {pid}: {args}")))
        .remedy(remedy);
}

fn absent(host: &Host, gap: &Gap, engine: &Seen<EngineProcess>, out: &mut Findings<'_>) {
    let text = "run the doctor on a node of the swarm, or name its engine";
    out.report(Subject::Node(host.name.clone()), "there is no engine on this machine", Evidence::gap(gap))
        .with(Evidence::absent(engine, "no dockerd program, no dockerd process and no socket"))
        .remedy(by_hand(
            host,
            "Look where the engine is",
            "nothing is changed",
            text,
            &["swarm-doctor run --context NAME"],
        ));
}

fn dead(host: &Host, gap: &Gap, engine: Option<&Seen<EngineProcess>>, out: &mut Findings<'_>) {
    let log = host.log.get().ok();
    let ending = log.and_then(|log| ending(log));
    let summary = match (engine, ending) {
        (None, _) => format!("nobody answers for the engine: {}", gap.why),
        (_, Some(Ending::GaveUp(line))) => {
            format!("the engine is dead, and said when it ended: {}", line.message)
        }
        (_, Some(Ending::Asked(line))) => format!("the engine is dead: it was asked to stop{}", at(line)),
        (_, Some(Ending::Starved(line))) => {
            format!("the engine is dead: the kernel killed it{}, for memory had run out", at(line))
        }
        (_, None) => "the engine is dead: no dockerd runs".to_owned(),
    };
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::gap(gap));
    if let Some(engine) = engine {
        finding.with(Evidence::absent(engine, "no process dockerd"));
    }
    if let (Some(log), Some(Ending::GaveUp(line) | Ending::Asked(line) | Ending::Starved(line))) =
        (log, ending)
    {
        finding.with(Evidence::log(log, line));
    }
    let node = host.name.clone();
    let known = match ending {
        Some(Ending::GaveUp(line)) => cure(&line.message),
        _ => None,
    };
    let title =
        if known.is_some() { "Take away what the engine ended of, and start it" } else { "Start the engine" };
    let start = match (engine, ending) {
        (Some(_), _) if known.is_some() => Step::StartEngine { node: node.clone() },
        // What it gave up for is still there.
        (None, _) | (_, Some(Ending::GaveUp(_))) => Step::Manual {
            node,
            text: "start it, and see what it says if it ends again".into(),
            commands: vec!["systemctl start docker".into(), "journalctl -u docker -n 50 --no-pager".into()],
        },
        _ => Step::StartEngine { node },
    };
    let first = known.map(|known| Step::Manual {
        node: host.name.clone(),
        text: known.text.into(),
        commands: known.commands,
    });
    finding.remedy(Remedy {
        title: title.into(),
        risk: Risk::Disruptive,
        impact: "the tasks of this node start again".into(),
        steps: first.into_iter().chain([start]).collect(),
    });
}

fn at(line: &Line) -> String {
    line.at.map(|at| at.strftime(" at %Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default()
}

fn by_hand(
    host: &Host,
    title: &'static str,
    impact: &'static str,
    text: &str,
    commands: &[impl AsRef<str>],
) -> Remedy {
    let commands = commands.iter().map(|command| command.as_ref().to_owned()).collect();
    Remedy {
        title: title.into(),
        risk: Risk::Manual,
        impact: impact.into(),
        steps: vec![Step::Manual { node: host.name.clone(), text: text.into(), commands }],
    }
}
