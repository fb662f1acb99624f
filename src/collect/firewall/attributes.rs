//! Netlink attributes of nf_tables and ipset messages.

use netlink_packet_core::NlasIterator;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Masks the two flag bits of an attribute type (`NLA_F_NESTED`, `NLA_F_NET_BYTEORDER`).
const NUMBER: u16 = 0x3fff;

/// The attributes of a message, or of a nested attribute.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a>(pub(super) &'a [u8]);

impl<'a> Attributes<'a> {
    /// All attributes with their types; a truncated one is skipped.
    pub(super) fn all(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        NlasIterator::new(self.0).map_while(Result::ok).map(|nla| {
            let length = nla.value_length();
            let whole: &'a [u8] = nla.into_inner();
            (u16::from_ne_bytes([whole[2], whole[3]]) & NUMBER, &whole[4..4 + length])
        })
    }

    pub(super) fn get(self, number: u16) -> Option<&'a [u8]> {
        self.all().find(|(other, _)| *other == number).map(|(_, value)| value)
    }

    pub(super) fn nested(self, number: u16) -> Option<Self> {
        self.get(number).map(Attributes)
    }

    pub(super) fn text(self, number: u16) -> Option<String> {
        self.get(number).map(text)
    }

    /// A number in network byte order.
    pub(super) fn u32(self, number: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.get(number)?.try_into().ok()?))
    }

    pub(super) fn u64(self, number: u16) -> Option<u64> {
        Some(u64::from_be_bytes(self.get(number)?.try_into().ok()?))
    }
}

/// Text up to the terminating zero.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// An address of 4 or 16 bytes.
pub(super) fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(octets).into());
    }
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into())
}
