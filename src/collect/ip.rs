//! Parses packets from raw sockets and packet sockets, starting at the IP header.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The source, the destination, the protocol and the payload.
pub(super) fn read(packet: &[u8]) -> Option<(IpAddr, IpAddr, u8, &[u8])> {
    match packet.first()? >> 4 {
        4 => {
            let addr = |at: usize| <[u8; 4]>::try_from(packet.get(at..at + 4)?).ok();
            let header = usize::from(packet.first()? & 0x0f) * 4;
            let (from, to) = (Ipv4Addr::from(addr(12)?), Ipv4Addr::from(addr(16)?));
            Some((from.into(), to.into(), *packet.get(9)?, packet.get(header..)?))
        }
        6 => {
            let addr = |at: usize| <[u8; 16]>::try_from(packet.get(at..at + 16)?).ok();
            let (from, to) = (Ipv6Addr::from(addr(8)?), Ipv6Addr::from(addr(24)?));
            Some((from.into(), to.into(), *packet.get(6)?, packet.get(40..)?))
        }
        _ => None,
    }
}

/// Two bytes as a number.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(<[u8; 2]>::try_from(bytes.get(at..at + 2)?).ok()?))
}
