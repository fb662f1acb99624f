//! The probes of one peer, taken together.

use facts::host::Protocol;
use facts::link::{Attempt, Burst, EPERM, Outcome, Peer, Probe};
use facts::{Gap, Host};

/// The port of gossip, fixed in libnetwork.
pub(crate) const GOSSIP_PORT: u16 = 7946;

/// All probes of one peer.
pub(crate) struct Reach<'a> {
    pub(crate) peer: &'a Peer,
    probes: Vec<&'a Probe>,
}

/// The probes by peer, in the order of the peers.
pub(crate) fn by_peer(probes: &[Probe]) -> Vec<Reach<'_>> {
    let mut reaches: Vec<Reach<'_>> = Vec::new();
    for probe in probes {
        match reaches.last_mut() {
            Some(reach) if *reach.peer == probe.peer => reach.probes.push(probe),
            _ => reaches.push(Reach { peer: &probe.peer, probes: vec![probe] }),
        }
    }
    reaches
}

impl<'a> Reach<'a> {
    /// The outcome of the TCP probe of a port; `None` if it was not probed.
    pub(crate) fn tcp(&self, port: u16) -> Option<&'a Outcome> {
        let wanted = Attempt::Connect { protocol: Protocol::Tcp, port };
        self.probes.iter().find(|probe| probe.attempt == wanted).map(|probe| &probe.outcome)
    }

    /// The outcome for its manager port; `None` for a worker.
    pub(crate) fn manager(&self) -> Option<&'a Outcome> {
        self.tcp(self.peer.manager_port?)
    }

    /// The outcome for its gossip port.
    pub(crate) fn gossip(&self) -> Option<&'a Outcome> {
        self.tcp(GOSSIP_PORT)
    }

    /// Whether the host answered any probe. A refused connection is an answer.
    pub(crate) fn host_answers(&self) -> bool {
        self.probes.iter().any(|probe| matches!(probe.outcome, Outcome::Open | Outcome::Refused { .. }))
    }

    /// Whether any probe was lost.
    pub(crate) fn is_lossy(&self) -> bool {
        self.probes
            .iter()
            .any(|probe| matches!(probe.outcome, Outcome::Filtered | Outcome::Unreachable { .. }))
    }

    /// Whether a swarm port of it is open.
    pub(crate) fn engine_answers(&self) -> bool {
        let connects = self.probes.iter().filter(|probe| matches!(probe.attempt, Attempt::Connect { .. }));
        connects.into_iter().any(|probe| probe.outcome == Outcome::Open)
    }

    /// The outcome of every probe.
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = &'a Outcome> + '_ {
        self.probes.iter().map(|probe| &probe.outcome)
    }

    /// The burst of echoes on the underlay.
    pub(crate) fn burst(&self) -> Option<Burst> {
        self.probes.iter().find_map(|probe| probe.burst)
    }

    /// Every probe with its outcome, on one line.
    pub(crate) fn describe(&self) -> String {
        let one = |probe: &&Probe| format!("{} {}", probe.attempt, probe.outcome);
        format!("{}: {}", self.peer.addr, self.probes.iter().map(one).collect::<Vec<_>>().join(", "))
    }
}

/// Whether the engine of a node runs although its gossip port refuses connections: another swarm port is open, or
/// gossip still lists the node, as it does for about 10 s after an engine stops.
pub(crate) fn engine_runs(host: &Host, reach: &Reach<'_>) -> Result<bool, Gap> {
    if reach.engine_answers() {
        return Ok(true);
    }
    let networks = host.networks.get()?;
    let mut peers = networks.iter().filter_map(|network| network.peers.as_ref()).flatten();
    Ok(peers.any(|peer| peer.addr == reach.peer.addr))
}

/// The outcome of a connection as a predicate of the port: `... is {text}`.
pub(crate) fn describe_outcome(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Open => "open",
        Outcome::Refused { .. } => "refused: nothing listens on the port, or a firewall rejects it",
        Outcome::Filtered => "dropped: no answer, while the host answers other probes",
        Outcome::Unreachable { .. } => {
            "rejected on the path with an ICMP error, as firewalls do (icmp-host-prohibited)"
        }
        Outcome::NotSent { errno: EPERM } => "blocked by a firewall rule of this node (EPERM)",
        Outcome::NotSent { .. } => "not sent: the kernel of this node refuses to send",
    }
}
