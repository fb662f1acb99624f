//! A packet as a filter sees it.

use super::bits::Bits;
use super::expr::{Fib, Load};
use crate::host::Protocol;
use std::net::IpAddr;

/// A packet of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Which way it goes.
    pub way: Way,
    /// The connection it belongs to.
    pub flow: Flow,
    /// The protocol.
    pub protocol: Protocol,
    /// Where it comes from.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
    /// The port it comes from; none for one that the kernel chose, which is 32768 or above.
    pub source_port: Option<u16>,
    /// The port it goes to; none for one that the kernel of the other end chose.
    pub destination_port: Option<u16>,
    /// The interface it comes or leaves by, where that is known.
    pub link: Option<Link>,
    /// The interface that one which passes through leaves by.
    pub onward: Option<Link>,
    /// The number of the overlay that it carries a packet of, where it does.
    pub vni: Option<u32>,
    /// The user of the program here that it leaves from, where one is known.
    pub owner: Option<u32>,
    /// It bore another destination, of this machine, until it was routed.
    pub redirected: bool,
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// From another machine to this one.
    In,
    /// From this machine to another.
    Out,
    /// From one that this machine forwards for to another, under the addresses it has between them.
    Through,
}

/// The connection a packet belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    /// It begins with this packet.
    New,
    /// It went the other way before.
    Answer,
    /// It goes on the way it began, after an answer.
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
/// `ct status` bits: the connection goes under another address than the one it was sent from, or to.
pub(super) const OTHER_SOURCE: u32 = 0x10;
pub(super) const OTHER_DESTINATION: u32 = 0x20;
/// The kinds of an address as routes number them.
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

    /// The packets of its connection that it rests on.
    pub(super) fn before(&self) -> Vec<Self> {
        let turned = |flow| Self {
            way: match self.way {
                Way::In => Way::Out,
                Way::Out => Way::In,
                Way::Through => Way::Through,
            },
            flow,
            protocol: self.protocol,
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            link: if self.way == Way::Through { self.onward.clone() } else { self.link.clone() },
            onward: self.link.clone().filter(|_| self.way == Way::Through),
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

    /// The IP header, as far as it is the same for all such packets.
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

    /// The packet from its IP header on, as far as it is known.
    pub(super) fn bytes(&self) -> Bits {
        let (network, transport) = (self.network(), self.transport());
        let mut bytes = Bits::unknown(network.length() + transport.length());
        bytes.put(0, &network);
        bytes.put(network.length(), &transport);
        bytes
    }

    /// Where its content begins, where every such packet has it at one place.
    pub(super) fn content(&self) -> Option<u32> {
        let header = if self.source.is_ipv4() { 20 } else { 40 };
        (self.protocol == Protocol::Udp).then_some(header + 8)
    }

    /// The TCP or UDP header and that of an overlay, as far as they are known.
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

    /// What a load puts into a register, apart from what rules change on the way.
    pub(super) fn load(&self, what: Load) -> Bits {
        let four = |number: u32| Bits::known(number.to_le_bytes());
        let v4 = self.source.is_ipv4();
        match what {
            Load::Network { offset, length } => self.network().part(offset as usize, length as usize),
            Load::Transport { offset, length } => self.transport().part(offset as usize, length as usize),
            Load::EtherType => Bits::known(if v4 { [0x08, 0x00] } else { [0x86, 0xdd] }),
            Load::NfProto => Bits::known([if v4 { 2 } else { 10 }]),
            Load::L4Proto => Bits::known([self.number()]),
            Load::Iif => self.index(Way::In),
            Load::Oif => self.index(Way::Out),
            Load::IifName => self.name(Way::In),
            Load::OifName => self.name(Way::Out),
            Load::PacketType => Bits::known([0]),
            Load::CtState => four(match self.flow {
                Flow::New => NEW,
                Flow::Answer | Flow::Further => ESTABLISHED,
            }),
            // Neither expected nor under another address; an answer has been seen, or none yet.
            Load::CtStatus => {
                let (value, mask) = if self.flow == Flow::New { (0, 0x37_u32) } else { (2, 0x33) };
                // What is forwarded may leave under the address of this machine.
                let mask = if self.way == Way::Through { mask & !OTHER_SOURCE } else { mask };
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
            // The interface of a packet is the one that the routes to the other machine lead to.
            Load::ComesBack if self.way != Way::Out && self.link.is_some() => Bits::known([1]),
            Load::WayBack if self.way != Way::Out => self.index(Way::In),
            Load::SocketUser => match self.owner.filter(|_| self.way == Way::Out) {
                Some(user) => four(user),
                None => Bits::unknown(4),
            },
            Load::ComesBack => Bits::unknown(1),
            Load::WayBack => Bits::unknown(4),
        }
    }

    /// The kind of an address, by its number in routes: one end is this machine's.
    pub(super) fn kind(&self, which: Fib) -> u32 {
        match (which, self.way) {
            (Fib::Source, Way::In) | (Fib::Destination, Way::Out) | (_, Way::Through) => UNICAST,
            (Fib::Source, Way::Out) | (Fib::Destination, Way::In) => LOCAL,
        }
    }

    /// The interface it comes by, or the one it leaves by; nothing where it does not, or where that is not known.
    pub(super) fn link(&self, way: Way) -> Option<&Link> {
        match (self.way, way) {
            (Way::Through, Way::Out) => self.onward.as_ref(),
            _ => self.link.as_ref().filter(|_| self.goes(way)),
        }
    }

    fn goes(&self, way: Way) -> bool {
        self.way == way || self.way == Way::Through
    }

    fn index(&self, way: Way) -> Bits {
        if !self.goes(way) {
            return Bits::known([0; 4]);
        }
        self.link(way).map_or_else(|| Bits::unknown(4), |link| Bits::known(link.index.to_le_bytes()))
    }

    /// The name as the kernel pads it; the way the packet does not go has none.
    pub(super) fn name(&self, way: Way) -> Bits {
        let mut padded = [0; 16];
        if self.goes(way) {
            let Some(link) = self.link(way) else { return Bits::unknown(16) };
            padded.iter_mut().zip(link.name.bytes()).for_each(|(to, byte)| *to = byte);
        }
        Bits::known(padded)
    }
}
