//! A worker that gossips under another address than the one its connection to the managers comes from.

use crate::{Confidence, Evidence, Finding, Subject, View};
use facts::host::Protocol;
use facts::link::{Attempt, Outcome};
use facts::log::{Line, Log};
use facts::swarm::{Node, NodeState};
use facts::{Gap, Host, NodeName, Seen};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The port of gossip, fixed in libnetwork.
const GOSSIP_PORT: u16 = 7946;

/// A worker that is out of gossip, and the address by which gossip last knew one of its kind.
pub(super) struct Moved<'a> {
    pub(super) node: &'a Node,
    /// What gossip knew.
    pub(super) old: IpAddr,
    /// Where its connection to the managers comes from.
    pub(super) seen: IpAddr,
    log: &'a Seen<Log>,
    line: &'a Line,
}

impl Moved<'_> {
    /// Adds what it rests on.
    pub(super) fn prove<'f>(&self, finding: &'f mut Finding) -> &'f mut Finding {
        // To gossip it is still that address, by no name.
        let address = Subject::Node(NodeName(self.old.to_string()));
        finding.with(Evidence::log(self.log, self.line)).confidence(Confidence::Medium).also_affects(address)
    }

    /// What the node list says.
    pub(super) fn shown(&self) -> String {
        format!("{}: Status.State: ready; Status.Addr: {}", self.node.name, self.seen)
    }
}

/// The worker whose connection comes from an address that gossip has not got, while gossip lost one that no node of
/// the list has. On machines with two networks the two differ for good; there gossip answers at the one it knows.
pub(super) fn moved<'a>(host: &'a Host, view: &View<'a>) -> Result<Option<Moved<'a>>, Gap> {
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
    let takes_connections = |addr: IpAddr| {
        probes.iter().any(|p| p.peer.addr == addr && p.attempt == gossip && p.outcome == Outcome::Open)
    };
    let log = host.log.get()?;
    let own: BTreeSet<IpAddr> =
        host.info.get().ok().and_then(|info| info.swarm.node_addr).into_iter().collect();
    let words = last_words(&log.lines);
    let strays: Vec<&LastWord<'_>> = words
        .iter()
        .filter(|word| !listed.contains(&word.addr) && !own.contains(&word.addr))
        .filter(|word| !takes_connections(word.addr))
        .collect();
    // The log remembers whoever was ever removed; who has moved is the last to be lost.
    let Some(LastWord { addr: old, line, at, .. }) = strays.last() else { return Ok(None) };
    // One that left by its present address before may well have come back under another.
    let gone_before = |word: &LastWord<'_>| !word.joined && word.at < *at;
    let moved: Vec<_> = lost
        .into_iter()
        .filter(|(_, addr)| takes_connections(*addr))
        .filter(|(_, addr)| words.iter().filter(|word| word.addr == *addr).all(gone_before))
        .collect();
    // With two nobody can say which of them it is.
    let [(node, seen)] = moved.as_slice() else { return Ok(None) };
    let (old, seen) = (*old, *seen);
    Ok(Some(Moved { node, old, seen, log, line }))
}

fn addresses(node: &Node) -> impl Iterator<Item = IpAddr> {
    node.addr.into_iter().chain(node.manager.as_ref().and_then(|manager| manager.addr).map(|addr| addr.ip()))
}

/// The last line about an address that gossip took in or lost: `Node 057fa7dc6f56/192.0.2.2, joined gossip cluster`.
struct LastWord<'a> {
    addr: IpAddr,
    joined: bool,
    /// Where it stands among the lines.
    at: usize,
    line: &'a Line,
}

fn last_words(lines: &[Line]) -> Vec<LastWord<'_>> {
    let mut words: Vec<LastWord<'_>> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let of = |line: &Line| {
            let rest = line.message.strip_prefix("Node ")?;
            let (node, what) = rest.split_once(", ")?;
            let addr = node.split_once('/')?.1.parse().ok()?;
            matches!(what, "joined gossip cluster" | "left gossip cluster")
                .then_some((addr, what.starts_with("joined")))
        };
        let Some((addr, joined)) = of(line) else { continue };
        words.retain(|other| other.addr != addr);
        words.push(LastWord { addr, joined, at, line });
    }
    words
}
