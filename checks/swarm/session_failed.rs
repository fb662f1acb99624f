use crate::remedies::rejoin::join_target;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::join_progress::since_start;
use facts::log::{Line, Log};
use facts::{Host, Seen, Source};

check! {
    /// The node has no session with the managers of its swarm, and its engine does not report it.
    ///
    /// ## Why it matters
    /// A worker without a session looks healthy: `docker info` shows active, its containers run, and it receives no new task.
    /// The managers show it as Down, or do not know it. Only its log names the reason: the swarm was re-created and has
    /// another root CA, or the managers do not answer.
    ///
    /// ## How to fix it
    /// If the node belongs to a swarm that no longer exists, run `docker swarm leave --force` and join with a fresh token.
    /// Otherwise fix what the error names.
    ///
    /// ## When it is wrong
    /// For some seconds after the restart of a manager or a leader change: the node retries after at most 8 s.
    ///
    /// Source: swarmkit `agent/session.go`, `agent/agent.go`, `ca/auth.go`; moby#34827.
    "swarm/session-failed": Error, "the node has no session with the managers";
    healthy "the node has a session with the managers";
    needs EngineLog, Info, EngineProcess, Nodes, SwarmState;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "host/disk-full",
        "swarm/raft-lost", "engine/file-limit-reached", "network/duplicate-ip", "host/conntrack-full",
        "swarm/state-damaged", "swarm/duplicate-node-identity", "swarm/certificate-expired",
        "swarm/removed-from-swarm", "swarm/local-advertise-addr", "swarm/stale-advertise-addr", "swarm/lost-quorum",
        "network/manager-port-blocked", "network/peer-unreachable", "engine/unreachable", "swarm/autolock-locked",
        "host/clock-not-synchronised";
    for each Host: run
}

/// The message that the agent logs for every failed session.
const FAILED: &str = "agent: session failed";
/// The longest time in seconds from one failure to the next: a pause of at most 8 s and the attempt itself.
const LATEST_SECONDS: f64 = 25.0;
/// How far back in seconds failures are counted.
const COUNTED_SECONDS: f64 = 60.0;
/// The number of failures that a restarted manager does not explain.
const ENOUGH: u32 = 3;
/// The time in seconds that an attempt may take beyond the slowest one before.
const SLACK_SECONDS: f64 = 3.0;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    // An engine that does not run has no session, and its log is old.
    if host.engine.get().is_ok_and(|engine| engine.running().is_none()) {
        return Ok(());
    }
    let log = host.log.get()?;
    let ago = |line: &Line| line.at.map(|at| view.snapshot.taken.duration_since(at).as_secs_f64());
    let recent = |line: &&Line| ago(line).is_some_and(|seconds| seconds <= COUNTED_SECONDS);
    let failures: Vec<&Line> =
        since_start(log).iter().filter(|line| line.message == FAILED).filter(recent).collect();
    let Some(last) = failures.last() else { return Ok(()) };
    let times: u32 = failures.iter().map(|line| line.repeated.max(1)).sum();
    let overdue = |seconds: f64| seconds > next_failure_within(&failures).min(LATEST_SECONDS);
    // The agent logs no success. A failure that is due and did not happen means that the last attempt succeeded.
    if times < ENOUGH || ago(last).is_none_or(overdue) {
        return Ok(());
    }
    let error = last.fields.get("error").map(String::as_str).unwrap_or_default();
    let managers = host
        .info
        .get()
        .map(|info| info.swarm.managers.iter().map(|manager| manager.addr.to_string()).collect::<Vec<_>>());
    let managers = managers.ok().filter(|list| !list.is_empty());
    let (names, have, know) = match managers.as_deref() {
        None => ("the managers".to_owned(), "have", "know"),
        Some([one]) => (format!("manager {one}"), "has", "knows"),
        Some(list) => (format!("managers {}", list.join(", ")), "have", "know"),
    };
    let subject = Subject::Node(host.name.clone());
    let first = quote(log, last, error);
    if error.contains("signed by unknown authority") {
        let summary = format!(
            "{names} {have} another root CA than this node: the swarm was re-created there, or the address belongs to \
             another swarm"
        );
        out.report(subject, summary, first).remedy(rejoin(host, view));
    } else if error.contains("node not found") {
        let summary = format!(
            "{names} {know} no node with this ID and rejected its session {times} times within a minute: the node was \
             removed there, or the managers lost the swarm's records"
        );
        let mut remedy = rejoin(host, view);
        remedy.title = format!("Check the node list of a manager, then rejoin {}", host.name).into();
        let text = "check whether it lists its other nodes; if it does not, it lost its records, which have to be restored \
                    first";
        remedy.steps.insert(
            0,
            Step::Manual {
                node: manager(host, view),
                text: text.into(),
                commands: vec!["sudo swarm-doctor run".into(), "docker node ls".into()],
            },
        );
        out.report(subject, summary, first).remedy(remedy);
    } else if error.contains("wanted to match swarm-manager") || error.contains("not part of OUs") {
        let summary = format!(
            "the host that answers for {names} is not a manager: its TLS certificate is not a manager certificate"
        );
        out.report(subject, summary, first).remedy(Remedy {
            title: "Check which program answers on the manager port".into(),
            risk: Risk::Manual,
            impact: "Running tasks are not affected.".into(),
            steps: vec![Step::Manual {
                node: host.name.clone().into(),
                text: "look for a proxy in the environment of dockerd, and for a manager that was demoted"
                    .into(),
                commands: vec![
                    "systemctl show docker --property Environment".into(),
                    "docker info --format '{{json .Swarm.RemoteManagers}}'".into(),
                ],
            }],
        });
    } else {
        let summary =
            format!("the session with {names} failed {times} times within a minute: {}", innermost(error));
        out.report(subject, summary, first).confidence(Confidence::Medium).remedy(Remedy {
            title: "Find out on a manager why it accepts no session".into(),
            risk: Risk::Manual,
            impact: "Running tasks are not affected.".into(),
            steps: vec![Step::Manual {
                node: manager(host, view),
                text: "run swarm-doctor there; it checks for a leader, a hanging engine and a wrong clock"
                    .into(),
                commands: vec!["sudo swarm-doctor run".into(), "docker node ls".into()],
            }],
        });
    }
    Ok(())
}

