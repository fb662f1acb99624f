//! The managers as one node sees them: which answer, and what became of the others.

use facts::host::Protocol;
use facts::link::{Attempt, Outcome};
use facts::{Gap, Host, NodeId};

/// The port of gossip, fixed in libnetwork.
const GOSSIP_PORT: u16 = 7946;

/// The managers that a node knows.
pub(super) struct Managers {
    /// The others.
    pub(super) others: Vec<Manager>,
    /// How many this node itself is: 1 for a manager.
    own: usize,
}

/// Another manager.
pub(super) struct Manager {
    /// Its name, else its address.
    pub(super) label: String,
    /// Its node id, where it is known.
    pub(super) id: Option<NodeId>,
    /// What came of reaching for it.
    pub(super) standing: Standing,
}

/// What came of reaching for a manager.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Standing {
    /// Its manager port takes connections.
    Answers,
    /// Its ports take connections, as the kernel does for a program that hangs, and gossip has lost it.
    Hangs,
    /// Only its manager port takes none.
    PortShut,
    /// Its machine is there, and its engine listens on no swarm port.
    EngineOff,
    /// Nothing comes back.
    Silent,
}

impl Standing {
    /// In words that read after the manager's name.
    pub(super) fn story(self) -> &'static str {
        match self {
            Self::Answers => "its manager port takes connections",
            Self::Hangs => "its ports take connections and its engine answers nobody: it is frozen or hangs",
            Self::PortShut => "its engine runs and its manager port takes no connection",
            Self::EngineOff => "its machine answers and no engine listens on its swarm ports",
            Self::Silent => "neither its swarm ports nor its machine answer",
        }
    }

    /// What to do there.
    pub(super) fn advice(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Answers => (
                "see whether its engine hangs, and whether it reaches the others on 2377/tcp",
                &["swarm-doctor run"],
            ),
            Self::Hangs => (
                "let a frozen engine go on, restart one that hangs",
                &["swarm-doctor run", "kill -CONT $(pidof dockerd)", "systemctl restart docker"],
            ),
            Self::PortShut => ("open 2377/tcp there", &["swarm-doctor run", "iptables -S INPUT"]),
            Self::EngineOff => (
                "start its engine, or see there why it ended",
                &["systemctl start docker", "swarm-doctor run"],
            ),
            Self::Silent => (
                "see whether the machine has power and network, and bring it back: machine, engine, disk, clock",
                &["systemctl status docker", "swarm-doctor run"],
            ),
        }
    }
}

impl Managers {
    /// The others by their probes, and `own` for this node, where it is one.
    pub(super) fn seen_from(host: &Host, own: usize) -> Result<Self, Gap> {
        let probes = host.probes.get()?;
        let mut others = Vec::new();
        let tcp = |port| Attempt::Connect { protocol: Protocol::Tcp, port };
        for probe in probes.iter() {
            if probe.peer.manager_port.map(tcp) != Some(probe.attempt) {
                continue;
            }
            let of_peer: Vec<_> = probes.iter().filter(|other| other.peer == probe.peer).collect();
            let gossip = of_peer.iter().find(|other| other.attempt == tcp(GOSSIP_PORT));
            let gossips = gossip.is_some_and(|gossip| gossip.outcome == Outcome::Open);
            let machine_answers =
                of_peer.iter().any(|p| matches!(p.outcome, Outcome::Open | Outcome::Refused { .. }));
            let standing = match &probe.outcome {
                Outcome::Open if gossips && lost_from_gossip(host, probe.peer.addr) => Standing::Hangs,
                Outcome::Open => Standing::Answers,
                _ if gossips => Standing::PortShut,
                _ if machine_answers => Standing::EngineOff,
                _ => Standing::Silent,
            };
            others.push(Manager { label: probe.peer.label(), id: probe.peer.node_id.clone(), standing });
        }
        Ok(Self { others, own })
    }

    /// All of them.
    pub(super) fn known(&self) -> usize {
        self.own + self.others.len()
    }

    /// More than half of them, as raft wants.
    pub(super) fn needed(&self) -> usize {
        self.known() / 2 + 1
    }

    /// Those that answer, this node among them where it is one.
    pub(super) fn present(&self) -> usize {
        self.own + self.others.iter().filter(|other| other.standing == Standing::Answers).count()
    }

    /// Those that do not answer.
    pub(super) fn silent(&self) -> impl Iterator<Item = &Manager> {
        self.others.iter().filter(|other| other.standing != Standing::Answers)
    }

    /// Those that could answer again without a new machine.
    pub(super) fn within_reach(&self) -> usize {
        self.silent().filter(|other| other.standing != Standing::Silent).count()
    }

    /// How many answer of how many.
    pub(super) fn count(&self) -> String {
        let silent: Vec<_> = self.silent().map(|other| other.label.as_str()).collect();
        format!(
            "{} of {} answer and {} are needed; silent: {}",
            self.present(),
            self.known(),
            self.needed(),
            silent.join(", ")
        )
    }

    /// Each of the others with what came of reaching for it.
    pub(super) fn shown(&self) -> String {
        let one = |other: &Manager| format!("{}: {}", other.label, other.standing.story());
        match self.others.is_empty() {
            true => "no other manager is known".to_owned(),
            false => self.others.iter().map(one).collect::<Vec<_>>().join("; "),
        }
    }
}

/// Whether gossip, which reaches this node otherwise, no longer counts an address among its peers.
fn lost_from_gossip(host: &Host, addr: std::net::IpAddr) -> bool {
    let Ok(networks) = host.networks.get() else { return false };
    let mut peers =
        networks.iter().filter(|network| network.ingress).filter_map(|network| network.peers.as_ref());
    peers.any(|peers| !peers.is_empty() && !peers.iter().any(|peer| peer.addr == addr))
}
