//! A manager whose connections come from another address than the one that raft dials.

use super::rejoin::rejoin_manager;
use crate::{Confidence, Evidence, Findings, Subject, View};
use facts::host::Protocol;
use facts::link::{Attempt, Outcome};
use facts::swarm::Node;
use facts::{Gap, Host, Seen};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// Reports each manager that does not answer where raft dials it and calls from elsewhere: by the address that its
/// session with the leader came from, else by a connection to this manager that no node of the list accounts for.
pub(super) fn report(host: &Host, view: &View<'_>, out: &mut Findings<'_>) {
    let nodes = match view.snapshot.nodes.get() {
        Ok(nodes) => nodes,
        // A worker is not asked about the others, and is judged by its own address alone.
        Err(gap) if !gap.why.leaves_open() => return,
        Err(gap) => return out.inconclusive(Subject::Cluster, gap),
    };
    let lost: Vec<_> = nodes.iter().filter_map(|node| Some((node, dialled_in_vain(node)?))).collect();
    let (in_list, unlisted): (Vec<_>, Vec<_>) =
        lost.into_iter().partition(|(node, raft)| comes_from(node).is_some_and(|seen| seen != raft.ip()));
    for (node, raft) in in_list {
        let Some(seen) = node.addr else { continue };
        let summary = format!("raft dials {} at {}, and it now comes from {seen}", node.name, raft.ip());
        let shown = format!("ManagerStatus.Addr: {raft}, unreachable; Status.Addr: {seen}");
        out.report(Subject::Node(node.name.clone()), summary, Evidence::value(nodes, shown))
            .remedy(rejoin_manager(&node.name, &seen.to_string(), view));
    }
    // With two that are lost nobody can say which of them calls.
    let [(node, raft)] = unlisted.as_slice() else { return };
    let caller = match stranger(host, nodes, raft.ip()) {
        Ok(Some(caller)) => caller,
        Ok(None) => return,
        Err(gap) => return out.inconclusive(Subject::Node(node.name.clone()), gap),
    };
    let summary = format!(
        "raft dials {} at {}, where nobody answers, and {}, which no node of the list has, is connected to this manager",
        node.name,
        raft.ip(),
        caller.value
    );
    out.report(
        Subject::Node(node.name.clone()),
        summary,
        Evidence::value(&caller, format!("connected: {}", caller.value)),
    )
    .with(Evidence::value(nodes, format!("ManagerStatus.Addr: {raft}, unreachable")))
    .confidence(Confidence::Medium)
    .remedy(rejoin_manager(&node.name, &caller.value.to_string(), view));
}

/// The address at which raft dials a manager that does not answer.
fn dialled_in_vain(node: &Node) -> Option<SocketAddr> {
    let manager = node.manager.as_ref().filter(|manager| !manager.leader && !manager.reachable)?;
    manager.addr
}

/// The address its session came from. 17.09 to 18.x wrote 0.0.0.0 for every manager (moby#35437).
fn comes_from(node: &Node) -> Option<IpAddr> {
    node.addr.filter(|addr| !addr.is_unspecified() && !addr.is_loopback())
}

/// The one address with a connection to this manager that is nobody's, while nobody answers at the one dialled.
fn stranger(host: &Host, nodes: &[Node], dialled: IpAddr) -> Result<Option<Seen<IpAddr>>, Gap> {
    let callers = match host.manager_connections.get() {
        Err(gap) if !gap.why.leaves_open() => return Ok(None),
        callers => callers?,
    };
    let answers = host.probes.get()?.iter().any(|probe| {
        let at_raft = probe.peer.manager_port.map(|port| Attempt::Connect { protocol: Protocol::Tcp, port });
        probe.peer.addr == dialled && at_raft == Some(probe.attempt) && probe.outcome == Outcome::Open
    });
    let interfaces = host.interfaces.get()?;
    let own = |addr: IpAddr| addr.is_loopback() || interfaces.iter().any(|interface| interface.holds(addr));
    let listed: BTreeSet<IpAddr> = nodes
        .iter()
        .flat_map(|node| {
            node.addr
                .into_iter()
                .chain(node.manager.as_ref().and_then(|manager| manager.addr).map(|addr| addr.ip()))
        })
        .collect();
    let strangers: Vec<_> = callers.iter().filter(|addr| !listed.contains(addr) && !own(**addr)).collect();
    match strangers.as_slice() {
        [one] if !answers => Ok(Some(Seen { value: **one, source: callers.source.clone() })),
        _ => Ok(None),
    }
}
