//! A worker that gossips under another address than the one its connection to the managers comes from.

use super::moved_manager::addresses;
use crate::{Confidence, Evidence, Finding, Subject, View};
use facts::host::Protocol;
use facts::link::{Attempt, Outcome};
use facts::log::{Line, Log};
use facts::swarm::{Node, NodeState};
use facts::{Gap, Host, NodeName, Seen};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The gossip port, fixed in libnetwork.
const GOSSIP_PORT: u16 = 7946;

/// A worker that gossip has lost.
pub(crate) struct MovedWorker<'a> {
    pub(crate) node: &'a Node,
    /// The address by which gossip last knew it.
    pub(crate) old: IpAddr,
    /// The address that its connection to the managers comes from.
    pub(crate) present: IpAddr,
    log: &'a Seen<Log>,
    line: &'a Line,
}

impl MovedWorker<'_> {
    /// Adds the gossip log line to the finding.
    pub(crate) fn add_evidence<'f>(&self, finding: &'f mut Finding) -> &'f mut Finding {
        // Findings about gossip peers name the old address.
        let address = Subject::Node(NodeName(self.old.to_string()));
        finding.with(Evidence::log(self.log, self.line)).confidence(Confidence::Medium).also_affects(address)
    }

    /// Its entry in the node list.
    pub(crate) fn entry(&self) -> String {
        format!("{}: Status.State: ready; Status.Addr: {}", self.node.name, self.present)
    }
}

/// The worker whose session comes from an address that gossip does not have, while gossip lost an address that no entry of
/// the node list has. On hosts with two networks the two addresses always differ; gossip answers at the one it knows.
pub(crate) fn moved_worker<'a>(host: &'a Host, view: &View<'a>) -> Result<Option<MovedWorker<'a>>, Gap> {
    let nodes = view.snapshot.nodes.get()?;
    let listed: BTreeSet<IpAddr> = nodes.iter().flat_map(addresses).collect();
    let networks = host.networks.get()?;
    let Some(peers) = networks.iter().find(|network| network.ingress).and_then(|n| n.peers.as_ref()) else {
        return Ok(None);
    };
    let in_gossip = |addr: IpAddr| peers.iter().any(|peer| peer.addr == addr);
    let lost: Vec<(&Node, IpAddr)> = nodes
        .iter()
        .filter(|node| node.manager.is_none() && node.state == NodeState::Ready)
        .filter_map(|node| Some((node, node.addr?)))
        .filter(|(_, addr)| !addr.is_loopback() && !addr.is_unspecified() && !in_gossip(*addr))
        .collect();
    if lost.is_empty() {
        return Ok(None);
    }
    let probes = host.probes.get()?;
    let gossip = Attempt::Connect { protocol: Protocol::Tcp, port: GOSSIP_PORT };
    let accepts = |addr: IpAddr| {
        probes.iter().any(|p| p.peer.addr == addr && p.attempt == gossip && p.outcome == Outcome::Open)
    };
    let log = host.log.get()?;
    let own: BTreeSet<IpAddr> =
        host.info.get().ok().and_then(|info| info.swarm.node_addr).into_iter().collect();
    let events = last_events(&log.lines);
    let unlisted: Vec<&GossipEvent<'_>> = events
        .iter()
        .filter(|event| !listed.contains(&event.addr) && !own.contains(&event.addr))
        .filter(|event| !accepts(event.addr))
        .collect();
    // The log names every node that was ever removed; the moved one is the last that gossip lost.
    let Some(GossipEvent { addr: old, line, at, .. }) = unlisted.last() else { return Ok(None) };
    // A worker that left under its present address before may have come back under another.
    let left_before = |event: &GossipEvent<'_>| !event.joined && event.at < *at;
    let moved: Vec<_> = lost
        .into_iter()
        .filter(|(_, addr)| accepts(*addr))
        .filter(|(_, addr)| events.iter().filter(|event| event.addr == *addr).all(left_before))
        .collect();
    // With two candidates it is not known which of them moved.
    let [(node, present)] = moved.as_slice() else { return Ok(None) };
    let (old, present) = (*old, *present);
    Ok(Some(MovedWorker { node, old, present, log, line }))
}

/// The last line about an address that gossip added or lost: `Node 057fa7dc6f56/192.0.2.2, joined gossip cluster`.
struct GossipEvent<'a> {
    addr: IpAddr,
    joined: bool,
    /// Its position among the lines.
    at: usize,
    line: &'a Line,
}

fn last_events(lines: &[Line]) -> Vec<GossipEvent<'_>> {
    let mut events: Vec<GossipEvent<'_>> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let of = |line: &Line| {
            let rest = line.message.strip_prefix("Node ")?;
            let (node, what) = rest.split_once(", ")?;
            let addr = node.split_once('/')?.1.parse().ok()?;
            matches!(what, "joined gossip cluster" | "left gossip cluster")
                .then_some((addr, what.starts_with("joined")))
        };
        let Some((addr, joined)) = of(line) else { continue };
        events.retain(|other| other.addr != addr);
        events.push(GossipEvent { addr, joined, at, line });
    }
    events
}
