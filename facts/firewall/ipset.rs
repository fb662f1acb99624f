//! Sets of ipset, which rules of iptables ask for by number.

use super::bits::{Bits, Truth};
use super::header::{Packet, Way};
use super::xt::{DESTINATION, SOURCE, named};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A set of ipset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpSet {
    /// The number that the kernel knows it by.
    pub index: u16,
    /// Its name.
    pub name: String,
    /// It is of IPv6; none where it has no addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v6: Option<bool>,
    /// What its keys are made of.
    pub parts: Vec<Part>,
    /// It has more members than were read, or some that could not be.
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
    /// A port of whatever protocol has ports.
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
    /// For each part of the key what it reaches over.
    pub reach: Vec<Reach>,
    /// It stands for what is not in the set, though a larger network is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub except: bool,
}

/// What one part of a member reaches over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Addresses from one to another.
    Addrs(IpAddr, IpAddr),
    /// A port, and the number of its protocol where it has one.
    Port(u16, Option<u8>),
    /// An interface, with a `+` at the end for any name that begins so.
    Link(String),
    /// The set of this name.
    Set(String),
    /// Something that is not known here.
    Other,
}

/// Whether a packet is in a set: for each part of its key, whether that is of its source.
pub(super) fn find(sets: &[IpSet], index: u16, sources: &[bool], packet: &Packet) -> Truth {
    match sets.iter().find(|set| set.index == index) {
        Some(set) => set.holds(sets, sources, packet),
        None => Truth::Open,
    }
}

impl IpSet {
    fn holds(&self, sets: &[IpSet], sources: &[bool], packet: &Packet) -> Truth {
        if self.parts == [Part::Set] {
            let mut of = self.members.iter().filter_map(|member| match member.reach.as_slice() {
                [Reach::Set(name)] => sets.iter().find(|set| set.name == *name && set.parts != [Part::Set]),
                _ => None,
            });
            let any = of.try_fold(Truth::No, |any, set| Some(any.or(set.holds(sets, sources, packet))));
            let whole = !self.cut && !self.members.iter().any(|member| member.except);
            return any.filter(|_| whole).unwrap_or(Truth::Open);
        }
        if self.v6.is_some_and(|v6| v6 == packet.source.is_ipv4()) || sources.len() < self.parts.len() {
            return Truth::No;
        }
        let hits = self.members.iter().map(|member| (member, member.holds(sources, packet)));
        let hits: Vec<_> = hits.filter(|(_, hit)| *hit != Truth::No).collect();
        if hits.iter().any(|(member, _)| member.except) {
            return self.narrowest(&hits);
        }
        let found = hits.iter().fold(Truth::No, |any, (_, hit)| any.or(*hit));
        if self.cut && found == Truth::No { Truth::Open } else { found }
    }

    /// The smallest network decides, where one stands for what is left out of a larger.
    fn narrowest(&self, hits: &[(&Member, Truth)]) -> Truth {
        let several = self.parts.iter().filter(|part| **part == Part::Addr).count() > 1;
        if several || self.cut || hits.iter().any(|(_, hit)| *hit == Truth::Open) {
            return Truth::Open;
        }
        let smallest = hits.iter().min_by_key(|(member, _)| member.size());
        smallest.map_or(Truth::No, |(member, _)| Truth::of(!member.except))
    }
}

impl Member {
    fn holds(&self, sources: &[bool], packet: &Packet) -> Truth {
        let parts = self.reach.iter().zip(sources);
        parts.fold(Truth::Yes, |all, (reach, source)| all.and(reach.holds(*source, packet)))
    }

    /// How many addresses it reaches over.
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
    fn holds(&self, source: bool, packet: &Packet) -> Truth {
        match self {
            Self::Addrs(from, to) => {
                let addr = if source { packet.source } else { packet.destination };
                Truth::of(*from <= addr && addr <= *to && from.is_ipv4() == addr.is_ipv4())
            }
            // What has no ports is in no such set.
            Self::Port(..) if packet.content().is_none() && packet.number() == 50 => Truth::No,
            Self::Port(port, protocol) => {
                let held: Bits = packet.load(if source { SOURCE } else { DESTINATION });
                let same = protocol.is_none_or(|number| number == packet.number());
                held.equals(&port.to_be_bytes()).and(Truth::of(same))
            }
            Self::Link(name) => named(name, &packet.name(if source { Way::In } else { Way::Out })),
            Self::Set(_) | Self::Other => Truth::Open,
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
            way: Way::In,
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
        assert_eq!(holds(&nets, &packet([192, 0, 2, 2], 7946), &[true]), Truth::Yes);
        assert_eq!(holds(&nets, &packet([192, 0, 2, 66], 7946), &[true]), Truth::No);
        assert_eq!(holds(&nets, &packet([203, 0, 113, 1], 7946), &[true]), Truth::No);
        let ports = |protocol| {
            set(
                &[Part::Addr, Part::Port],
                vec![(vec![net([192, 0, 2, 2], [192, 0, 2, 2]), Reach::Port(7946, protocol)], false)],
            )
        };
        assert_eq!(holds(&ports(Some(17)), &packet([192, 0, 2, 2], 7946), &[true, false]), Truth::Yes);
        assert_eq!(holds(&ports(Some(6)), &packet([192, 0, 2, 2], 7946), &[true, false]), Truth::No);
        assert_eq!(holds(&ports(Some(17)), &packet([192, 0, 2, 2], 7946), &[true, true]), Truth::No);
        let cut = IpSet { cut: true, ..nets };
        assert_eq!(holds(&cut, &packet([203, 0, 113, 1], 7946), &[true]), Truth::Open);
        assert_eq!(find(&[], 3, &[true], &packet([192, 0, 2, 2], 1)), Truth::Open);
    }
}
