//! What passes between the machines while nodes that kept silent are asked again: whether what is asked leaves this one,
//! and whether anything comes from the other. What comes in is heard before this machine's packet filter, and what goes
//! out after it.

use crate::collect::ip::{self, word};
use facts::overlay::Capture;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// All packets, which is how those that go out are heard as well (`ETH_P_ALL`, in network byte order).
const ALL: i32 = (libc::ETH_P_ALL as u16).to_be() as i32;
/// How much of a packet is handed out: enough for an echo within a packet of an overlay.
const SNAP: u16 = 160;
/// Whom it listens to at most; a jump of the filter reaches no further than over 255 steps.
const MOST: usize = 60;
const UDP: u8 = 17;
const ESP: u8 = 50;
/// The headers of UDP and VXLAN, and that of Ethernet within.
const AROUND: usize = 8 + 8 + 14;

/// What an overlay's packets travel as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrap {
    Vxlan { port: u16, vni: u32 },
    Esp,
}

/// A packet socket.
pub(super) struct Ear(UdpSocket);

impl Ear {
    /// An ear of the namespace that this thread is in; it hears nothing yet.
    pub(super) fn open() -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(ALL)))?;
        socket.attach_filter(&[give(0)])?;
        // The type is that of the standard library's for all sockets with datagrams.
        let socket = UdpSocket::from(socket);
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// From now on it hears what passes between this machine and these.
    pub(super) fn turn_to(&self, nodes: &[Ipv4Addr], wrap: Wrap) -> io::Result<()> {
        let socket = socket2::SockRef::from(&self.0);
        socket.attach_filter(&program(&nodes[..nodes.len().min(MOST)], wrap))
    }

    /// What was heard with each of these; `echo` is the number that ours bear.
    pub(super) fn heard(&self, nodes: &[Ipv4Addr], wrap: Wrap, echo: u16) -> BTreeMap<IpAddr, Capture> {
        let mut heard: BTreeMap<IpAddr, Capture> =
            nodes.iter().take(MOST).map(|node| (IpAddr::V4(*node), Capture::default())).collect();
        let mut packet = vec![0; SNAP.into()];
        while let Ok(size) = self.0.recv(&mut packet) {
            let Some((from, to, protocol, content)) = packet.get(..size).and_then(ip::read) else { continue };
            if !is_of(wrap, protocol, content) {
                continue;
            }
            if let Some(wire) = heard.get_mut(&from) {
                wire.received += 1;
                wire.answers += u32::from(protocol == UDP && answers(content, echo));
            } else if let Some(wire) = heard.get_mut(&to) {
                wire.sent += 1;
            }
        }
        heard
    }
}

fn is_of(wrap: Wrap, protocol: u8, content: &[u8]) -> bool {
    match wrap {
        Wrap::Esp => protocol == ESP,
        Wrap::Vxlan { port, vni } => {
            let number = content
                .get(12..15)
                .map(|bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)));
            protocol == UDP && word(content, 2) == Some(port) && number == Some(vni)
        }
    }
}

/// Whether a packet of an overlay has an answer to one of our echoes in it.
fn answers(content: &[u8], echo: u16) -> bool {
    const ICMP: u8 = 1;
    let inner = content.get(AROUND..).and_then(ip::read);
    inner.is_some_and(|(_, _, protocol, icmp)| {
        protocol == ICMP && icmp.first() == Some(&0) && word(icmp, 4) == Some(echo)
    })
}

/// The program that the kernel runs on each packet from its IP header on (classic BPF).
fn program(nodes: &[Ipv4Addr], wrap: Wrap) -> Vec<SockFilter> {
    /// What a step asks of the value that was loaded: that it is this one, or nothing.
    enum Asks {
        Nothing,
        /// Another value keeps the packet out.
        Must(u32),
        /// This value lets it through.
        May(u32),
    }
    let step = |code: u32, k: u32| (Asks::Nothing, SockFilter::new(code as u16, 0, 0, k));
    let load = |kind: u32, at: u32| step(libc::BPF_LD | kind, at);
    let must = |value: u32| (Asks::Must(value), give(0));
    let mut steps = vec![
        load(libc::BPF_B | libc::BPF_ABS, 0),
        step(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0xf0),
        must(0x40),
        load(libc::BPF_B | libc::BPF_ABS, 9),
    ];
    match wrap {
        Wrap::Esp => steps.push(must(ESP.into())),
        Wrap::Vxlan { port, .. } => steps.extend([
            must(UDP.into()),
            step(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0),
            load(libc::BPF_H | libc::BPF_IND, 2),
            must(port.into()),
        ]),
    }
    for addr in [12, 16] {
        steps.push(load(libc::BPF_W | libc::BPF_ABS, addr));
        steps.extend(nodes.iter().map(|node| (Asks::May(node.to_bits()), give(0))));
    }
    let end = steps.len();
    let compare = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let placed = steps.into_iter().enumerate().map(|(at, (asks, step))| {
        let (no, yes) = (u8::try_from(end - at - 1).unwrap_or(0), u8::try_from(end - at).unwrap_or(0));
        match asks {
            Asks::Nothing => step,
            Asks::Must(value) => SockFilter::new(compare, 0, no, value),
            Asks::May(value) => SockFilter::new(compare, yes, 0, value),
        }
    });
    placed.chain([give(0), give(SNAP)]).collect()
}

/// Hands out so many bytes of the packet.
fn give(bytes: u16) -> SockFilter {
    SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::probe::in_new_namespace;

    #[test]
    fn hears_the_packets_of_one_overlay_both_ways_and_no_others() {
        let heard = in_new_namespace(&[], || {
            let ear = Ear::open().unwrap();
            let (node, other) = (Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3));
            let wrap = Wrap::Vxlan { port: 4789, vni: 4097 };
            ear.turn_to(&[node], wrap).unwrap();
            let send = |from: Ipv4Addr, to: Ipv4Addr, port: u16, vni: u8| {
                let socket = UdpSocket::bind((from, 0)).unwrap();
                let _taken = UdpSocket::bind((to, port)).unwrap();
                let mut packet = vec![8, 0, 0, 0, 0, 16, vni, 0];
                // An echo's answer with our number, in Ethernet and IP.
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
            ear.heard(&[node], wrap, 0x1234)
        });
        let Some(heard) = heard else { return };
        // A packet on the loopback goes out and comes in, and is heard twice.
        let wire = &heard[&IpAddr::from([127, 0, 0, 2])];
        assert_eq!((wire.sent, wire.received, wire.answers), (2, 2, 2), "{heard:?}");
        assert_eq!(heard.len(), 1);
    }
}
