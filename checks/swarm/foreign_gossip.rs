use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::log::Line;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

check! {
    /// Machines that are no nodes of this swarm gossip with it, with keys of another one.
    ///
    /// ## Why it matters
    /// They belong to a swarm that was here before: it was made anew on this manager, with its address, and they were
    /// not told. They take themselves for members, their containers run on, and nothing reaches them.
    ///
    /// ## How to fix it
    /// On each of them `docker swarm leave --force`, then join with a token of this swarm.
    ///
    /// ## When it is wrong
    /// When another swarm rightly lives in the same network and one of its nodes was told a wrong address.
    ///
    /// Source: memberlist `net.go`: a message that no key opens.
    "swarm/foreign-gossip": Warning, "nodes of another swarm gossip with this one";
    needs EngineLog, Nodes;
    caused_by "swarm/duplicate-node-identity", "swarm/raft-lost";
    for each Host: run
}

/// How far back lines count.
const RECENT_SECONDS: f64 = 60.0;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let nodes = view.snapshot.nodes.get()?;
    let log = host.log.get()?;
    let known: BTreeSet<IpAddr> = nodes
        .iter()
        .flat_map(|node| {
            node.addr.into_iter().chain(node.manager.as_ref().and_then(|m| m.addr).map(|a| a.ip()))
        })
        .collect();
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
    let who: BTreeSet<IpAddr> = foreign.iter().map(|(addr, _)| *addr).collect();
    let list = who.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let summary = format!("{list} gossip with this swarm, with keys of another, and none is a node of it");
    let steps = who.iter().map(|addr| Step::Manual {
        node: addr.to_string().as_str().into(),
        text:
            "leave the swarm that is no more, then join with the command of `docker swarm join-token worker`"
                .into(),
        commands: vec!["docker swarm leave --force".into()],
    });
    out.report(Subject::Cluster, summary, Evidence::log(log, last)).remedy(Remedy {
        title: "Let them leave their old swarm and join this one".into(),
        risk: Risk::Disruptive,
        impact: "the containers that the old swarm left there are stopped".into(),
        steps: steps.collect(),
    });
    Ok(())
}

/// Who sent a message that no key opens: `memberlist: failed to receive: No installed keys could decrypt the message
/// from=192.0.2.2:36656`.
fn sender(message: &str) -> Option<IpAddr> {
    let (_, from) = message.split_once("No installed keys could decrypt the message from=")?;
    Some(from.trim().parse::<SocketAddr>().ok()?.ip())
}
