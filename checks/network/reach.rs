//! What the probes of one peer say together.

use facts::host::Protocol;
use facts::link::{Attempt, EPERM, Outcome, Peer, Probe};
use facts::{Gap, Host};

/// The port of gossip, fixed in libnetwork.
pub(super) const GOSSIP_PORT: u16 = 7946;

/// All probes of one peer.
pub(super) struct Reach<'a> {
    /// The peer.
    pub(super) peer: &'a Peer,
    probes: Vec<&'a Probe>,
}

/// The probes by peer, in the order of the peers.
pub(super) fn by_peer(probes: &[Probe]) -> Vec<Reach<'_>> {
    let mut reaches: Vec<Reach<'_>> = Vec::new();
    for probe in probes {
        match reaches.last_mut() {
            Some(reach) if *reach.peer == probe.peer => reach.probes.push(probe),
            _ => reaches.push(Reach { peer: &probe.peer, probes: vec![probe] }),
        }
    }
    reaches
}

impl Reach<'_> {
    /// What came of the TCP connection to a port, where it was tried.
    pub(super) fn tcp(&self, port: u16) -> Option<&Outcome> {
        let wanted = Attempt::Connect { protocol: Protocol::Tcp, port };
        self.probes.iter().find(|probe| probe.attempt == wanted).map(|probe| &probe.outcome)
    }

    /// What came of the connection to its manager port, where it has one.
    pub(super) fn manager(&self) -> Option<&Outcome> {
        self.tcp(self.peer.manager_port?)
    }

    /// What came of the connection to its gossip port.
    pub(super) fn gossip(&self) -> Option<&Outcome> {
        self.tcp(GOSSIP_PORT)
    }

    /// Whether the machine answered anything at all, were it with a no of its own.
    pub(super) fn machine_answers(&self) -> bool {
        self.probes.iter().any(|probe| matches!(probe.outcome, Outcome::Open | Outcome::Refused { .. }))
    }

    /// Whether something that was tried got lost.
    pub(super) fn is_lossy(&self) -> bool {
        self.probes
            .iter()
            .any(|probe| matches!(probe.outcome, Outcome::Filtered | Outcome::Unreachable { .. }))
    }

    /// Whether its engine answered on a swarm port.
    pub(super) fn engine_answers(&self) -> bool {
        let connects = self.probes.iter().filter(|probe| matches!(probe.attempt, Attempt::Connect { .. }));
        connects.into_iter().any(|probe| probe.outcome == Outcome::Open)
    }

    /// What came of each attempt.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.probes.iter().map(|probe| &probe.outcome)
    }

    /// Everything that was tried with what came of it, in one line.
    pub(super) fn shown(&self) -> String {
        let one = |probe: &&Probe| format!("{} {}", probe.attempt, probe.outcome);
        format!("{}: {}", self.peer.addr, self.probes.iter().map(one).collect::<Vec<_>>().join(", "))
    }
}

/// Whether there is a sign that the engine of a node runs although its gossip port refuses: another port of it
/// answers, or gossip still has it among its peers, as it does for some 10 s after an engine ends.
pub(super) fn engine_lives(host: &Host, reach: &Reach<'_>) -> Result<bool, Gap> {
    if reach.engine_answers() {
        return Ok(true);
    }
    let networks = host.networks.get()?;
    let mut peers = networks.iter().filter_map(|network| network.peers.as_ref()).flatten();
    Ok(peers.any(|peer| peer.addr == reach.peer.addr))
}

/// In words: what a failed connection says.
pub(crate) fn story(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Open => "open",
        Outcome::Refused { .. } => "refused: nobody listens there, or a firewall rejects it",
        Outcome::Filtered => "dropped: no answer comes, while the machine answers otherwise",
        Outcome::Unreachable { .. } => "rejected on the way, as a firewall does with icmp-host-prohibited",
        Outcome::NotSent { errno: EPERM } => "not let out by this machine's own firewall",
        Outcome::NotSent { .. } => "not sent: this machine's kernel refuses to",
    }
}
