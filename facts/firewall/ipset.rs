//! ipsets, which iptables rules refer to by index.

use super::bits::{Bits, Tristate};
use super::header::{Direction, Packet};
use super::xt::{DESTINATION, SOURCE, named};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// An ipset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpSet {
    /// Its index in the kernel.
    pub index: u16,
    /// Its name.
    pub name: String,
    /// It holds IPv6 addresses; none where it holds no addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v6: Option<bool>,
    /// The parts of its keys.
    pub parts: Vec<Part>,
    /// It has more members than were read, or some could not be read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Its members.
    pub members: Vec<Member>,
}

/// A part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// An address or a network.
    Addr,
    /// A port with its protocol.
    Port,
    /// A port of any protocol.
    AnyPort,
    /// An interface.
    Link,
    /// Another set.
    Set,
    /// Something else.
    Other,
}

/// A member of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// For each part of the key, what it covers.
    pub reach: Vec<Reach>,
    /// An exception (`nomatch`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub except: bool,
}

/// What one part of a member covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// A range of addresses.
    Addrs(IpAddr, IpAddr),
    /// A port, with the number of its protocol where it has one.
    Port(u16, Option<u8>),
    /// An interface, with a `+` at the end for a prefix.
    Link(String),
    /// The set of this name.
    Set(String),
    /// Unknown.
    Other,
}

/// Whether a packet is in a set. `sources` says for each part of the key whether it is taken from the source.
pub(super) fn find(sets: &[IpSet], index: u16, sources: &[bool], packet: &Packet) -> Tristate {
    match sets.iter().find(|set| set.index == index) {
        Some(set) => set.holds(sets, sources, packet),
        None => Tristate::Unknown,
    }
}

impl IpSet {
    fn holds(&self, sets: &[IpSet], sources: &[bool], packet: &Packet) -> Tristate {
        if self.parts == [Part::Set] {
            let mut of = self.members.iter().filter_map(|member| match member.reach.as_slice() {
                [Reach::Set(name)] => sets.iter().find(|set| set.name == *name && set.parts != [Part::Set]),
                _ => None,
            });
            let any = of.try_fold(Tristate::No, |any, set| Some(any.or(set.holds(sets, sources, packet))));
            let whole = !self.cut && !self.members.iter().any(|member| member.except);
            return any.filter(|_| whole).unwrap_or(Tristate::Unknown);
        }
        if self.v6.is_some_and(|v6| v6 == packet.source.is_ipv4()) || sources.len() < self.parts.len() {
            return Tristate::No;
        }
        let hits = self.members.iter().map(|member| (member, member.holds(sources, packet)));
        let hits: Vec<_> = hits.filter(|(_, hit)| *hit != Tristate::No).collect();
        if hits.iter().any(|(member, _)| member.except) {
            return self.narrowest(&hits);
        }
        let found = hits.iter().fold(Tristate::No, |any, (_, hit)| any.or(*hit));
        if self.cut && found == Tristate::No { Tristate::Unknown } else { found }
    }

    /// If there are exceptions, the smallest network decides.
    fn narrowest(&self, hits: &[(&Member, Tristate)]) -> Tristate {
        let several = self.parts.iter().filter(|part| **part == Part::Addr).count() > 1;
        if several || self.cut || hits.iter().any(|(_, hit)| *hit == Tristate::Unknown) {
            return Tristate::Unknown;
        }
        let smallest = hits.iter().min_by_key(|(member, _)| member.size());
        smallest.map_or(Tristate::No, |(member, _)| Tristate::of(!member.except))
    }
}

impl Member {
    fn holds(&self, sources: &[bool], packet: &Packet) -> Tristate {
        let parts = self.reach.iter().zip(sources);
        parts.fold(Tristate::Yes, |all, (reach, source)| all.and(reach.holds(*source, packet)))
    }

