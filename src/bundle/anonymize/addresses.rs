//! Addresses under pseudonyms. Two that share their first bits share them afterwards, and within a subnet that is known
//! the rest stays: what was in a subnet is in it still, its network address is one, and subnets that overlapped overlap.

use facts::Snapshot;
use facts::bundle::Bundle;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Larger ones are pools, whose subnets stay distinct.
const LARGEST: u8 = 12;

/// How addresses are changed. The key is made by chance and nowhere kept.
#[derive(Default)]
pub(super) struct Addresses {
    key: RandomState,
    subnets: BTreeSet<(u8, u32)>,
}

impl Addresses {
    pub(super) fn learn(&mut self, bundle: &Bundle, snapshot: &Snapshot) {
        for host in &snapshot.hosts {
            for interface in host.interfaces.get().iter().flat_map(|it| it.iter()) {
                interface.addresses.iter().for_each(|it| self.subnet(it.addr, it.prefix));
            }
            for route in host.routes.get().iter().flat_map(|it| it.iter()) {
                self.subnet(route.network, route.prefix);
            }
        }
        for content in bundle.artifacts.values() {
            let text = String::from_utf8_lossy(content);
            for token in tokens(&text) {
                if let Token::Four { addr, prefix: Some(prefix), .. } = token {
                    self.subnet(addr.into(), prefix);
                }
            }
        }
    }

    fn subnet(&mut self, addr: IpAddr, prefix: u8) {
        if let IpAddr::V4(addr) = addr
            && (LARGEST..31).contains(&prefix)
        {
            self.subnets.insert((prefix, addr.to_bits() & mask(prefix)));
        }
    }

    /// A text in which every address is another.
    pub(super) fn replaced(&self, text: &str) -> String {
        let mut replaced = String::new();
        let mut copied = 0;
        for token in tokens(text) {
            let (range, word) = match token {
                Token::Four { range, addr, prefix } => (range, self.four(addr, prefix).to_string()),
                Token::Six { range, addr } => (range, self.six(addr).to_string()),
                Token::Mac { range, bytes } => {
                    let bytes = self.mac(bytes).map(|byte| format!("{byte:02x}"));
                    (range, bytes.join(":"))
                }
            };
            replaced.push_str(&text[copied..range.start]);
            replaced.push_str(&word);
            copied = range.end;
        }
        replaced.push_str(&text[copied..]);
        replaced
    }

    /// Another address for this one, the address of a network where it is that of one.
    fn four(&self, addr: Ipv4Addr, prefix: Option<u8>) -> Ipv4Addr {
        let network = prefix.is_some_and(|prefix| addr.to_bits() & !mask(prefix) == 0);
        let changed = self.address(addr).to_bits();
        Ipv4Addr::from_bits(match prefix.filter(|_| network) {
            Some(prefix) => changed & mask(prefix),
            None => changed,
        })
    }

    /// Another address for this one.
    pub(super) fn address(&self, addr: Ipv4Addr) -> Ipv4Addr {
        let bits = addr.to_bits();
        // What is private stays so, and what is special has no other.
        let first = match addr.octets() {
            [0 | 127 | 224..=255, ..] | [169, 254, ..] => return addr,
            [172, 16..=31, ..] => 12,
            [192, 168, ..] => 16,
            [100, 64..=127, ..] => 10,
            _ => 8,
        };
        let known = |length: u8| self.subnets.contains(&(length, bits & mask(length)));
        let mut changed = bits;
        for bit in first..32_u8 {
            if known(bit) {
                break;
            }
            if self.key.hash_one((bit, bits & mask(bit))) & 1 == 1 {
                changed ^= 1 << (31 - bit);
            }
        }
        Ipv4Addr::from_bits(changed)
    }

