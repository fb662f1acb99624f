//! The other nodes, from everything this one knows of them.

use crate::bundle::Bundle;
use crate::link::Peer;
use crate::swarm::MANAGER_PORT;
use crate::{NodeId, NodeName, Snapshot};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The other nodes: from the node list, the managers the engine names or the node remembers, and gossip.
/// Addresses of this node, present or past, are left out.
pub fn peers(bundle: &Bundle) -> Vec<Peer> {
    peers_of(&super::snapshot(bundle))
}

/// The same, from facts that were read already.
pub fn peers_of(snapshot: &Snapshot) -> Vec<Peer> {
    let own_id = own_id(snapshot);
    let own_addresses = self_addresses(snapshot);
    let mut peers: BTreeMap<IpAddr, Peer> = BTreeMap::new();
    let mut add = |addr: IpAddr, id: Option<&NodeId>, name: Option<&NodeName>, port: Option<u16>| {
        let own = own_addresses.contains(&addr) || id.is_some_and(|id| Some(id) == own_id.as_ref());
        if own || addr.is_unspecified() || addr.is_loopback() {
            return;
        }
        let peer = peers.entry(addr).or_insert(Peer { addr, name: None, node_id: None, manager_port: None });
        peer.node_id = peer.node_id.take().or(id.filter(|id| !id.as_str().is_empty()).cloned());
        peer.name = peer.name.take().or(name.filter(|name| !name.as_str().is_empty()).cloned());
        peer.manager_port = peer.manager_port.or(port);
    };
    for node in snapshot.nodes.get().iter().flat_map(|nodes| nodes.iter()) {
        // Raft's address is what the managers dial; the other is where the connection came from.
        let manager: Option<SocketAddr> = node.manager.as_ref().and_then(|manager| manager.addr);
        let addr = manager.map(|addr| addr.ip()).or(node.addr);
        // The leader dials back to one that is to become a manager before it takes it in.
        let port = manager.map(|addr| addr.port()).or(node.wants_manager.then_some(MANAGER_PORT));
        if let Some(addr) = addr {
            add(addr, Some(&node.id), Some(&node.name), port);
        }
    }
    for host in &snapshot.hosts {
        let reported = host.info.get().map(|info| info.swarm.managers.clone()).unwrap_or_default();
        let remembered =
            host.remembered_managers.get().map(|managers| managers.value.clone()).unwrap_or_default();
        for manager in reported.iter().chain(&remembered) {
            add(manager.addr.ip(), Some(&manager.node_id), None, Some(manager.addr.port()));
        }
        // The manager of a join that has not come to its end.
        if let Ok(state) = host.swarm_state.get()
            && let Some(state) = state.value.as_ref().filter(|state| state.join_in_progress)
            && let Ok(manager) = state.remote_addr.parse::<SocketAddr>()
        {
            add(manager.ip(), None, None, Some(manager.port()));
        }
        for network in host.networks.get().iter().flat_map(|networks| networks.iter()) {
            for peer in network.peers.iter().flatten() {
                add(peer.addr, None, None, None);
            }
        }
    }
    peers.into_values().collect()
}

/// The node id of the host that was looked at.
fn own_id(snapshot: &Snapshot) -> Option<NodeId> {
    let host = snapshot.hosts.first()?;
    let reported = host.info.get().ok().map(|info| info.swarm.node_id.clone());
    let certified = || Some(NodeId(host.certificate.get().ok()?.as_ref()?.common_name.clone()));
    reported.filter(|id| !id.as_str().is_empty()).or_else(certified)
}

/// Every address this node has, advertises or is known by.
fn self_addresses(snapshot: &Snapshot) -> Vec<IpAddr> {
    let own_id = own_id(snapshot);
    let mut own = Vec::new();
    for host in &snapshot.hosts {
        own.extend(host.info.get().ok().and_then(|info| info.swarm.node_addr));
        if let Ok(state) = host.swarm_state.get()
            && let Some(state) = &state.value
        {
            let addr = state.advertise_addr.as_str();
            let ip = addr.parse::<SocketAddr>().map(|a| a.ip()).or_else(|_| addr.parse());
            own.extend(ip.ok());
        }
        let interfaces = host.interfaces.get();
        own.extend(interfaces.iter().flat_map(|i| i.iter()).flat_map(|i| i.addresses.iter().map(|a| a.addr)));
    }
    for node in snapshot.nodes.get().iter().flat_map(|nodes| nodes.iter()) {
        if Some(&node.id) == own_id.as_ref() {
            own.extend(node.addr);
        }
    }
    own
}
