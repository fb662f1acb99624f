//! Echoes over an overlay: a small packet and one of full size to each node, all at once.
//!
//! The socket forbids to split packets and pays no heed to what the kernel has learnt of the way (`IP_PMTUDISC_PROBE`),
//! so that a run finds the same as the one before it.

use super::ear::{Ear, Wrap};
use super::tables::Endpoint;
use crate::collect::ip::{self, word};
use facts::overlay::{Echo, Peer, Tried};
use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

/// How long answers are waited for, and again after what was not answered was asked anew. Both together stay below
/// the time that one probe of another node may take, so that a run lasts no longer for it.
const PATIENCE: Duration = Duration::from_millis(450);
/// What IP and ICMP put before the content of an echo.
const HEADERS: u32 = 28;
/// The size of a small echo: 56 bytes of content, as ping sends.
const SMALL: u32 = 56 + HEADERS;
/// The largest packets that kinds of networks let through: Ethernet, PPPoE, GRE, Google's, OpenStack's, WireGuard,
/// Hetzner's vSwitch, the least that IPv6 may have. Where a full packet is lost, these tell where it stops.
const UNDERLAYS: [u32; 8] = [1500, 1492, 1476, 1460, 1450, 1420, 1400, 1280];
/// Room for the answers of hundreds of nodes at once.
const ROOM: usize = 4 << 20;

/// One echo that is asked for.
struct Ask {
    /// The index of the node.
    node: usize,
    to: Ipv4Addr,
    size: u32,
    echo: Option<Echo>,
}

/// Asks each node from the namespace that this thread is in. Each has at least one endpoint; where it has another, that
/// one is asked the second time: the first may be that of a task which is no more.
///
/// A node that keeps silent is asked once more beneath the overlay, in the namespace that the overlay's packets travel
/// through, and what passes there meanwhile is listened to. A node gets two packets, and twelve at most.
pub(super) fn ask(
    nodes: &[Vec<Endpoint>],
    mtu: u32,
    wrap: Wrap,
    beneath: &mut Beneath,
) -> io::Result<Vec<Peer>> {
    ask_on(&mut Line::open()?, nodes, mtu, wrap, beneath)
}

/// The namespace that the overlay's packets travel through.
pub(super) struct Beneath {
    line: Line,
    /// Without the right to it, nothing is heard.
    ear: Option<Ear>,
}

impl Beneath {
    /// The namespace that this thread is in.
    pub(super) fn here() -> io::Result<Self> {
        Ok(Self { line: Line::open()?, ear: Ear::open().ok() })
    }
}

/// What an overlay puts around a packet: VXLAN, and ESP around that.
fn overhead(wrap: Wrap) -> u32 {
    match wrap {
        Wrap::Vxlan { .. } => 50,
        Wrap::Esp => 76,
    }
}

