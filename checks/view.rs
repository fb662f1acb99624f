//! The snapshot, with what checks join on.

use crate::Thresholds;
use facts::link::Peer;
use facts::swarm::Node;
use facts::{Gap, Host, NodeId, NodeName, Snapshot};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What a check sees.
pub struct View<'a> {
    /// All the facts.
    pub snapshot: &'a Snapshot,
    /// From where on something is said.
    pub thresholds: Thresholds,
    /// Machines by the address that they advertise, where several were looked at.
    pub names: Option<&'a BTreeMap<IpAddr, NodeName>>,
}

impl<'a> View<'a> {
    /// A view of a snapshot.
    pub fn of(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, thresholds: Thresholds::default(), names: None }
    }

    /// The entry of a host in the node list; `None` where the list has no such entry.
    pub fn node_of(&self, host: &Host) -> Result<Option<&'a Node>, Gap> {
        let info = host.info.get()?;
        self.node(&info.swarm.node_id)
    }

    /// The manager on which to do what only a manager can: one that was looked at, where there is one.
    pub fn manager(&self) -> Option<NodeName> {
        let controls = |host: &&Host| host.info.get().is_ok_and(|info| info.swarm.control_available);
        self.snapshot.hosts.iter().find(controls).map(|host| host.name.clone())
    }

    /// The entry with this id.
    pub fn node(&self, id: &NodeId) -> Result<Option<&'a Node>, Gap> {
        Ok(self.snapshot.nodes.get()?.value.iter().find(|node| node.id == *id))
    }

    /// The name of a node that was probed, from wherever it is known, else its address.
    pub fn name_of_peer(&self, peer: &Peer) -> NodeName {
        peer.name.clone().unwrap_or_else(|| self.name_of(peer.addr))
    }

    /// The name of whoever has this address, from the node list, else the address itself.
    pub fn name_of(&self, addr: IpAddr) -> NodeName {
        let nodes = self.snapshot.nodes.get().map(|nodes| nodes.value.as_slice()).unwrap_or_default();
        let holds = |node: &&Node| {
            node.addr == Some(addr)
                || node.manager.as_ref().and_then(|m| m.addr).is_some_and(|manager| manager.ip() == addr)
        };
        let listed = nodes.iter().find(holds).map(|node| node.name.clone());
        let known = || self.names?.get(&addr).cloned();
        listed.or_else(known).unwrap_or_else(|| NodeName(addr.to_string()))
    }
}
