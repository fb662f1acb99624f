//! Classifies a packet, starting at its IP header.

use crate::collect::ip::{self, word};
use std::net::IpAddr;

/// The gossip port.
pub(super) const GOSSIP: u16 = 7946;
/// IP protocol numbers.
pub(super) const ICMP: u8 = 1;
pub(super) const UDP: u8 = 17;
pub(super) const ESP: u8 = 50;
pub(super) const ICMP_V6: u8 = 58;
/// The types of ICMP destination unreachable messages.
pub(super) const UNREACHABLE: u8 = 3;
pub(super) const UNREACHABLE_V6: u8 = 1;

/// A packet between this node and another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    pub(super) content: Content,
}

/// The content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A gossip packet of this length in bytes.
    Gossip(u16),
    /// An ESP packet.
    Esp,
    /// An ICMP error about a gossip packet to `from`, from any sender.
    Refused,
}

/// Parses a packet; none if it is none of these.
pub(super) fn read(packet: &[u8]) -> Option<Packet> {
    let (from, to, protocol, rest) = ip::read(packet)?;
    let content = match protocol {
        UDP => Content::Gossip(gossip(rest)?),
        ESP => Content::Esp,
        ICMP | ICMP_V6 => {
            let unreachable = if protocol == ICMP { UNREACHABLE } else { UNREACHABLE_V6 };
            let quotes = (*rest.first()? == unreachable).then(|| ip::read(rest.get(8..)?)).flatten();
            let (sender, meant, _, quoted) = quotes.filter(|(_, _, protocol, _)| *protocol == UDP)?;
            if word(quoted, 2)? != GOSSIP {
                return None;
            }
            return Some(Packet { from: meant, to: sender, content: Content::Refused });
        }
        _ => return None,
    };
    Some(Packet { from, to, content })
}

/// The length of a gossip packet in bytes.
fn gossip(datagram: &[u8]) -> Option<u16> {
    let ports = [word(datagram, 0)?, word(datagram, 2)?];
    ports.contains(&GOSSIP).then(|| word(datagram, 4)?.checked_sub(8)).flatten()
}