    /// The number of addresses that it covers.
    fn size(&self) -> u128 {
        let size = |reach: &Reach| match reach {
            Reach::Addrs(IpAddr::V4(from), IpAddr::V4(to)) => {
                Some(u128::from(to.to_bits() - from.to_bits().min(to.to_bits())))
            }
            Reach::Addrs(IpAddr::V6(from), IpAddr::V6(to)) => {
                Some(to.to_bits() - from.to_bits().min(to.to_bits()))
            }
            _ => None,
        };
        self.reach.iter().find_map(size).unwrap_or_default()
    }
}

impl Reach {
    fn holds(&self, source: bool, packet: &Packet) -> Tristate {
        match self {
            Self::Addrs(from, to) => {
                let addr = if source { packet.source } else { packet.destination };
                Tristate::of(*from <= addr && addr <= *to && from.is_ipv4() == addr.is_ipv4())
            }
            // A protocol without ports is in no such set.
            Self::Port(..) if packet.content().is_none() && packet.number() == 50 => Tristate::No,
            Self::Port(port, protocol) => {
                let held: Bits = packet.load(if source { SOURCE } else { DESTINATION });
                let same = protocol.is_none_or(|number| number == packet.number());
                held.equals(&port.to_be_bytes()).and(Tristate::of(same))
            }
            Self::Link(name) => {
                named(name, &packet.name(if source { Direction::In } else { Direction::Out }))
            }
            Self::Set(_) | Self::Other => Tristate::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::Flow;
    use crate::host::Protocol;

    fn packet(from: [u8; 4], port: u16) -> Packet {
        Packet {
            direction: Direction::In,
            flow: Flow::New,
            protocol: Protocol::Udp,
            source: from.into(),
            destination: [192, 0, 2, 1].into(),
            source_port: None,
            destination_port: Some(port),
            link: None,
            onward: None,
            vni: None,
            owner: None,
            redirected: false,
        }
    }

    fn set(parts: &[Part], members: Vec<(Vec<Reach>, bool)>) -> IpSet {
        let member = |(reach, except)| Member { reach, except };
        let members = members.into_iter().map(member).collect();
        IpSet { index: 3, name: "s".into(), v6: Some(false), parts: parts.into(), cut: false, members }
    }

    fn net(from: [u8; 4], to: [u8; 4]) -> Reach {
        Reach::Addrs(from.into(), to.into())
    }

    #[test]
    fn the_smallest_network_decides_and_a_port_has_its_protocol() {
        let nets = set(
            &[Part::Addr],
            vec![
                (vec![net([192, 0, 2, 0], [192, 0, 2, 255])], false),
                (vec![net([192, 0, 2, 64], [192, 0, 2, 127])], true),
            ],
        );
        let holds = |set: &IpSet, packet: &Packet, sources: &[bool]| {
            find(std::slice::from_ref(set), 3, sources, packet)
        };
        assert_eq!(holds(&nets, &packet([192, 0, 2, 2], 7946), &[true]), Tristate::Yes);
        assert_eq!(holds(&nets, &packet([192, 0, 2, 66], 7946), &[true]), Tristate::No);
        assert_eq!(holds(&nets, &packet([203, 0, 113, 1], 7946), &[true]), Tristate::No);
        let ports = |protocol| {
            set(
                &[Part::Addr, Part::Port],
                vec![(vec![net([192, 0, 2, 2], [192, 0, 2, 2]), Reach::Port(7946, protocol)], false)],
            )
        };
        assert_eq!(holds(&ports(Some(17)), &packet([192, 0, 2, 2], 7946), &[true, false]), Tristate::Yes);
        assert_eq!(holds(&ports(Some(6)), &packet([192, 0, 2, 2], 7946), &[true, false]), Tristate::No);
        assert_eq!(holds(&ports(Some(17)), &packet([192, 0, 2, 2], 7946), &[true, true]), Tristate::No);
        let cut = IpSet { cut: true, ..nets };
        assert_eq!(holds(&cut, &packet([203, 0, 113, 1], 7946), &[true]), Tristate::Unknown);
        assert_eq!(find(&[], 3, &[true], &packet([192, 0, 2, 2], 1)), Tristate::Unknown);
    }
}
