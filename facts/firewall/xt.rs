//! The evaluation of iptables matches for one packet.

use super::bits::{Bits, Tristate};
use super::expr::{Fib, Load, Net, Range16, Side, Xt};
use super::header::{Direction, Flow, OTHER_DESTINATION, OTHER_SOURCE};
use super::rule::PacketState;
use super::{bpf, ipset};
use crate::host::Protocol;
use std::net::IpAddr;

pub(super) fn ask(ask: &Xt, packet_state: &PacketState<'_>) -> Tristate {
    let packet = packet_state.packet;
    match ask {
        Xt::Source(net) => Tristate::of(net.covers(packet.source)),
        Xt::Destination(net) => Tristate::of(net.covers(packet.destination)),
        Xt::InInterface(name) => named(name, &packet.name(Direction::In)),
        Xt::OutInterface(name) => named(name, &packet.name(Direction::Out)),
        Xt::Protocol(number) => Tristate::of(*number == 0 || *number == packet.number()),
        Xt::Fragment => Tristate::No,
        Xt::SourcePorts(range) => range.holds(&packet.load(SOURCE)),
        Xt::DestinationPorts(range) => range.holds(&packet.load(DESTINATION)),
        Xt::TcpFlags { .. } if packet.protocol != Protocol::Tcp => Tristate::No,
        Xt::TcpFlags { mask, value } => {
            packet.load(Load::Transport { offset: 13, length: 1 }).masked(&[*mask], &[0]).equals(&[*value])
        }
        Xt::Multiport(ports) => {
            let any = |port: Load| {
                let port = packet.load(port);
                ports.ranges.iter().fold(Tristate::No, |any, range| any.or(range.holds(&port)))
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
                packet_state.load(of).masked(&bits.to_le_bytes(), &[0; 4]).equals(&[0; 4]).negated(true)
            };
            any(Load::CtState, states & 0xffff).or(any(Load::CtStatus, status))
        }
        Xt::Mark { value, mask } => {
            packet_state.load(Load::Mark).masked(&mask.to_le_bytes(), &[0; 4]).equals(&value.to_le_bytes())
        }
        Xt::ConnectionMark { value, mask } => {
            packet_state.load(Load::CtMark).masked(&mask.to_le_bytes(), &[0; 4]).equals(&value.to_le_bytes())
        }
        Xt::Status(bits) => packet_state
            .load(Load::CtStatus)
            .masked(&bits.to_le_bytes(), &[0; 4])
            .equals(&[0; 4])
            .negated(true),
        Xt::Reply if packet_state.is_tracked() => Tristate::of(packet.flow == Flow::Answer),
        Xt::FirstPorts { which, ports } if packet_state.is_tracked() => {
            let source = (*which == Fib::Source) != (packet.flow == Flow::Answer);
            ports.holds(&packet.load(if source { SOURCE } else { DESTINATION }))
        }
        Xt::Reply | Xt::FirstPorts { .. } => Tristate::Unknown,
        Xt::PacketType(kind) => packet.load(Load::PacketType).equals(&[*kind]),
        // Local packets are routed, not bridged, and have no IPv6 extension headers.
        Xt::Bridged | Xt::ExtensionHeader(_) => Tristate::No,
        Xt::AddressTypes { which, kinds } => {
            Tristate::of(u32::from(*kinds) & (1 << packet.kind(*which)) != 0)
        }
        Xt::Numbers(tests) => tests.iter().fold(Tristate::Yes, |all, test| all.and(test.asked(packet))),
        Xt::Program(program) => bpf::run(program, packet),
        // No evaluated packet has been decrypted, and ESP packets are evaluated in encrypted form.
        Xt::Clear => Tristate::Yes,
        Xt::Owner { from, to } => match packet.owner {
            Some(user) => Tristate::of((*from..=*to).contains(&user)),
            None => Tristate::Unknown,
        },
        Xt::Socket if packet.owner.is_some() => Tristate::Yes,
        Xt::Socket => Tristate::Unknown,
        Xt::Set { index, sources, .. } => ipset::find(packet_state.ipsets, *index, sources, packet),
        Xt::AddressRange { which, from, to } => {
            let addr = match which {
                Fib::Source => packet.source,
                Fib::Destination => packet.destination,
            };
            Tristate::of(*from <= addr && addr <= *to && from.is_ipv4() == addr.is_ipv4())
        }
    }
}

/// What the result depends on, if it can be named.
pub(super) fn doubt(ask: &Xt) -> Option<String> {
    Some(match ask {
        Xt::Set { name, .. } => format!("the ipset {name}"),
        Xt::Owner { .. } | Xt::Socket => "the user that owns the socket".to_owned(),
        Xt::Numbers(_) | Xt::Program(_) => "payload bytes that differ between packets".to_owned(),
        _ => return None,
    })
}

pub(super) const SOURCE: Load = Load::Transport { offset: 0, length: 2 };
pub(super) const DESTINATION: Load = Load::Transport { offset: 2, length: 2 };

pub(super) fn named(name: &str, packet: &Bits) -> Tristate {
    match name.strip_suffix('+') {
        Some(start) => packet.equals(start.as_bytes()),
        None => packet.equals(&[name.as_bytes(), &[0]].concat()),
    }
}

impl Range16 {
    fn holds(self, port: &Bits) -> Tristate {
        port.within(&self.0.to_be_bytes(), &self.1.to_be_bytes())
    }
}

impl Net {
    /// Whether it contains an address.
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
