//! The matches of iptables, asked about one packet.

use super::bits::{Bits, Truth};
use super::expr::{Fib, Load, Net, Range16, Side, Xt};
use super::header::{Flow, OTHER_DESTINATION, OTHER_SOURCE, Way};
use super::rule::Journey;
use super::{ipset, program};
use crate::host::Protocol;
use std::net::IpAddr;

pub(super) fn ask(ask: &Xt, journey: &Journey<'_>) -> Truth {
    let packet = journey.packet;
    match ask {
        Xt::Source(net) => Truth::of(net.covers(packet.source)),
        Xt::Destination(net) => Truth::of(net.covers(packet.destination)),
        Xt::InInterface(name) => named(name, &packet.name(Way::In)),
        Xt::OutInterface(name) => named(name, &packet.name(Way::Out)),
        Xt::Protocol(number) => Truth::of(*number == 0 || *number == packet.number()),
        Xt::Fragment => Truth::No,
        Xt::SourcePorts(range) => range.holds(&packet.load(SOURCE)),
        Xt::DestinationPorts(range) => range.holds(&packet.load(DESTINATION)),
        Xt::TcpFlags { .. } if packet.protocol != Protocol::Tcp => Truth::No,
        Xt::TcpFlags { mask, value } => {
            packet.load(Load::Transport { offset: 13, length: 1 }).masked(&[*mask], &[0]).equals(&[*value])
        }
        Xt::Multiport(ports) => {
            let any = |port: Load| {
                let port = packet.load(port);
                ports.ranges.iter().fold(Truth::No, |any, range| any.or(range.holds(&port)))
            };
            match ports.side {
                Side::Source => any(SOURCE),
                Side::Destination => any(DESTINATION),
                Side::Either => any(SOURCE).or(any(DESTINATION)),
            }
        }
        Xt::State(states) => {
            let readdressed = [(Xt::SNAT, OTHER_SOURCE), (Xt::DNAT, OTHER_DESTINATION)];
            let asked = readdressed.into_iter().filter(|(state, _)| states & state != 0);
            let status: u32 = asked.map(|(_, status)| status).sum();
            let any = |of: Load, bits: u32| {
                journey.load(of).masked(&bits.to_le_bytes(), &[0; 4]).equals(&[0; 4]).negated(true)
            };
            any(Load::CtState, states & 0xffff).or(any(Load::CtStatus, status))
        }
        Xt::Mark { value, mask } => {
            journey.load(Load::Mark).masked(&mask.to_le_bytes(), &[0; 4]).equals(&value.to_le_bytes())
        }
        Xt::ConnectionMark { value, mask } => {
            journey.load(Load::CtMark).masked(&mask.to_le_bytes(), &[0; 4]).equals(&value.to_le_bytes())
        }
        Xt::Status(bits) => {
            journey.load(Load::CtStatus).masked(&bits.to_le_bytes(), &[0; 4]).equals(&[0; 4]).negated(true)
        }
        Xt::Reply if journey.is_tracked() => Truth::of(packet.flow == Flow::Answer),
        Xt::FirstPorts { which, ports } if journey.is_tracked() => {
            let source = (*which == Fib::Source) != (packet.flow == Flow::Answer);
            ports.holds(&packet.load(if source { SOURCE } else { DESTINATION }))
        }
        Xt::Reply | Xt::FirstPorts { .. } => Truth::Open,
        Xt::PacketType(kind) => packet.load(Load::PacketType).equals(&[*kind]),
        // What comes to this machine or from it is routed, and has no headers but the usual ones.
        Xt::Bridged | Xt::ExtensionHeader(_) => Truth::No,
        Xt::AddressTypes { which, kinds } => Truth::of(u32::from(*kinds) & (1 << packet.kind(*which)) != 0),
        Xt::Numbers(tests) => tests.iter().fold(Truth::Yes, |all, test| all.and(test.asked(packet))),
        Xt::Program(program) => program::run(program, packet),
        // No packet that is asked about comes out of IPsec, and one that is ESP is on its way as such.
        Xt::Clear => Truth::Yes,
        Xt::Owner { from, to } => match packet.owner {
            Some(user) => Truth::of((*from..=*to).contains(&user)),
            None => Truth::Open,
        },
        Xt::Socket if packet.owner.is_some() => Truth::Yes,
        Xt::Socket => Truth::Open,
        Xt::Set { index, sources, .. } => ipset::find(journey.ipsets, *index, sources, packet),
        Xt::AddressRange { which, from, to } => {
            let addr = match which {
                Fib::Source => packet.source,
                Fib::Destination => packet.destination,
            };
            Truth::of(*from <= addr && addr <= *to && from.is_ipv4() == addr.is_ipv4())
        }
    }
}

/// What leaves a question open, where there is a word for it.
pub(super) fn doubt(ask: &Xt) -> Option<String> {
    Some(match ask {
        Xt::Set { name, .. } => format!("the set {name} of ipset"),
        Xt::Owner { .. } | Xt::Socket => "the user whose program sends it".to_owned(),
        Xt::Numbers(_) | Xt::Program(_) => "bytes of the packet that differ from packet to packet".to_owned(),
        _ => return None,
    })
}

pub(super) const SOURCE: Load = Load::Transport { offset: 0, length: 2 };
pub(super) const DESTINATION: Load = Load::Transport { offset: 2, length: 2 };

pub(super) fn named(name: &str, packet: &Bits) -> Truth {
    match name.strip_suffix('+') {
        Some(start) => packet.equals(start.as_bytes()),
        None => packet.equals(&[name.as_bytes(), &[0]].concat()),
    }
}

impl Range16 {
    fn holds(self, port: &Bits) -> Truth {
        port.within(&self.0.to_be_bytes(), &self.1.to_be_bytes())
    }
}

impl Net {
    /// Whether an address lies in it.
    pub fn covers(&self, addr: IpAddr) -> bool {
        match (self.addr, self.mask, addr) {
            (IpAddr::V4(net), IpAddr::V4(mask), IpAddr::V4(addr)) => {
                net.to_bits() == addr.to_bits() & mask.to_bits()
            }
            (IpAddr::V6(net), IpAddr::V6(mask), IpAddr::V6(addr)) => {
                net.to_bits() == addr.to_bits() & mask.to_bits()
            }
            _ => false,
        }
    }
}