    /// The same for IPv6: the second to the fourth group change, and of what comes from a MAC the machine's half.
    fn six(&self, addr: Ipv6Addr) -> Ipv6Addr {
        if addr.is_loopback() || addr.is_unspecified() || addr.is_multicast() {
            return addr;
        }
        if let Some(inner) = addr.to_ipv4_mapped() {
            return self.address(inner).to_ipv6_mapped();
        }
        let mut octets = addr.octets();
        if octets[0] != 0xfe {
            for bit in 16..64_u32 {
                let prefix = addr.to_bits() & !(u128::MAX >> bit);
                // Groups that are zero are mostly the shape of a plan, and stay.
                let group = addr.segments()[(bit / 16) as usize];
                if group != 0 && self.key.hash_one((bit, prefix)) & 1 == 1 {
                    octets[(bit / 8) as usize] ^= 0x80 >> (bit % 8);
                }
            }
        }
        if octets[11..13] == [0xff, 0xfe] {
            let mac = self.mac([octets[8] ^ 2, octets[9], octets[10], octets[13], octets[14], octets[15]]);
            octets[8..11].copy_from_slice(&[mac[0] ^ 2, mac[1], mac[2]]);
            octets[13..16].copy_from_slice(&mac[3..6]);
        }
        octets.into()
    }

    /// A link-layer address. Those of containers are made of their IP address; of others the maker's half stays.
    fn mac(&self, bytes: [u8; 6]) -> [u8; 6] {
        let [a, b, c, d, e, f] = bytes;
        match bytes {
            [0, 0, 0, 0, 0, 0] | [255, 255, 255, 255, 255, 255] => bytes,
            [0x02, 0x42, ..] => {
                let [c, d, e, f] = self.address(Ipv4Addr::new(c, d, e, f)).octets();
                [a, b, c, d, e, f]
            }
            _ => {
                let [x, y, z, ..] = self.key.hash_one((a, b, c, d, e, f)).to_be_bytes();
                [a, b, c, x, y, z]
            }
        }
    }
}

/// The network mask of a prefix length.
pub(super) fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0)
}

enum Token {
    Four { range: std::ops::Range<usize>, addr: Ipv4Addr, prefix: Option<u8> },
    Six { range: std::ops::Range<usize>, addr: Ipv6Addr },
    Mac { range: std::ops::Range<usize>, bytes: [u8; 6] },
}

/// The addresses in a text, in their order.
fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| part(byte)).count();
        if length == 0 {
            at += 1;
            continue;
        }
        // One colon before an address parts it from a name.
        if bytes[at] == b':' && bytes.get(at + 1) != Some(&b':') {
            at += 1;
            continue;
        }
        let end = at + length;
        // In the midst of a word digits are no address.
        let within = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        let followed = bytes.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        if !within {
            tokens.extend(one(text, at, end, followed));
        }
        at = end;
    }
    tokens
}

/// The address that a run of digits, dots and colons is, or begins with.
fn one(text: &str, start: usize, end: usize, followed: bool) -> Option<Token> {
    let run = &text[start..end];
    let trimmed = run.trim_end_matches(['.', ':']);
    let start = start + (trimmed.len() - trimmed.trim_start_matches('.').len());
    let word = trimmed.trim_start_matches('.');
    if word.matches('.').count() >= 3 && !word.contains("::") {
        // What follows the colon is a port.
        let addr = word.split(':').next()?;
        if addr.len() == word.len() && followed && trimmed.len() == run.len() {
            return None;
        }
        let parsed: Ipv4Addr = addr.parse().ok()?;
        let range = start..start + addr.len();
        let length = text[range.end..]
            .strip_prefix('/')
            .map(|rest| rest.chars().take(2).take_while(char::is_ascii_digit).collect::<String>());
        let prefix = length.and_then(|length| length.parse().ok()).filter(|length| *length <= 32);
        return Some(Token::Four { range, addr: parsed, prefix });
    }
    if followed && trimmed.len() == run.len() {
        return None;
    }
    let parts: Vec<&str> = word.split(':').collect();
    if parts.len() == 6 && parts.iter().all(|part| part.len() == 2) {
        let mut bytes = [0; 6];
        for (byte, part) in bytes.iter_mut().zip(parts) {
            *byte = u8::from_str_radix(part, 16).ok()?;
        }
        return Some(Token::Mac { range: start..start + word.len(), bytes });
    }
    // `::` alone at the end belongs to the address.
    let word = if run[trimmed.len()..].starts_with("::") { &run[..trimmed.len() + 2] } else { word };
    (parts.len() > 2 || word.contains("::"))
        .then(|| word.parse().ok())
        .flatten()
        .map(|addr| Token::Six { range: start..start + word.len(), addr })
}

