//! A packet as a firewall sees it.

use super::bits::Bits;
use super::expr::{Fib, Load};
use crate::host::Protocol;
use std::net::IpAddr;

/// A packet of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The direction.
    pub direction: Direction,
    /// Its position in the connection.
    pub flow: Flow,
    /// The protocol.
    pub protocol: Protocol,
    /// The source address.
    pub source: IpAddr,
    /// The destination address.
    pub destination: IpAddr,
    /// The source port; none for an ephemeral port, which is 32768 or above.
    pub source_port: Option<u16>,
    /// The destination port; none for an ephemeral port of the other end.
    pub destination_port: Option<u16>,
    /// The input or output interface, where it is known.
    pub link: Option<Link>,
    /// The output interface of a forwarded packet.
    pub onward: Option<Link>,
    /// The VNI, if it is a VXLAN packet.
    pub vni: Option<u32>,
    /// The user that owns the local socket, where it is known.
    pub owner: Option<u32>,
    /// DNAT changed its destination, which was a local address before.
    pub redirected: bool,
}

/// The direction of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From another host to this one.
    In,
    /// From this host to another.
    Out,
    /// Forwarded between two other hosts, with the addresses it has inside the node.
    Forward,
}

/// The position of a packet in its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    /// The first packet.
    New,
    /// A reply.
    Answer,
    /// A later packet in the original direction, after a reply.
    Further,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
}

/// `ct state` bits of nftables.
pub(super) const INVALID: u32 = 1;
const ESTABLISHED: u32 = 2;
const NEW: u32 = 8;
pub(super) const UNTRACKED: u32 = 64;
/// `ct status` bits: SNAT and DNAT.
pub(super) const OTHER_SOURCE: u32 = 0x10;
pub(super) const OTHER_DESTINATION: u32 = 0x20;
/// Route type numbers.
const UNICAST: u32 = 1;
const LOCAL: u32 = 2;

impl Packet {
    pub(super) fn number(&self) -> u8 {
        match self.protocol {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Esp => 50,
        }
    }

    /// The earlier packets of its connection.
    pub(super) fn before(&self) -> Vec<Self> {
        let turned = |flow| Self {
            direction: match self.direction {
                Direction::In => Direction::Out,
                Direction::Out => Direction::In,
                Direction::Forward => Direction::Forward,
            },
            flow,
            protocol: self.protocol,
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            link: if self.direction == Direction::Forward { self.onward.clone() } else { self.link.clone() },
            onward: self.link.clone().filter(|_| self.direction == Direction::Forward),
            vni: self.vni,
            owner: self.owner,
            redirected: self.redirected,
        };
        match self.flow {
            Flow::New => Vec::new(),
            Flow::Answer => vec![turned(Flow::New)],
            Flow::Further => vec![Self { flow: Flow::New, ..self.clone() }, turned(Flow::Answer)],
        }
    }