fn ask_on(
    line: &mut Line,
    nodes: &[Vec<Endpoint>],
    mtu: u32,
    wrap: Wrap,
    beneath: &mut Beneath,
) -> io::Result<Vec<Peer>> {
    let first = |endpoints: &Vec<Endpoint>| endpoints.first().cloned();
    let mut peers: Vec<(Endpoint, Peer)> =
        nodes.iter().filter_map(first).map(|endpoint| (endpoint.clone(), peer(&endpoint))).collect();
    let mut asks: Vec<_> = peers
        .iter()
        .enumerate()
        .flat_map(|(node, (to, _))| [SMALL, mtu].map(|size| Ask { node, to: to.addr, size, echo: None }))
        .collect();
    line.round(&mut asks)?;
    count(&asks, &mut peers);
    note(&asks, mtu, &mut peers);
    let mut again = Vec::new();
    let mut below = Vec::new();
    for (node, (endpoint, peer)) in peers.iter_mut().enumerate() {
        let mut ask = |to: &Endpoint, size| again.push(Ask { node, to: to.addr, size, echo: None });
        if peer.small == Echo::Lost {
            if let Some(other) = nodes.get(node).and_then(|endpoints| endpoints.last()) {
                (peer.endpoint, peer.mac) = (other.addr, mac(&other.mac));
                *endpoint = other.clone();
            }
            ask(endpoint, SMALL);
            ask(endpoint, mtu);
            if let IpAddr::V4(to) = peer.node {
                below.push(Ask { node, to, size: SMALL, echo: None });
            }
        } else if peer.full == Echo::Lost {
            ask(endpoint, mtu);
            let sizes = UNDERLAYS.iter().map(|underlay| underlay - overhead(wrap));
            sizes.filter(|size| *size < mtu).for_each(|size| ask(endpoint, size));
        }
    }
    let silent: Vec<Ipv4Addr> = below.iter().map(|ask| ask.to).collect();
    let ear = beneath.ear.as_ref().filter(|ear| !silent.is_empty() && ear.turn_to(&silent, wrap).is_ok());
    let asked = beneath.line.send(&mut below);
    line.round(&mut again)?;
    count(&again, &mut peers);
    count(&below, &mut peers);
    note(&again, mtu, &mut peers);
    // The answers came in while the others were waited for.
    beneath.line.receive(asked, &mut below, Instant::now() + PATIENCE / 10)?;
    let heard = ear.map(|ear| ear.heard(&silent, wrap, line.identifier)).unwrap_or_default();
    for ask in below {
        if let Some((_, peer)) = peers.get_mut(ask.node).filter(|(_, peer)| peer.small == Echo::Lost) {
            peer.underlay = Some(ask.echo.unwrap_or(Echo::Lost));
            peer.capture = heard.get(&peer.node).copied();
        }
    }
    Ok(peers.into_iter().map(|(_, peer)| peer).collect())
}

fn peer(endpoint: &Endpoint) -> Peer {
    Peer {
        node: endpoint.node,
        endpoint: endpoint.addr,
        mac: mac(&endpoint.mac),
        small: Echo::Lost,
        full: Echo::Lost,
        sizes: Vec::new(),
        underlay: None,
        capture: None,
        packets: Some(0),
    }
}

fn mac(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Counts the packets that each was asked with.
fn count(asks: &[Ask], peers: &mut [(Endpoint, Peer)]) {
    for ask in asks {
        if let Some((_, peer)) = peers.get_mut(ask.node) {
            *peer.packets.get_or_insert_default() += 1;
        }
    }
}

/// Writes down what came of the echoes.
fn note(asks: &[Ask], mtu: u32, peers: &mut [(Endpoint, Peer)]) {
    for ask in asks {
        let Some((_, peer)) = peers.get_mut(ask.node) else { continue };
        let echo = ask.echo.clone().unwrap_or(Echo::Lost);
        match ask.size {
            SMALL => peer.small = echo,
            size if size == mtu => peer.full = echo,
            size => peer.sizes.push(Tried { size, echo }),
        }
    }
}

/// A socket for echoes with the number of the last one.
pub(super) struct Line {
    socket: UdpSocket,
    identifier: u16,
    sequence: u16,
}

/// Echoes that were sent, by address and number: which of the asks each is, and when it went.
type Sent = BTreeMap<(IpAddr, u16), (usize, Instant)>;

impl Line {
    /// A line of the namespace that this thread is in.
    pub(super) fn open() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
        set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::PROBE)?;
        // Without the right to more room, what does not fit is asked for a second time.
        let _ = setsockopt(&socket, RcvBufForce, &ROOM);
        // The type is that of tokio's and the standard library's for all sockets with datagrams.
        let socket = UdpSocket::from(socket);
        socket.set_write_timeout(Some(PATIENCE))?;
        let identifier = u16::try_from(std::process::id() & 0xffff).unwrap_or_default();
        Ok(Self { socket, identifier, sequence: 0 })
    }

    /// Asks for all of these, and waits until each is answered or the time is over.
    fn round(&mut self, asks: &mut [Ask]) -> io::Result<()> {
        let sent = self.send(asks);
        self.receive(sent, asks, Instant::now() + PATIENCE)
    }

    fn send(&mut self, asks: &mut [Ask]) -> Sent {
        let mut open = BTreeMap::new();
        for (at, ask) in asks.iter_mut().enumerate() {
            self.sequence = self.sequence.wrapping_add(1);
            let packet = request(self.identifier, self.sequence, ask.size);
            match self.socket.send_to(&packet, SocketAddrV4::new(ask.to, 0)) {
                Ok(_) => drop(open.insert((ask.to.into(), self.sequence), (at, Instant::now()))),
                Err(error) => ask.echo = Some(unsent(&error)),
            }
        }
        open
    }

    fn receive(&self, mut open: Sent, asks: &mut [Ask], until: Instant) -> io::Result<()> {
        let mut datagram = vec![0; 1 << 16];
        while !open.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.socket.set_read_timeout(Some(left))?;
            let size = match self.socket.recv_from(&mut datagram) {
                Ok((size, _)) => size,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            let Some(answer) = datagram.get(..size).and_then(|bytes| answer(bytes, self.identifier)) else {
                continue;
            };
            let Some((at, sent)) = open.remove(&(answer.of, answer.sequence)) else { continue };
            let took_us = u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX);
            if let Some(ask) = asks.get_mut(at) {
                ask.echo = Some(match answer.says {
                    Says::Here => Echo::Answered { took_us },
                    Says::TooBig { mtu } => Echo::TooBig { mtu },
                    Says::No => Echo::Lost,
                });
            }
        }
        Ok(())
    }
}

