//! Entries of the node list that belong to the same host.

use super::local_addresses::is_docker_bridge;
use facts::swarm::{LocalState, Node, NodeState, RemoteManager};
use facts::{Gap, Host};

/// The ready entry that replaced a down entry: a node that leaves and joins again gets a new id under the same hostname.
pub(crate) fn replacement<'a>(node: &Node, nodes: &'a [Node]) -> Option<&'a Node> {
    let is_down = node.state == NodeState::Down;
    nodes.iter().find(|other| {
        is_down && other.id != node.id && other.name == node.name && other.state == NodeState::Ready
    })
}

/// Whether a manager that this worker knows is the worker's own earlier entry: the manager's address is the address that
/// the worker advertises, and there is another manager, through which it joined again.
pub(crate) fn is_former_self(manager: &RemoteManager, host: &Host) -> Result<bool, Gap> {
    let (info, interfaces) = (host.info.get()?, host.interfaces.get()?);
    let swarm = &info.swarm;
    let addr = manager.addr.ip();
    let bridged = interfaces.iter().any(|interface| interface.holds(addr) && is_docker_bridge(interface));
    Ok(swarm.state == LocalState::Active
        && !swarm.control_available
        && swarm.node_addr == Some(addr)
        && manager.node_id != swarm.node_id
        && swarm.managers.iter().any(|other| other.addr.ip() != addr)
        && !addr.is_loopback()
        && !bridged)
}
