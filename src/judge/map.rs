//! The known part of the swarm: its nodes, and the state of the paths between them.

use crate::matrix::{Path, Row, State, rows};
use facts::link::{Attempt, Outcome, Peer, Probe};
use facts::swarm::Node;
use facts::{Host, Snapshot};
use std::collections::BTreeMap;

/// The nodes and the paths between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map {
    /// The nodes: managers first, then by name.
    pub spots: Vec<Spot>,
    /// The paths that were looked at.
    pub links: Vec<Link>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Its name in findings: the hostname, else the address.
    pub label: String,
    /// Its address, where it is known.
    pub addr: Option<String>,
    /// What it is.
    pub role: Role,
    /// The state that the managers have it in, where they were asked.
    pub state: Option<String>,
    /// Its availability, where it is not `active`.
    pub availability: Option<String>,
    /// Whether it was looked at from inside.
    pub looked_at: bool,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The manager that leads.
    Leader,
    /// A manager.
    Manager,
    /// A worker.
    Worker,
    /// Not measured.
    Unknown,
}

/// The way from one node to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it begins, in [`Map::spots`].
    pub from: usize,
    /// Where it ends.
    pub to: usize,
    /// The layers that were looked at.
    pub paths: Vec<Path>,
    /// How long an echo took, in microseconds.
    pub echo_us: Option<u64>,
}

impl Link {
    /// What is known of it as a whole: one layer that does not work makes a link that does not.
    pub fn state(&self) -> State {
        let any = |state| self.paths.iter().any(|path| path.state == state);
        if any(State::Refuted) {
            State::Refuted
        } else if any(State::Proven) {
            State::Proven
        } else {
            State::Unknown
        }
    }
}

/// The nodes while they are gathered, and by what they are found again.
#[derive(Default)]
struct Gathering {
    spots: Vec<(Spot, String)>,
    by_id: BTreeMap<String, usize>,
    by_addr: BTreeMap<String, usize>,
    by_label: BTreeMap<String, usize>,
}

impl Map {
    /// The swarm in a snapshot.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let mut gathering = Gathering::default();
        for node in snapshot.nodes.get().iter().flat_map(|nodes| nodes.iter()) {
            gathering.node(node);
        }
        // Examined hosts first, because they know their own names; other nodes may only know their addresses.
        let hosts: Vec<(usize, &Host)> =
            snapshot.hosts.iter().map(|host| (gathering.host(host), host)).collect();
        let mut links = Vec::new();
        for (from, host) in hosts {
            for (probes, Row { paths, .. }) in rows(host) {
                let Some(to) = probes.first().map(|probe| gathering.peer(&probe.peer)) else { continue };
                // Unknown and inapplicable paths are left out.
                let decided = |path: &Path| matches!(path.state, State::Proven | State::Refuted);
                let paths = paths.into_iter().filter(decided).collect();
                links.push(Link { from, to, paths, echo_us: echo(probes) });
            }
        }
        gathering.sorted(links)
    }
}

fn echo(probes: &[Probe]) -> Option<u64> {
    let echo = |probe: &&Probe| probe.attempt == Attempt::Echo && probe.outcome == Outcome::Open;
    probes.iter().find(echo).map(|probe| probe.took_us)
}

impl Gathering {
    fn node(&mut self, node: &Node) {
        let addr = node.manager.as_ref().and_then(|manager| Some(manager.addr?.ip())).or(node.addr);
        let role = match &node.manager {
            Some(manager) if manager.leader => Role::Leader,
            Some(_) => Role::Manager,
            None => Role::Worker,
        };
        self.add(
            Spot {
                label: node.name.to_string(),
                addr: addr.map(|addr| addr.to_string()),
                role,
                state: Some(node.state.as_str().to_owned()),
                availability: Some(node.availability.clone()).filter(|word| word != "active"),
                looked_at: false,
            },
            node.id.as_str(),
        );
    }

    /// The machine that was looked at.
    fn host(&mut self, host: &Host) -> usize {
        let info = host.info.get().ok();
        let id = info.map(|info| info.swarm.node_id.as_str().to_owned()).unwrap_or_default();
        let addr = info.and_then(|info| info.swarm.node_addr).map(|addr| addr.to_string());
        let found = self.find(&id, addr.as_deref(), host.name.as_str());
        let at = found.unwrap_or_else(|| {
            let role = match info {
                Some(info) if info.swarm.control_available => Role::Manager,
                Some(info) if info.swarm.state.as_str() == "active" => Role::Worker,
                _ => Role::Unknown,
            };
            let label = host.name.to_string();
            self.add(Spot { label, addr, role, state: None, availability: None, looked_at: false }, &id)
        });
        if let Some((spot, _)) = self.spots.get_mut(at) {
            spot.looked_at = true;
        }
        at
    }

    /// A node that another knows of.
    fn peer(&mut self, peer: &Peer) -> usize {
        let id = peer.node_id.as_ref().map(|id| id.as_str()).unwrap_or_default();
        let (addr, label) = (peer.addr.to_string(), peer.label());
        self.find(id, Some(&addr), &label).unwrap_or_else(|| {
            let role = if peer.manager_port.is_some() { Role::Manager } else { Role::Unknown };
            let spot =
                Spot { label, addr: Some(addr), role, state: None, availability: None, looked_at: false };
            self.add(spot, id)
        })
    }

    fn find(&self, id: &str, addr: Option<&str>, label: &str) -> Option<usize> {
        let by_addr = || addr.and_then(|addr| self.by_addr.get(addr));
        self.by_id.get(id).or_else(by_addr).or_else(|| self.by_label.get(label)).copied()
    }

    fn add(&mut self, spot: Spot, id: &str) -> usize {
        let at = self.spots.len();
        if !id.is_empty() {
            self.by_id.insert(id.to_owned(), at);
        }
        if let Some(addr) = &spot.addr {
            self.by_addr.insert(addr.clone(), at);
        }
        self.by_label.insert(spot.label.clone(), at);
        self.spots.push((spot, id.to_owned()));
        at
    }

    /// The map in an order that does not hang on who was looked at first.
    fn sorted(self, mut links: Vec<Link>) -> Map {
        let mut spots: Vec<(usize, Spot, String)> =
            self.spots.into_iter().enumerate().map(|(at, (spot, id))| (at, spot, id)).collect();
        let group = |role: Role| if role == Role::Leader { Role::Manager } else { role };
        spots.sort_by(|(_, one, one_id), (_, other, other_id)| {
            let key = |spot: &Spot| (group(spot.role), natural(&spot.label));
            key(one).cmp(&key(other)).then_with(|| one_id.cmp(other_id))
        });
        let mut places = vec![0; spots.len()];
        for (new, (old, ..)) in spots.iter().enumerate() {
            if let Some(place) = places.get_mut(*old) {
                *place = new;
            }
        }
        let place = |old: usize| places.get(old).copied().unwrap_or(old);
        for link in &mut links {
            (link.from, link.to) = (place(link.from), place(link.to));
        }
        links.sort_by_key(|link| (link.from, link.to));
        Map { spots: spots.into_iter().map(|(_, spot, _)| spot).collect(), links }
    }
}

/// A name in parts, so that `node10` comes after `node9`.
fn natural(label: &str) -> Vec<(u64, String)> {
    let mut parts = Vec::new();
    for part in label.split_inclusive(|char: char| !char.is_ascii_digit()) {
        let end = part.find(|char: char| !char.is_ascii_digit()).unwrap_or(part.len());
        let (digits, rest) = part.split_at(end);
        parts.push((digits.parse().unwrap_or_default(), rest.to_owned()));
    }
    parts
}
