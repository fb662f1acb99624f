//! Captures the packets between this node and silent nodes during the second attempt: whether the echo leaves this node, and
//! whether packets of the other node arrive. Incoming packets are captured before the firewall of this node, outgoing
//! packets after it.

use crate::collect::ip::{self, word};
use facts::overlay::Capture as Counts;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// All packets, outgoing ones included (`ETH_P_ALL`, in network byte order).
const ALL: i32 = (libc::ETH_P_ALL as u16).to_be() as i32;
/// The captured length in bytes: enough for an echo inside a VXLAN packet.
const SNAP: u16 = 160;
/// The maximum number of nodes in the filter; a jump of classic BPF skips at most 255 instructions.
const MAX_NODES: usize = 60;
const UDP: u8 = 17;
const ESP: u8 = 50;
/// The headers of UDP and VXLAN, and that of Ethernet within.
const HEADERS: usize = 8 + 8 + 14;

/// The encapsulation of an overlay's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encapsulation {
    Vxlan { port: u16, vni: u32 },
    Esp,
}

/// A packet socket.
pub(super) struct Capture(UdpSocket);

impl Capture {
    /// A socket in the network namespace of this thread. It captures nothing yet.
    pub(super) fn open() -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(ALL)))?;
        socket.attach_filter(&[accept(0)])?;
        // UdpSocket is the type of the standard library for datagram sockets.
        let socket = UdpSocket::from(socket);
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// Starts to capture the packets between this node and these nodes.
    pub(super) fn set_filter(&self, nodes: &[Ipv4Addr], encapsulation: Encapsulation) -> io::Result<()> {
        let socket = socket2::SockRef::from(&self.0);
        socket.attach_filter(&program(&nodes[..nodes.len().min(MAX_NODES)], encapsulation))
    }

    /// The captured packets by node; `echo` is the identifier of our echoes.
    pub(super) fn counts(
        &self,
        nodes: &[Ipv4Addr],
        encapsulation: Encapsulation,
        echo: u16,
    ) -> BTreeMap<IpAddr, Counts> {
        let mut counts: BTreeMap<IpAddr, Counts> =
            nodes.iter().take(MAX_NODES).map(|node| (IpAddr::V4(*node), Counts::default())).collect();
        let mut packet = vec![0; SNAP.into()];
        while let Ok(size) = self.0.recv(&mut packet) {
            let Some((from, to, protocol, content)) = packet.get(..size).and_then(ip::read) else { continue };
            if !belongs_to(encapsulation, protocol, content) {
                continue;
            }
            if let Some(captured) = counts.get_mut(&from) {
                captured.received += 1;
                captured.answers += u32::from(protocol == UDP && is_reply(content, echo));
            } else if let Some(captured) = counts.get_mut(&to) {
                captured.sent += 1;
            }
        }
        counts
    }
}

fn belongs_to(encapsulation: Encapsulation, protocol: u8, content: &[u8]) -> bool {
    match encapsulation {
        Encapsulation::Esp => protocol == ESP,
        Encapsulation::Vxlan { port, vni } => {
            let number = content
                .get(12..15)
                .map(|bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)));
            protocol == UDP && word(content, 2) == Some(port) && number == Some(vni)
        }
    }
}

/// Whether a VXLAN packet contains a reply to one of our echoes.
fn is_reply(content: &[u8], echo: u16) -> bool {
    const ICMP: u8 = 1;
    let inner = content.get(HEADERS..).and_then(ip::read);
    inner.is_some_and(|(_, _, protocol, icmp)| {
        protocol == ICMP && icmp.first() == Some(&0) && word(icmp, 4) == Some(echo)
    })
}

/// The filter as classic BPF. Offset 0 is the IP header.
fn program(nodes: &[Ipv4Addr], encapsulation: Encapsulation) -> Vec<SockFilter> {
    /// The condition of an instruction on the loaded value.
    enum Condition {
        None,
        /// Any other value rejects the packet.
        Must(u32),
        /// This value accepts the packet.
        May(u32),
    }
    let step = |code: u32, k: u32| (Condition::None, SockFilter::new(code as u16, 0, 0, k));
    let load = |kind: u32, at: u32| step(libc::BPF_LD | kind, at);
    let must = |value: u32| (Condition::Must(value), accept(0));
    let mut steps = vec![
        load(libc::BPF_B | libc::BPF_ABS, 0),
        step(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0xf0),
        must(0x40),
        load(libc::BPF_B | libc::BPF_ABS, 9),
    ];
    match encapsulation {
        Encapsulation::Esp => steps.push(must(ESP.into())),
        Encapsulation::Vxlan { port, .. } => steps.extend([
            must(UDP.into()),
            step(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0),
            load(libc::BPF_H | libc::BPF_IND, 2),
            must(port.into()),
        ]),
    }
    for addr in [12, 16] {
        steps.push(load(libc::BPF_W | libc::BPF_ABS, addr));
        steps.extend(nodes.iter().map(|node| (Condition::May(node.to_bits()), accept(0))));
    }
    let end = steps.len();
    let compare = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let placed = steps.into_iter().enumerate().map(|(at, (condition, step))| {
        let (no, yes) = (u8::try_from(end - at - 1).unwrap_or(0), u8::try_from(end - at).unwrap_or(0));
        match condition {
            Condition::None => step,
            Condition::Must(value) => SockFilter::new(compare, 0, no, value),
            Condition::May(value) => SockFilter::new(compare, yes, 0, value),
        }
    });
    placed.chain([accept(0), accept(SNAP)]).collect()
}

/// Accepts this many bytes of the packet; 0 rejects it.
fn accept(bytes: u16) -> SockFilter {
    SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::probe::in_new_namespace;

    #[test]
    fn captures_the_packets_of_one_overlay_in_both_directions() {
        let counts = in_new_namespace(&[], || {
            let capture = Capture::open().unwrap();
            let (node, other) = (Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3));
            let encapsulation = Encapsulation::Vxlan { port: 4789, vni: 4097 };
            capture.set_filter(&[node], encapsulation).unwrap();
            let send = |from: Ipv4Addr, to: Ipv4Addr, port: u16, vni: u8| {
                let socket = UdpSocket::bind((from, 0)).unwrap();
                let _receiver = UdpSocket::bind((to, port)).unwrap();
                let mut packet = vec![8, 0, 0, 0, 0, 16, vni, 0];
                // An echo reply with our identifier, in Ethernet and IP.
                packet.extend([0; 14]);
                packet.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 3, 10, 0, 0, 2]);
                packet.extend([0, 0, 0, 0, 0x12, 0x34, 0, 1]);
                socket.send_to(&packet, (to, port)).unwrap();
            };
            let own = Ipv4Addr::LOCALHOST;
            send(own, node, 4789, 1);
            send(node, own, 4789, 1);
            send(node, own, 4789, 2);
            send(node, own, 4788, 1);
            send(own, other, 4789, 1);
            capture.counts(&[node], encapsulation, 0x1234)
        });
        let Some(counts) = counts else { return };
        // A packet on the loopback interface is captured twice, outgoing and incoming.
        let captured = &counts[&IpAddr::from([127, 0, 0, 2])];
        assert_eq!((captured.sent, captured.received, captured.answers), (2, 2, 2), "{counts:?}");
        assert_eq!(counts.len(), 1);
    }
}
