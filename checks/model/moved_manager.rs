//! Managers whose session comes from another address than the one that raft dials.

use crate::View;
use facts::link::Outcome;
use facts::swarm::{Node, NodeState};
use facts::{Gap, Host, Seen};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// A manager that raft does not reach at the address it dials, while the manager itself has a session from elsewhere.
pub(crate) struct MovedManager<'a> {
    /// Its entry.
    pub(crate) node: &'a Node,
    /// The address that raft dials.
    pub(crate) raft: SocketAddr,
    /// The address that its session comes from.
    pub(crate) session: IpAddr,
}

/// Both facts are needed: raft does not reach the old address, and the node is ready by a session from the new one. A
/// manager that is down shows the source address of its last session, which NAT or a second network may have given it.
pub(crate) fn moved_managers<'a>(host: &Host, nodes: &'a [Node]) -> Vec<MovedManager<'a>> {
    let moved = |node: &'a Node| {
        let raft = unreachable_at(node)?;
        let session = session_address(node).filter(|addr| *addr != raft.ip())?;
        let ready = node.state == NodeState::Ready;
        (ready && !answers(host, raft.ip())).then_some(MovedManager { node, raft, session })
    };
    nodes.iter().filter_map(moved).collect()
}

/// The address at which raft dials a manager that does not answer.
fn unreachable_at(node: &Node) -> Option<SocketAddr> {
    let manager = node.manager.as_ref().filter(|manager| !manager.leader && !manager.reachable)?;
    manager.addr
}

/// The source address of its session. Engines 17.09 to 18.x write 0.0.0.0 for every manager (moby#35437).
fn session_address(node: &Node) -> Option<IpAddr> {
    node.addr.filter(|addr| !addr.is_unspecified() && !addr.is_loopback())
}

/// Whether a host answers at the address: an open port, a refused connection or an ICMP echo reply.
fn answers(host: &Host, addr: IpAddr) -> bool {
    let Ok(probes) = host.probes.get() else { return false };
    probes.iter().any(|probe| {
        probe.peer.addr == addr && matches!(probe.outcome, Outcome::Open | Outcome::Refused { .. })
    })
}

/// The one address that is connected to this host's manager port and belongs to no node of the list, where exactly one
/// manager is unreachable and nothing answers at its address. A hint and no more: a monitoring program connects as well.
pub(crate) fn unlisted_caller(host: &Host, view: &View<'_>) -> Result<Option<Seen<IpAddr>>, Gap> {
    let nodes = view.snapshot.nodes.get()?;
    let lost: Vec<SocketAddr> = nodes.iter().filter_map(unreachable_at).collect();
    let [raft] = lost.as_slice() else { return Ok(None) };
    if answers(host, raft.ip()) {
        return Ok(None);
    }
    let callers = match host.manager_connections.get() {
        Err(gap) if !gap.why.leaves_open() => return Ok(None),
        callers => callers?,
    };
    let interfaces = host.interfaces.get()?;
    let own = |addr: IpAddr| addr.is_loopback() || interfaces.iter().any(|interface| interface.holds(addr));
    let listed: BTreeSet<IpAddr> = nodes.iter().flat_map(addresses).collect();
    let unlisted: Vec<_> = callers.iter().filter(|addr| !listed.contains(addr) && !own(**addr)).collect();
    Ok(match unlisted.as_slice() {
        [one] => Some(Seen { value: **one, source: callers.source.clone() }),
        _ => None,
    })
}

/// The addresses by which the node list knows a node.
pub(crate) fn addresses(node: &Node) -> impl Iterator<Item = IpAddr> {
    node.addr.into_iter().chain(node.manager.as_ref().and_then(|manager| manager.addr).map(|addr| addr.ip()))
}
