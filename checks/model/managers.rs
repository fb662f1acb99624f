//! The managers as one node sees them: which of them answer, and what is wrong with the others.

use facts::host::Protocol;
use facts::link::{Attempt, Outcome};
use facts::{Gap, Host, NodeId};

/// The gossip port, fixed in libnetwork.
const GOSSIP_PORT: u16 = 7946;

/// The managers that a node knows.
pub(crate) struct Managers {
    /// The managers other than this node.
    pub(crate) others: Vec<Manager>,
    /// 1 where this node is itself a manager, else 0.
    own: usize,
}

/// Another manager.
pub(crate) struct Manager {
    /// Its hostname, else its address.
    pub(crate) label: String,
    /// Its node id, where it is known.
    pub(crate) id: Option<NodeId>,
    /// What the probes of it showed.
    pub(crate) standing: Standing,
}

/// What the probes of a manager showed.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Standing {
    /// Its manager port accepts connections.
    Answers,
    /// Its ports accept connections, as the kernel does for a hanging program, and gossip has lost it.
    Hangs,
    /// Only its manager port accepts no connection.
    PortShut,
    /// The host answers, and nothing listens on its swarm ports.
    EngineOff,
    /// Nothing answers.
    Silent,
}

impl Standing {
    /// The state as a clause.
    pub(crate) fn story(self) -> &'static str {
        match self {
            Self::Answers => "its manager port accepts connections",
            Self::Hangs => {
                "its ports accept connections and dockerd does not answer: dockerd is stopped or hangs"
            }
            Self::PortShut => "dockerd runs there and its manager port accepts no connection",
            Self::EngineOff => "the host answers and nothing listens on its swarm ports",
            Self::Silent => "neither the host nor its swarm ports answer",
        }
    }

    /// What to do on that node after `swarm-doctor run` there.
    pub(crate) fn advice(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Answers => (
                "run swarm-doctor there: it shows whether dockerd hangs and whether it reaches the other managers on \
                 2377/tcp",
                &["sudo swarm-doctor run"],
            ),
            Self::Hangs => (
                "run swarm-doctor there; resume a stopped dockerd, restart one that hangs",
                &["sudo swarm-doctor run", "kill -CONT $(pidof dockerd)", "systemctl restart docker"],
            ),
            Self::PortShut => (
                "run swarm-doctor there; open 2377/tcp in its firewall",
                &["sudo swarm-doctor run", "iptables -S INPUT"],
            ),
            Self::EngineOff => (
                "run swarm-doctor there; start dockerd",
                &["sudo swarm-doctor run", "systemctl start docker"],
            ),
            Self::Silent => (
                "check the power and the network of the host; once it is up, run swarm-doctor there",
                &["sudo swarm-doctor run", "systemctl status docker"],
            ),
        }
    }
}

impl Managers {
    /// The other managers by their probes; `own` is 1 where this node is a manager.
    pub(crate) fn seen_from(host: &Host, own: usize) -> Result<Self, Gap> {
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
            let host_answers =
                of_peer.iter().any(|p| matches!(p.outcome, Outcome::Open | Outcome::Refused { .. }));
            let standing = match &probe.outcome {
                Outcome::Open if gossips && lost_from_gossip(host, probe.peer.addr) => Standing::Hangs,
                Outcome::Open => Standing::Answers,
                _ if gossips => Standing::PortShut,
                _ if host_answers => Standing::EngineOff,
                _ => Standing::Silent,
            };
            others.push(Manager { label: probe.peer.label(), id: probe.peer.node_id.clone(), standing });
        }
        Ok(Self { others, own })
    }

    /// The number of all managers.
    pub(crate) fn known(&self) -> usize {
        self.own + self.others.len()
    }

    /// The majority that raft needs.
    pub(crate) fn needed(&self) -> usize {
        self.known() / 2 + 1
    }

    /// The number of managers that answer, this node included where it is one.
    pub(crate) fn present(&self) -> usize {
        self.own + self.others.iter().filter(|other| other.standing == Standing::Answers).count()
    }

    /// The managers that do not answer.
    pub(crate) fn silent(&self) -> impl Iterator<Item = &Manager> {
        self.others.iter().filter(|other| other.standing != Standing::Answers)
    }

    /// The number of unreachable managers whose host is up.
    pub(crate) fn recoverable(&self) -> usize {
        self.silent().filter(|other| other.standing != Standing::Silent).count()
    }

    /// `1 of 3 managers answer and 2 are needed; unreachable: node2, node3`.
    pub(crate) fn count(&self) -> String {
        let silent: Vec<_> = self.silent().map(|other| other.label.as_str()).collect();
        format!(
            "{} of {} managers answer and {} are needed; unreachable: {}",
            self.present(),
            self.known(),
            self.needed(),
            silent.join(", ")
        )
    }

    /// Each of the other managers with its state.
    pub(crate) fn states(&self) -> String {
        let one = |other: &Manager| format!("{}: {}", other.label, other.standing.story());
        if self.others.is_empty() {
            "this node knows no other manager".to_owned()
        } else {
            self.others.iter().map(one).collect::<Vec<_>>().join("; ")
        }
    }
}

/// Whether the gossip cluster, which works otherwise, no longer lists an address among its peers.
fn lost_from_gossip(host: &Host, addr: std::net::IpAddr) -> bool {
    let Ok(networks) = host.networks.get() else { return false };
    let mut peers =
        networks.iter().filter(|network| network.ingress).filter_map(|network| network.peers.as_ref());
    peers.any(|peers| !peers.is_empty() && !peers.iter().any(|peer| peer.addr == addr))
}
