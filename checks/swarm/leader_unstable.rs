use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::Host;
use facts::log::{Line, Program};
use std::collections::BTreeSet;

check! {
    /// The managers elect a new leader again and again.
    ///
    /// ## Why it matters
    /// During an election no cluster state can be read or written. After each election the new leader waits for the heartbeats
    /// of all nodes: they show as Unknown, and a node that is late becomes Down and its tasks start elsewhere.
    ///
    /// ## How to fix it
    /// Find out why the leader misses its heartbeats: a slow disk, an overloaded host, packet loss or a long round-trip time
    /// between the managers, or a VM that is suspended.
    ///
    /// ## When it is wrong
    /// During a rolling restart of the managers, such as an upgrade.
    ///
    /// Source: etcd `raft/node.go` ("elected leader", "changed leader"), swarmkit `manager/state/raft/raft.go` ("data store
    /// lock held too long").
    "swarm/leader-unstable": Warning, "the leader of the swarm changes often";
    healthy "the leader of the swarm is stable";
    needs Info, EngineLog;
    caused_by "swarm/raft-disk-slow", "host/disk-full", "network/asymmetric", "network/duplicate-ip",
        "network/manager-port-blocked", "host/firewall-drops-swarm", "swarm/manager-unreachable", "swarm/lost-quorum";
    for each Host: run
}

/// How far back in seconds elections are counted.
const WINDOW_SECONDS: i64 = 60 * 60;
/// The number of elections in that time that a rolling restart of three managers does not explain.
const ENOUGH: usize = 5;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    if !info.swarm.control_available {
        return Ok(());
    }
    let log = host.log.get()?;
    let now = view.snapshot.taken;
    let recent: Vec<&Line> = log
        .lines
        .iter()
        .filter(|line| line.program == Program::Engine)
        .filter(|line| line.at.is_some_and(|at| now.duration_since(at).as_secs() <= WINDOW_SECONDS))
        .collect();
    let elections: Vec<(u64, &Line)> =
        recent.iter().filter_map(|line| Some((elected_in_term(&line.message)?, *line))).collect();
    let terms: BTreeSet<u64> = elections.iter().map(|(term, _)| *term).collect();
    let wedged = recent.iter().rev().find(|line| line.message.starts_with("data store lock held too long"));
    let (summary, line) = match (elections.last(), wedged) {
        (Some((_, last)), _) if terms.len() >= ENOUGH => {
            let (first, latest) = (terms.first().copied(), terms.last().copied());
            let range = first.zip(latest).map(|(a, b)| format!(" (terms {a} to {b})")).unwrap_or_default();
            (format!("the managers elected a leader {} times in the last hour{range}", terms.len()), *last)
        }
        (_, Some(wedged)) => (
            "the data store of the leader was locked too long, and it transferred the leadership".to_owned(),
            *wedged,
        ),
        _ => return Ok(()),
    };
    let finding = out.report(Subject::Cluster, summary, Evidence::log(log, line));
    let ignored = |line: &&&Line| line.message.contains("lease is not expired");
    if let Some(line) = recent.iter().rev().find(ignored) {
        finding.with(Evidence::log(log, line));
    }
    finding.remedy(Remedy {
        title: "Find out why the leader misses its heartbeats".into(),
        risk: Risk::Manual,
        impact: "Measuring does not affect running tasks.".into(),
        steps: vec![Step::Manual {
            node: Target::Described("each manager"),
            text: "run swarm-doctor, and measure the load, the disk and the path to the other managers"
                .into(),
            commands: vec![
                "sudo swarm-doctor run".into(),
                "cat /proc/pressure/cpu /proc/pressure/io".into(),
                "ping -c 100 -i 0.2 OTHER-MANAGER".into(),
            ],
        }],
    });
    Ok(())
}

/// The term of `raft.node: 41fd elected leader 536c at term 7` and of `raft.node: 41fd changed leader from 536c to 41fd at
/// term 8`.
fn elected_in_term(message: &str) -> Option<u64> {
    let rest = message.strip_prefix("raft.node: ")?;
    let elected = rest.contains(" elected leader ") || rest.contains(" changed leader from ");
    elected.then(|| rest.rsplit_once(" at term ")?.1.trim().parse().ok()).flatten()
}