    /// The IP header, as far as it is equal for all such packets.
    pub(super) fn network(&self) -> Bits {
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut header = Bits::unknown(20);
                header.put(0, &Bits::known([0x45]));
                // Don't fragment may be set; the packet is no fragment.
                header.put(6, &Bits::partly([0, 0], [0xbf, 0xff]));
                header.put(9, &Bits::known([self.number()]));
                header.put(12, &Bits::known(source.octets()));
                header.put(16, &Bits::known(destination.octets()));
                header
            }
            (source, destination) => {
                let mut header = Bits::unknown(40);
                header.put(0, &Bits::partly([0x60], [0xf0]));
                header.put(6, &Bits::known([self.number()]));
                for (offset, addr) in [(8, source), (24, destination)] {
                    if let IpAddr::V6(addr) = addr {
                        header.put(offset, &Bits::known(addr.octets()));
                    }
                }
                header
            }
        }
    }

    /// The packet from its IP header, as far as it is known.
    pub(super) fn bytes(&self) -> Bits {
        let (network, transport) = (self.network(), self.transport());
        let mut bytes = Bits::unknown(network.length() + transport.length());
        bytes.put(0, &network);
        bytes.put(network.length(), &transport);
        bytes
    }

    /// The offset of the payload, if it is the same for all such packets.
    pub(super) fn content(&self) -> Option<u32> {
        let header = if self.source.is_ipv4() { 20 } else { 40 };
        (self.protocol == Protocol::Udp).then_some(header + 8)
    }

    /// The TCP or UDP header and the VXLAN header, as far as they are known.
    pub(super) fn transport(&self) -> Bits {
        if self.protocol == Protocol::Esp {
            return Bits::unknown(8);
        }
        let mut header = Bits::unknown(match (self.protocol, self.vni) {
            (Protocol::Tcp, _) => 20,
            (_, None) => 8,
            (_, Some(_)) => 16,
        });
        if let (Protocol::Udp, Some(vni)) = (self.protocol, self.vni) {
            header.put(12, &Bits::known((vni << 8).to_be_bytes()));
        }
        for (offset, port) in [(0, self.source_port), (2, self.destination_port)] {
            header.put(
                offset,
                &match port {
                    Some(port) => Bits::known(port.to_be_bytes()),
                    None => Bits::partly([0x80, 0], [0x80, 0]),
                },
            );
        }
        if self.protocol == Protocol::Tcp {
            const SYN: u8 = 0x02;
            const ACK: u8 = 0x10;
            header.put(
                13,
                &match self.flow {
                    // The bits of congestion control may be set.
                    Flow::New => Bits::partly([SYN], [0x3f]),
                    Flow::Answer => Bits::partly([ACK], [ACK]),
                    Flow::Further => Bits::partly([ACK], [ACK | SYN]),
                },
            );
        }
        header
    }

    /// The value that is loaded into a register, except for properties that rules change.
    pub(super) fn load(&self, what: Load) -> Bits {
        let four = |number: u32| Bits::known(number.to_le_bytes());
        let v4 = self.source.is_ipv4();
        match what {
            Load::Network { offset, length } => self.network().part(offset as usize, length as usize),
            Load::Transport { offset, length } => self.transport().part(offset as usize, length as usize),
            Load::EtherType => Bits::known(if v4 { [0x08, 0x00] } else { [0x86, 0xdd] }),
            Load::NfProto => Bits::known([if v4 { 2 } else { 10 }]),
            Load::L4Proto => Bits::known([self.number()]),
            Load::Iif => self.index(Direction::In),
            Load::Oif => self.index(Direction::Out),
            Load::IifName => self.name(Direction::In),
            Load::OifName => self.name(Direction::Out),
            Load::PacketType => Bits::known([0]),
            Load::CtState => four(match self.flow {
                Flow::New => NEW,
                Flow::Answer | Flow::Further => ESTABLISHED,
            }),
            // Neither expected nor translated; a reply has been seen or not.
            Load::CtStatus => {
                let (value, mask) = if self.flow == Flow::New { (0, 0x37_u32) } else { (2, 0x33) };
                // A forwarded packet may leave with an address of this host.
                let mask = if self.direction == Direction::Forward { mask & !OTHER_SOURCE } else { mask };
                let (value, mask) = match self.redirected {
                    true => (value | OTHER_DESTINATION, mask | OTHER_DESTINATION),
                    false => (value, mask),
                };
                Bits::partly(u32::to_le_bytes(value), mask.to_le_bytes())
            }
            Load::CtDirection => Bits::known([u8::from(self.flow == Flow::Answer)]),
            Load::CtMark if self.flow != Flow::New => Bits::unknown(4),
            Load::Mark | Load::CtMark => four(0),
            Load::AddressType(which) => four(self.kind(which)),
            // The interface of the packet is the one that the route to the other host uses.
            Load::ComesBack if self.direction != Direction::Out && self.link.is_some() => Bits::known([1]),
            Load::WayBack if self.direction != Direction::Out => self.index(Direction::In),
            Load::SocketUser => match self.owner.filter(|_| self.direction == Direction::Out) {
                Some(user) => four(user),
                None => Bits::unknown(4),
            },
            Load::ComesBack => Bits::unknown(1),
            Load::WayBack => Bits::unknown(4),
        }
    }

    /// The type of an address, by route type number: one end is local.
    pub(super) fn kind(&self, which: Fib) -> u32 {
        match (which, self.direction) {
            (Fib::Source, Direction::In) | (Fib::Destination, Direction::Out) | (_, Direction::Forward) => {
                UNICAST
            }
            (Fib::Source, Direction::Out) | (Fib::Destination, Direction::In) => LOCAL,
        }
    }

    /// The input or output interface; none if it has none in this direction or it is unknown.
    pub(super) fn link(&self, direction: Direction) -> Option<&Link> {
        match (self.direction, direction) {
            (Direction::Forward, Direction::Out) => self.onward.as_ref(),
            _ => self.link.as_ref().filter(|_| self.goes(direction)),
        }
    }

    fn goes(&self, direction: Direction) -> bool {
        self.direction == direction || self.direction == Direction::Forward
    }

    fn index(&self, direction: Direction) -> Bits {
        if !self.goes(direction) {
            return Bits::known([0; 4]);
        }
        self.link(direction).map_or_else(|| Bits::unknown(4), |link| Bits::known(link.index.to_le_bytes()))
    }

    /// The name, padded as in the kernel; empty for the direction in which the packet has no interface.
    pub(super) fn name(&self, direction: Direction) -> Bits {
        let mut padded = [0; 16];
        if self.goes(direction) {
            let Some(link) = self.link(direction) else { return Bits::unknown(16) };
            padded.iter_mut().zip(link.name.bytes()).for_each(|(to, byte)| *to = byte);
        }
        Bits::known(padded)
    }
}
