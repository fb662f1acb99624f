//! ICMP echoes.

use super::{BURST_ECHOES, BURST_INTERVAL, outcome};
use facts::link::{Burst, Outcome};
use futures_util::future::join_all;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use surge_ping::{Client, Config, ICMP, IcmpPacket, PingIdentifier, PingSequence, SurgeError};

/// The number of echoes to a silent peer: one packet may be lost.
const TRIES: u32 = 2;

/// The timeout of an echo of a burst is four times the first round-trip time, within these limits.
const LATE: Duration = Duration::from_millis(300);
const LATEST: Duration = Duration::from_millis(1000);

/// One socket for each address family, opened on first use.
#[derive(Default)]
pub(super) struct Echoes {
    v4: OnceLock<Result<Client, i32>>,
    v6: OnceLock<Result<Client, i32>>,
    sequence: AtomicU16,
}

impl Echoes {
    /// Sends echoes to a peer until one is answered. All share the deadline.
    pub(super) async fn echo(&self, addr: IpAddr, deadline: Duration) -> Outcome {
        let (cell, kind) = match addr {
            IpAddr::V4(_) => (&self.v4, ICMP::V4),
            IpAddr::V6(_) => (&self.v6, ICMP::V6),
        };
        let client = match cell.get_or_init(|| open(kind)) {
            Ok(client) => client,
            Err(errno) => return Outcome::NotSent { errno: *errno },
        };
        let number = self.sequence.fetch_add(1, Ordering::Relaxed);
        let mut pinger = client.pinger(addr, PingIdentifier(identifier())).await;
        pinger.timeout(deadline / TRIES);
        for _ in 0..TRIES {
            match pinger.ping(PingSequence(number), &[0; 32]).await {
                Ok((packet, _)) if is_reply(&packet) => return Outcome::Open,
                // A router, or this node itself without an answer to ARP, reports the peer as unreachable.
                Ok(_) => return Outcome::Unreachable { errno: libc::EHOSTUNREACH },
                Err(SurgeError::IOError(error)) => return sending(error.raw_os_error().unwrap_or(libc::EIO)),
                Err(_) => {}
            }
        }
        Outcome::Filtered
    }

    /// The loss and the round-trip times of a peer that answered within `first_us` microseconds.
    pub(super) async fn burst(&self, addr: IpAddr, first_us: u64) -> Option<Burst> {
        let client = match addr {
            IpAddr::V4(_) => self.v4.get(),
            IpAddr::V6(_) => self.v6.get(),
        };
        let client = client?.as_ref().ok()?;
        let timeout = LATE.max(Duration::from_micros(first_us.saturating_mul(4))).min(LATEST);
        let echoes = (0..BURST_ECHOES).map(|at| async move {
            tokio::time::sleep(BURST_INTERVAL * at).await;
            let number = self.sequence.fetch_add(1, Ordering::Relaxed);
            let mut pinger = client.pinger(addr, PingIdentifier(identifier())).await;
            pinger.timeout(timeout);
            let began = Instant::now();
            match pinger.ping(PingSequence(number), &[0; 32]).await {
                Ok((packet, _)) if is_reply(&packet) => u64::try_from(began.elapsed().as_micros()).ok(),
                _ => None,
            }
        });
        Some(Burst::of(&join_all(echoes).await))
    }
}

/// Whether a packet is an echo reply and not an error (RFC 792, RFC 4443).
fn is_reply(packet: &IcmpPacket) -> bool {
    match packet {
        IcmpPacket::V4(packet) => packet.get_icmp_type().0 == 0,
        IcmpPacket::V6(packet) => packet.get_icmpv6_type().0 == 129,
    }
}

/// A ping socket if the system allows it, otherwise a raw one, which needs a privilege.
fn open(kind: ICMP) -> Result<Client, i32> {
    let config = Config::builder().kind(kind).build();
    Client::new(&config).map_err(|error| error.raw_os_error().unwrap_or(libc::EPERM))
}

/// An echo cannot be refused; such an errno comes from this node.
fn sending(errno: i32) -> Outcome {
    match outcome(errno) {
        Outcome::Refused { errno } => Outcome::NotSent { errno },
        other => other,
    }
}

/// The identifier of our echoes on raw sockets. The kernel assigns that of ping sockets.
fn identifier() -> u16 {
    u16::try_from(std::process::id() & 0xffff).unwrap_or_default()
}