#[cfg(test)]
mod tests {
    use super::Addresses;

    fn known(subnets: &[&str]) -> Addresses {
        let mut addresses = Addresses::default();
        for subnet in subnets {
            let subnet: facts::host::Address = subnet.parse().unwrap();
            addresses.subnet(subnet.addr, subnet.prefix);
        }
        addresses
    }

    #[test]
    fn a_subnet_keeps_its_shape() {
        let addresses = known(&["192.0.2.0/24", "10.20.0.0/16"]);
        let said = |text: &str| addresses.replaced(text);
        let (one, other, net) = (said("192.0.2.1"), said("192.0.2.77"), said("192.0.2.0/24"));
        assert!(one.ends_with(".1") && other.ends_with(".77") && net.ends_with(".0/24"));
        let front = |text: &str| text.rsplit_once('.').unwrap().0.to_owned();
        assert_eq!((front(&one), front(&one)), (front(&other), front(&net)));
        assert!(said("10.20.7.9").ends_with(".7.9"));
        assert_eq!(said("10.0.0.0/8"), "10.0.0.0/8");
        assert_eq!(
            said("0.0.0.0/0 127.0.0.1 169.254.1.1 255.255.255.0"),
            "0.0.0.0/0 127.0.0.1 169.254.1.1 255.255.255.0"
        );
    }

    #[test]
    fn only_addresses_change() {
        let addresses = known(&["192.0.2.0/24"]);
        for text in [
            "20.10.24",
            "6.1.0-18-amd64",
            "at 04:05:06.123",
            "2026-11-23T04:05:06Z",
            "1.2.3.4.5",
            "v1.2.3.4x",
            "a1.2.3.4",
            "sha256:0123456789abcdef",
            "::1",
            "fd",
            "",
            "::",
            "level=info msg=\"x\"",
        ] {
            assert_eq!(addresses.replaced(text), text);
        }
        let one = addresses.replaced("192.0.2.1");
        for (text, expected) in [
            ("dial tcp 192.0.2.1:2377: refused", format!("dial tcp {one}:2377: refused")),
            ("[192.0.2.1]", format!("[{one}]")),
            ("to 192.0.2.1.", format!("to {one}.")),
            ("AdvertiseAddr:192.0.2.1 x", format!("AdvertiseAddr:{one} x")),
            ("192.0.2.1,192.0.2.1", format!("{one},{one}")),
            ("\"192.0.2.1/24\"", format!("\"{one}/24\"")),
        ] {
            assert_eq!(addresses.replaced(text), expected);
        }
    }

    #[test]
    fn a_mac_goes_with_its_address() {
        let addresses = known(&[]);
        let container = addresses.replaced("10.0.1.5");
        let octets: Vec<String> =
            container.split('.').map(|it| format!("{:02x}", it.parse::<u8>().unwrap())).collect();
        assert_eq!(addresses.replaced("02:42:0a:00:01:05"), format!("02:42:{}", octets.join(":")));
        let mac = addresses.replaced("12:32:f9:ef:3b:e2");
        assert!(mac.starts_with("12:32:f9:") && mac.len() == 17);
        assert!(addresses.replaced("fe80::1032:f9ff:feef:3be2").starts_with("fe80::1032:f9ff:fe"));
        assert_ne!(addresses.replaced("2001:db8:1234:5678::1"), "2001:db8:1234:5678::1");
    }
}
