use crate::model::moved_manager::addresses;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::Host;
use facts::log::Line;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

check! {
    /// Hosts that are not nodes of this swarm send gossip to it, encrypted with the keys of another swarm.
    ///
    /// ## Why it matters
    /// They belong to an earlier swarm. That swarm was re-created on this manager with the same address, and these hosts did
    /// not leave it. They still show as members, their containers keep running, and no task reaches them.
    ///
    /// ## How to fix it
    /// Run `docker swarm leave --force` on each of them, then join with a token of this swarm.
    ///
    /// ## When it is wrong
    /// When another swarm legitimately uses the same network, and one of its nodes is configured with a wrong address.
    ///
    /// Source: memberlist `net.go`: no installed key decrypts the message.
    "swarm/foreign-gossip": Warning, "nodes of another swarm send gossip to this one";
    healthy "no node of another swarm sends gossip to this one";
    needs EngineLog, Nodes;
    caused_by "swarm/duplicate-node-identity", "swarm/raft-lost";
    for each Host: run
}

/// How far back in seconds lines are counted.
const RECENT_SECONDS: f64 = 60.0;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let nodes = view.snapshot.nodes.get()?;
    let log = host.log.get()?;
    let known: BTreeSet<IpAddr> = nodes.iter().flat_map(addresses).collect();
    let recent = |line: &&Line| {
        let ago = line.at.map(|at| view.snapshot.taken.duration_since(at).as_secs_f64());
        ago.is_some_and(|seconds| seconds <= RECENT_SECONDS)
    };
    let foreign: Vec<(IpAddr, &Line)> = log
        .lines
        .iter()
        .filter(recent)
        .filter_map(|line| Some((sender(&line.message)?, line)))
        .filter(|(addr, _)| !known.contains(addr))
        .collect();
    let Some((_, last)) = foreign.last() else { return Ok(()) };
    let senders: BTreeSet<IpAddr> = foreign.iter().map(|(addr, _)| *addr).collect();
    let list = senders.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let summary = match senders.len() {
        1 => format!("{list} sends gossip with the keys of another swarm and is not a node of this one"),
        _ => format!("{list} send gossip with the keys of another swarm and are not nodes of this one"),
    };
    let steps = senders.iter().map(|addr| Step::Manual {
        node: Target::Peer(addr.to_string()),
        text: "leave the earlier swarm, then join with the command that `docker swarm join-token worker` prints here"
            .into(),
        commands: vec!["docker swarm leave --force".into()],
    });
    out.report(Subject::Cluster, summary, Evidence::log(log, last)).remedy(Remedy {
        title: format!("Leave the earlier swarm on {list}, and join this one").into(),
        risk: Risk::Disruptive,
        impact: "The containers of the earlier swarm on these hosts stop.".into(),
        steps: steps.collect(),
    });
    Ok(())
}

/// The sender of a message that no key decrypts: `memberlist: failed to receive: No installed keys could decrypt the message
/// from=192.0.2.2:36656`.
fn sender(message: &str) -> Option<IpAddr> {
    let (_, from) = message.split_once("No installed keys could decrypt the message from=")?;
    Some(from.trim().parse::<SocketAddr>().ok()?.ip())
}
