use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::log::{Line, Log};
use facts::way_in::life;
use facts::{Host, Seen, Source};

check! {
    /// The node has no session with the managers of its swarm, and its engine does not say so.
    ///
    /// ## Why it matters
    /// A worker whose session fails goes on as if nothing were: `docker info` says active, its old containers run,
    /// and no new task reaches it. The managers have it for Down, or do not know it at all. Only its log tells why:
    /// the swarm was made anew and has another certificate authority, or the managers do not answer.
    ///
    /// ## How to fix it
    /// A node that belongs to a swarm that is no more leaves with `docker swarm leave --force`
    /// and joins with a fresh token. Otherwise mend what the error names.
    ///
    /// ## When it is wrong
    /// For some seconds after a manager was restarted or the leader changed: the node tries again after 8 s at most.
    ///
    /// Source: swarmkit `agent/session.go`, `ca/auth.go`; moby#34827.
    "swarm/session-failed": Error, "the node has no session with the managers";
    needs EngineLog, Info, EngineProcess;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "host/disk-full", "swarm/raft-lost", "engine/file-limit-reached", "network/duplicate-ip", "host/conntrack-full", "swarm/state-damaged", "swarm/duplicate-node-identity", "swarm/certificate-expired", "swarm/removed-from-swarm", "swarm/local-advertise-addr", "swarm/stale-advertise-addr", "swarm/lost-quorum",
        "network/manager-port-blocked", "network/peer-unreachable", "engine/unreachable", "swarm/autolock-locked",
        "host/clock-not-synchronised";
    for each Host: run
}

/// What an agent that cannot have a session says at every attempt.
const FAILED: &str = "agent: session failed";
/// How far back an attempt may lie: the pause between two is 8 s at most, and an attempt itself may take some.
const LATEST_SECONDS: f64 = 25.0;
/// How far back attempts are counted.
const COUNTED_SECONDS: f64 = 60.0;
/// From how many on it is more than a manager that was restarted.
const ENOUGH: u32 = 3;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    // An engine that does not run has no session, and its log is of another time.
    if host.engine.get().is_ok_and(|engine| engine.running().is_none()) {
        return Ok(());
    }
    let log = host.log.get()?;
    let ago = |line: &Line| line.at.map(|at| view.snapshot.taken.duration_since(at).as_secs_f64());
    let recent = |line: &&Line| ago(line).is_some_and(|seconds| seconds <= COUNTED_SECONDS);
    let failures: Vec<&Line> =
        life(log).iter().filter(|line| line.message == FAILED).filter(recent).collect();
    let Some(last) = failures.last() else { return Ok(()) };
    let times: u32 = failures.iter().map(|line| line.repeated.max(1)).sum();
    if times < ENOUGH || ago(last).is_none_or(|seconds| seconds > LATEST_SECONDS) {
        return Ok(());
    }
    let error = last.fields.get("error").map(String::as_str).unwrap_or_default();
    let managers = host.info.get().map(|info| {
        info.swarm.managers.iter().map(|manager| manager.addr.to_string()).collect::<Vec<_>>().join(", ")
    });
    let whom = managers.as_deref().ok().filter(|list| !list.is_empty()).map_or("the managers", |list| list);
    let subject = Subject::Node(host.name.clone());
    let first = quote(log, last, error);
    if error.contains("signed by unknown authority") {
        let summary = format!(
            "{whom} has another certificate authority than this node's swarm: the swarm was made anew there, or the \
             address belongs to another one"
        );
        out.report(subject, summary, first).remedy(join_anew(host));
    } else if error.contains("node not found") {
        let summary = format!(
            "{whom} knows no node of this id, and turned its session away {times} times within a minute: the node was \
             removed there, or the managers lost the records of the swarm"
        );
        let mut remedy = join_anew(host);
        remedy.title = "See what the managers know, then join anew".into();
        let text = "see whether it lists its other nodes: one that does not has lost its records, which then are to be put \
                    back first";
        remedy.steps.insert(
            0,
            Step::Manual {
                node: "a manager".into(),
                text: text.into(),
                commands: vec!["swarm-doctor run".into(), "docker node ls".into()],
            },
        );
        out.report(subject, summary, first).remedy(remedy);
    } else {
        let summary =
            format!("the session with {whom} failed {times} times within a minute: {}", innermost(error));
        out.report(subject, summary, first).confidence(Confidence::Medium).remedy(Remedy {
            title: "See from a manager why it takes no session".into(),
            risk: Risk::Manual,
            impact: "looking changes nothing".into(),
            steps: vec![Step::Manual {
                node: "a manager".into(),
                text:
                    "see whether there is a leader, whether its engine hangs, and whether its clock is right"
                        .into(),
                commands: vec!["swarm-doctor run".into(), "docker node ls".into()],
            }],
        });
    }
    Ok(())
}

/// The line with the error that stands in a field of it.
fn quote(log: &Seen<Log>, line: &Line, error: &str) -> Evidence {
    let source = Source { origin: line.file.clone(), ..log.source.clone() };
    Evidence::Line { source, line: line.number, at: line.at, text: format!("{}: {error}", line.message) }
}

/// What is left of an error once the layers that passed it on are taken off.
fn innermost(error: &str) -> &str {
    let inner = error.rsplit("desc = ").next().unwrap_or(error);
    inner.trim_matches(['"', '\\', ' '])
}

fn join_anew(host: &Host) -> Remedy {
    Remedy {
        title: "Leave the swarm that is no more, and join anew".into(),
        risk: Risk::Disruptive,
        impact: "the containers that the old membership left here are stopped".into(),
        steps: vec![
            Step::Manual {
                node: "a manager".into(),
                text: "see that this node is wanted, and print the command to join with".into(),
                commands: vec!["docker node ls".into(), "docker swarm join-token worker".into()],
            },
            Step::Manual {
                node: host.name.clone(),
                text: "leave, then join with that command".into(),
                commands: vec!["docker swarm leave --force".into()],
            },
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::innermost;

    #[test]
    fn takes_the_layers_off_an_error() {
        let error =
            r#"rpc error: code = Unavailable desc = connection error: desc = "transport: dial: timeout""#;
        assert_eq!(innermost(error), "transport: dial: timeout");
        assert_eq!(innermost("session initiation timed out"), "session initiation timed out");
    }
}