fn unsent(error: &io::Error) -> Echo {
    match error.raw_os_error() {
        Some(libc::EMSGSIZE) => Echo::TooBig { mtu: 0 },
        Some(errno) => Echo::NotSent { errno },
        None => Echo::Lost,
    }
}

/// An echo request (RFC 792) that makes a packet of this size.
fn request(identifier: u16, sequence: u16, size: u32) -> Vec<u8> {
    let content = usize::try_from(size.saturating_sub(HEADERS)).unwrap_or_default();
    let mut packet = vec![8, 0, 0, 0];
    packet.extend(identifier.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.resize(8 + content, 0);
    // The content is zeros, so that the sum is that of the header.
    let sum: u32 = [0x0800, u32::from(identifier), u32::from(sequence)].iter().sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let sum = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or_default();
    if let Some(place) = packet.get_mut(2..4) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// What came for one of our echoes.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    /// Whom it was asked of.
    of: IpAddr,
    sequence: u16,
    says: Says,
}

#[derive(Debug, PartialEq, Eq)]
enum Says {
    Here,
    TooBig { mtu: u32 },
    No,
}

/// Reads an IP packet with an answer to one of our echoes, or with an error about it.
fn answer(packet: &[u8], identifier: u16) -> Option<Answer> {
    let (source, _, _, icmp) = ip::read(packet)?;
    match icmp.first()? {
        0 => {
            let sequence = ours(icmp, identifier)?;
            Some(Answer { of: source, sequence, says: Says::Here })
        }
        3 => {
            let (_, of, _, quoted) = ip::read(icmp.get(8..)?)?;
            let sequence = ours(quoted, identifier).filter(|_| quoted.first() == Some(&8))?;
            let says = match icmp.get(1)? {
                4 => Says::TooBig { mtu: word(icmp, 6)?.into() },
                _ => Says::No,
            };
            Some(Answer { of, sequence, says })
        }
        _ => None,
    }
}

/// The number of an echo, where it is one of ours.
fn ours(icmp: &[u8], identifier: u16) -> Option<u16> {
    (word(icmp, 4)? == identifier).then(|| word(icmp, 6)).flatten()
}

#[cfg(test)]
mod tests;
