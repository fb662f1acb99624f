//! ICMP echoes.

use super::outcome;
use facts::link::Outcome;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use surge_ping::{Client, Config, ICMP, IcmpPacket, PingIdentifier, PingSequence, SurgeError};

/// How often an echo is asked for before the peer counts as silent: one packet may get lost.
const TRIES: u32 = 2;

/// One socket for each family of addresses, opened when it is first wanted.
#[derive(Default)]
pub(super) struct Echoes {
    v4: OnceLock<Result<Client, i32>>,
    v6: OnceLock<Result<Client, i32>>,
    sequence: AtomicU16,
}

impl Echoes {
    /// Asks one peer for an echo. The deadline is shared by the tries.
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
                // A router, or this host itself when nobody answers ARP, says that the peer cannot be reached.
                Ok(_) => return Outcome::Unreachable { errno: libc::EHOSTUNREACH },
                Err(SurgeError::IOError(error)) => return sending(error.raw_os_error().unwrap_or(libc::EIO)),
                Err(_) => {}
            }
        }
        Outcome::Filtered
    }
}

/// Whether a packet is an answer of the peer and not an error about it (RFC 792, RFC 4443).
fn is_reply(packet: &IcmpPacket) -> bool {
    match packet {
        IcmpPacket::V4(packet) => packet.get_icmp_type().0 == 0,
        IcmpPacket::V6(packet) => packet.get_icmpv6_type().0 == 129,
    }
}

/// A socket for pings, which the system may grant anyone, else a raw one, which takes a right.
fn open(kind: ICMP) -> Result<Client, i32> {
    let config = Config::builder().kind(kind).build();
    Client::new(&config).map_err(|error| error.raw_os_error().unwrap_or(libc::EPERM))
}

/// Nobody refuses an echo by an errno; whatever is no word of the network is this host's.
fn sending(errno: i32) -> Outcome {
    match outcome(errno) {
        Outcome::Refused { errno } => Outcome::NotSent { errno },
        other => other,
    }
}

/// What tells our echoes from those of others, where the kernel does not: it numbers ping sockets itself.
fn identifier() -> u16 {
    u16::try_from(std::process::id() & 0xffff).unwrap_or_default()
}
