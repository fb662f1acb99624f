//! Probes of the other nodes, all at once.

mod icmp;
pub(super) mod tcp;

use super::{Artifact, Place, Session};
use facts::Need;
use facts::host::Protocol;
use facts::link::{Attempt, Outcome, Peer, Probe};
use futures_util::stream::{self, StreamExt};
use std::time::{Duration, Instant};

pub(super) use tcp::connect;

/// The port of gossip between nodes.
const GOSSIP: u16 = 7946;
/// A burst: the number of echoes to each node, on the underlay and over an overlay.
pub(super) const BURST_ECHOES: u32 = 10;
/// The time between two of them. Every run waits for the whole burst.
pub(super) const BURST_INTERVAL: Duration = Duration::from_millis(10);
/// The number of concurrent probes: a process usually may open 1024 files.
const AT_ONCE: usize = 512;

pub(super) async fn probes(session: &Session) -> Vec<Artifact> {
    let place = Place::new(Need::Probes, "probes.json", "connections and ICMP echoes to the other nodes");
    if let Some(why) = session.elsewhere() {
        return vec![place.missed(why)];
    }
    let peers = session.peers().await;
    vec![place.kept_as_json(&probe(peers, session.options.probe_deadline).await)]
}

/// All probes of these peers, each with the deadline.
async fn probe(peers: Vec<Peer>, deadline: Duration) -> Vec<Probe> {
    let echoes = icmp::Echoes::default();
    let attempts = peers.into_iter().flat_map(|peer| {
        let attempts = attempts(&peer);
        attempts.into_iter().map(move |attempt| (peer.clone(), attempt))
    });
    let echoes = &echoes;
    let probes = attempts.map(|(peer, attempt)| async move {
        let began = Instant::now();
        let outcome = match attempt {
            Attempt::Echo => echoes.echo(peer.addr, deadline).await,
            Attempt::Connect { port, .. } => tcp::connect((peer.addr, port).into(), deadline).await,
        };
        let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let burst = match (attempt, &outcome) {
            (Attempt::Echo, Outcome::Open) => echoes.burst(peer.addr, took_us).await,
            _ => None,
        };
        Probe { peer, attempt, outcome, took_us, burst }
    });
    let mut probes: Vec<_> = stream::iter(probes).buffer_unordered(AT_ONCE).collect().await;
    probes.sort_by(|a, b| (&a.peer, a.attempt).cmp(&(&b.peer, b.attempt)));
    probes
}

fn attempts(peer: &Peer) -> Vec<Attempt> {
    let connect = |port| Attempt::Connect { protocol: Protocol::Tcp, port };
    let ports = peer.manager_port.into_iter().chain([GOSSIP]);
    std::iter::once(Attempt::Echo).chain(ports.map(connect)).collect()
}

/// The meaning of an errno.
pub(super) fn outcome(errno: i32) -> Outcome {
    match errno {
        libc::ECONNREFUSED | libc::ECONNRESET => Outcome::Refused { errno },
        libc::ETIMEDOUT => Outcome::Filtered,
        libc::EHOSTUNREACH
        | libc::ENETUNREACH
        | libc::EACCES
        | libc::EHOSTDOWN
        | libc::ENETDOWN
        | libc::ENONET => Outcome::Unreachable { errno },
        errno => Outcome::NotSent { errno },
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use tests::in_new_namespace;