/// The time in seconds after the last failure within which the next one is due: the pause that the last failure announces,
/// and the duration of the slowest attempt so far.
fn next_failure_within(failures: &[&Line]) -> f64 {
    let pause = |line: &Line| line.fields.get("backoff").and_then(|text| seconds(text));
    let Some(next) = failures.last().and_then(|line| pause(line)) else { return LATEST_SECONDS };
    let attempts = failures.windows(2).filter_map(|pair| {
        let [before, after] = pair else { return None };
        Some(after.at?.duration_since(before.at?).as_secs_f64() - pause(before)?)
    });
    next + attempts.fold(0.0, f64::max) + SLACK_SECONDS
}

/// The seconds of a Go duration such as `100ms`, `7.9s` or `1m2s`; `log-format: json` writes nanoseconds.
fn seconds(text: &str) -> Option<f64> {
    if let Ok(nanoseconds) = text.parse::<u64>() {
        return Some(std::time::Duration::from_nanos(nanoseconds).as_secs_f64());
    }
    let (mut sum, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| c != '.' && !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(unit_at);
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_end);
        let factor = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "µs" | "us" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * factor;
        rest = next;
    }
    Some(sum)
}

/// The line with its error field.
fn quote(log: &Seen<Log>, line: &Line, error: &str) -> Evidence {
    let source = Source { origin: line.file.clone(), ..log.source.clone() };
    Evidence::Line { source, line: line.number, at: line.at, text: format!("{}: {error}", line.message) }
}

/// The innermost error of nested gRPC errors.
fn innermost(error: &str) -> &str {
    let inner = error.rsplit("desc = ").next().unwrap_or(error);
    inner.trim_matches(['"', '\\', ' '])
}

fn manager(host: &Host, view: &View<'_>) -> Target {
    match join_target(&host.name, view) {
        Some(addr) => view.name_of(addr.ip()).into(),
        None => Target::AnyManager,
    }
}

fn rejoin(host: &Host, view: &View<'_>) -> Remedy {
    let join = crate::remedies::rejoin::join_command(None, join_target(&host.name, view));
    Remedy {
        title: format!("Leave the earlier swarm on {}, and join again", host.name).into(),
        risk: Risk::Disruptive,
        impact: format!("The containers of the earlier swarm on {} stop.", host.name).into(),
        steps: vec![
            Step::Manual {
                node: manager(host, view),
                text: "check that this node is meant to join, and print the token".into(),
                commands: vec!["docker node ls".into(), "docker swarm join-token -q worker".into()],
            },
            Step::Manual {
                node: host.name.clone().into(),
                text: "leave, then join with that token".into(),
                commands: vec!["docker swarm leave --force".into(), join],
            },
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::{innermost, next_failure_within, seconds};
    use facts::log::{Level, Line, Program};
    use std::collections::BTreeMap;

    fn failure(at: &str, backoff: &str) -> Line {
        Line {
            file: "messages".into(),
            number: 1,
            at: Some(at.parse().unwrap()),
            host: None,
            program: Program::Engine,
            pid: None,
            level: Level::Error,
            message: super::FAILED.into(),
            fields: BTreeMap::from([("backoff".to_owned(), backoff.to_owned())]),
            repeated: 1,
            truncated: false,
        }
    }

    #[test]
    fn takes_the_layers_off_an_error() {
        let error =
            r#"rpc error: code = Unavailable desc = connection error: desc = "transport: dial: timeout""#;
        assert_eq!(innermost(error), "transport: dial: timeout");
        assert_eq!(innermost("session initiation timed out"), "session initiation timed out");
    }

    #[test]
    fn reads_the_durations_of_go() {
        assert_eq!(seconds("100ms"), Some(0.1));
        assert_eq!(seconds("1m2.5s"), Some(62.5));
        assert_eq!(seconds("1500000000"), Some(1.5));
        assert_eq!(seconds("soon"), None);
    }

    #[test]
    fn the_next_failure_is_due_after_the_pause_and_the_slowest_attempt() {
        let failures = [failure("2026-11-22T19:00:00Z", "2s"), failure("2026-11-22T19:00:07Z", "4s")];
        let failures: Vec<&Line> = failures.iter().collect();
        assert_eq!(next_failure_within(&failures), 4.0 + 5.0 + super::SLACK_SECONDS);
    }
}
