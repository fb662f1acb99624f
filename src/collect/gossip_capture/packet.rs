//! What a packet is, from its IP header on.

use crate::collect::ip::{self, word};
use std::net::IpAddr;

/// The port of gossip between nodes.
pub(super) const GOSSIP: u16 = 7946;
/// The numbers of the protocols in an IP header.
pub(super) const ICMP: u8 = 1;
pub(super) const UDP: u8 = 17;
pub(super) const ESP: u8 = 50;
pub(super) const ICMP_V6: u8 = 58;
/// The types of the ICMP messages that say that something cannot be reached.
pub(super) const UNREACHABLE: u8 = 3;
pub(super) const UNREACHABLE_V6: u8 = 1;

/// A packet between this node and another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    pub(super) content: Content,
}

/// What is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A datagram of gossip with so many bytes.
    Gossip(u16),
    /// A packet of an encrypted overlay.
    Esp,
    /// The word that a datagram of gossip to `from` did not get there, whoever says it.
    Refused,
}

/// Reads a packet; nothing where it is none of these.
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

/// How many bytes a datagram of gossip has.
fn gossip(datagram: &[u8]) -> Option<u16> {
    let ports = [word(datagram, 0)?, word(datagram, 2)?];
    ports.contains(&GOSSIP).then(|| word(datagram, 4)?.checked_sub(8)).flatten()
}
