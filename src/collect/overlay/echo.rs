//! Echoes over an overlay: a small one and one of full size to each node, all at once.
//!
//! The socket sets "don't fragment" and ignores the cached path MTU (`IP_PMTUDISC_PROBE`), so that two runs give the same
//! result.

use super::capture::{Capture, Encapsulation};
use super::tables::Endpoint;
use crate::collect::ip::{self, word};
use facts::overlay::{Echo, Peer, SizedEcho};
use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

/// The timeout of each of the two attempts. Both together are shorter than the timeout of a probe on the underlay, so that
/// they do not lengthen a run.
pub(super) const TIMEOUT: Duration = Duration::from_millis(450);
/// The size of the IP and ICMP headers.
const HEADERS: u32 = 28;
/// The size of a small echo: 56 bytes of content, as ping sends.
pub(super) const SMALL: u32 = 56 + HEADERS;
/// Usual MTUs: Ethernet, PPPoE, GRE, Google Cloud, OpenStack, WireGuard, Hetzner vSwitch, the IPv6 minimum. If a full echo is
/// lost, echoes of these sizes find the limit.
const MTUS: [u32; 8] = [1500, 1492, 1476, 1460, 1450, 1420, 1400, 1280];
/// The receive buffer in bytes: the replies of hundreds of nodes at once.
const BUFFER: usize = 4 << 20;

/// One echo request and its result.
pub(super) struct Request {
    /// The index of the node.
    pub(super) node: usize,
    pub(super) to: Ipv4Addr,
    pub(super) size: u32,
    pub(super) echo: Option<Echo>,
}

/// Sends echoes to each node from the network namespace of this thread. The second attempt uses another endpoint of the
/// node, if there is one: the first may belong to a task that ended.
///
/// A silent node also gets an echo on the underlay, and the packets there are captured at the same time. A node gets two packets
/// if it answers, and twelve at most.
pub(super) fn probe(
    nodes: &[Vec<Endpoint>],
    mtu: u32,
    encapsulation: Encapsulation,
    underlay: &mut Underlay,
) -> io::Result<Vec<Peer>> {
    probe_with(&mut IcmpSocket::open()?, nodes, mtu, encapsulation, underlay)
}

/// The network namespace of the VXLAN packets.
pub(super) struct Underlay {
    socket: IcmpSocket,
    /// `None` without the privilege to capture.
    capture: Option<Capture>,
}

impl Underlay {
    /// The network namespace of this thread.
    pub(super) fn here() -> io::Result<Self> {
        Ok(Self { socket: IcmpSocket::open()?, capture: Capture::open().ok() })
    }
}

/// The overhead of the encapsulation in bytes.
fn overhead(encapsulation: Encapsulation) -> u32 {
    match encapsulation {
        Encapsulation::Vxlan { .. } => 50,
        Encapsulation::Esp => 76,
    }
}

fn probe_with(
    socket: &mut IcmpSocket,
    nodes: &[Vec<Endpoint>],
    mtu: u32,
    encapsulation: Encapsulation,
    underlay: &mut Underlay,
) -> io::Result<Vec<Peer>> {
    let first = |endpoints: &Vec<Endpoint>| endpoints.first().cloned();
    let mut peers: Vec<(Endpoint, Peer)> =
        nodes.iter().filter_map(first).map(|endpoint| (endpoint.clone(), peer(&endpoint))).collect();
    let mut requests: Vec<_> = peers
        .iter()
        .enumerate()
        .flat_map(|(node, (to, _))| [SMALL, mtu].map(|size| Request { node, to: to.addr, size, echo: None }))
        .collect();
    socket.round(&mut requests)?;
    count(&requests, &mut peers);
    record(&requests, mtu, &mut peers);
    let mut again = Vec::new();
    let mut below = Vec::new();
    for (node, (endpoint, peer)) in peers.iter_mut().enumerate() {
        let mut send = |to: &Endpoint, size| again.push(Request { node, to: to.addr, size, echo: None });
        if peer.small == Echo::Lost {
            if let Some(other) = nodes.get(node).and_then(|endpoints| endpoints.last()) {
                (peer.endpoint, peer.mac) = (other.addr, mac(&other.mac));
                *endpoint = other.clone();
            }
            send(endpoint, SMALL);
            send(endpoint, mtu);
            if let IpAddr::V4(to) = peer.node {
                below.push(Request { node, to, size: SMALL, echo: None });
            }
        } else if peer.full == Echo::Lost {
            send(endpoint, mtu);
            let sizes = MTUS.iter().map(|mtu| mtu - overhead(encapsulation));
            sizes.filter(|size| *size < mtu).for_each(|size| send(endpoint, size));
        }
    }
    let silent: Vec<Ipv4Addr> = below.iter().map(|request| request.to).collect();
    let capture = underlay
        .capture
        .as_ref()
        .filter(|capture| !silent.is_empty() && capture.set_filter(&silent, encapsulation).is_ok());
    let mut sent = underlay.socket.send(&mut below, 0);
    socket.round(&mut again)?;
    count(&again, &mut peers);
    count(&below, &mut peers);
    record(&again, mtu, &mut peers);
    // The replies arrived during the second attempt.
    underlay.socket.receive(&mut sent, &mut below, Instant::now() + TIMEOUT / 10)?;
    let counts =
        capture.map(|capture| capture.counts(&silent, encapsulation, socket.identifier)).unwrap_or_default();
    for request in below {
        if let Some((_, peer)) = peers.get_mut(request.node).filter(|(_, peer)| peer.small == Echo::Lost) {
            peer.underlay = Some(request.echo.unwrap_or(Echo::Lost));
            peer.capture = counts.get(&peer.node).copied();
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
        burst: None,
        tcp: None,
    }
}

fn mac(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Counts the packets sent to each node.
fn count(requests: &[Request], peers: &mut [(Endpoint, Peer)]) {
    for request in requests {
        if let Some((_, peer)) = peers.get_mut(request.node) {
            *peer.packets.get_or_insert_default() += 1;
        }
    }
}

/// Records the results.
fn record(requests: &[Request], mtu: u32, peers: &mut [(Endpoint, Peer)]) {
    for request in requests {
        let Some((_, peer)) = peers.get_mut(request.node) else { continue };
        let echo = request.echo.clone().unwrap_or(Echo::Lost);
        match request.size {
            SMALL => peer.small = echo,
            size if size == mtu => peer.full = echo,
            size => peer.sizes.push(SizedEcho { size, echo }),
        }
    }
}

/// A raw ICMP socket.
pub(super) struct IcmpSocket {
    socket: UdpSocket,
    identifier: u16,
    /// The sequence number of the last echo.
    sequence: u16,
}

/// Unanswered echoes by address and sequence number: the index of the request, and the time it was sent.
pub(super) type Sent = BTreeMap<(IpAddr, u16), (usize, Instant)>;

impl IcmpSocket {
    /// A socket in the network namespace of this thread.
    pub(super) fn open() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
        set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::PROBE)?;
        // Without the privilege for a larger buffer, lost replies are covered by the second attempt.
        let _ = setsockopt(&socket, RcvBufForce, &BUFFER);
        // UdpSocket is the type of the standard library for datagram sockets.
        let socket = UdpSocket::from(socket);
        socket.set_write_timeout(Some(TIMEOUT))?;
        let identifier = u16::try_from(std::process::id() & 0xffff).unwrap_or_default();
        Ok(Self { socket, identifier, sequence: 0 })
    }

    /// Sends all requests, and waits until all are answered or the timeout expires.
    fn round(&mut self, requests: &mut [Request]) -> io::Result<()> {
        let mut sent = self.send(requests, 0);
        self.receive(&mut sent, requests, Instant::now() + TIMEOUT)
    }

    /// Sends the requests from index `from` on.
    pub(super) fn send(&mut self, requests: &mut [Request], from: usize) -> Sent {
        let mut open = BTreeMap::new();
        for (at, one) in requests.iter_mut().enumerate().skip(from) {
            self.sequence = self.sequence.wrapping_add(1);
            let packet = request(self.identifier, self.sequence, one.size);
            match self.socket.send_to(&packet, SocketAddrV4::new(one.to, 0)) {
                Ok(_) => drop(open.insert((one.to.into(), self.sequence), (at, Instant::now()))),
                Err(error) => one.echo = Some(unsent(&error)),
            }
        }
        open
    }

    pub(super) fn receive(
        &self,
        open: &mut Sent,
        requests: &mut [Request],
        until: Instant,
    ) -> io::Result<()> {
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
            if let Some(request) = requests.get_mut(at) {
                request.echo = Some(match answer.reply {
                    Reply::Echo => Echo::Answered { took_us },
                    Reply::TooBig { mtu } => Echo::TooBig { mtu },
                    Reply::Error => Echo::Lost,
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

/// An echo request (RFC 792) for a packet of this size.
fn request(identifier: u16, sequence: u16, size: u32) -> Vec<u8> {
    let content = usize::try_from(size.saturating_sub(HEADERS)).unwrap_or_default();
    let mut packet = vec![8, 0, 0, 0];
    packet.extend(identifier.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.resize(8 + content, 0);
    // The payload is zero, so the checksum is that of the header.
    let sum: u32 = [0x0800, u32::from(identifier), u32::from(sequence)].iter().sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let sum = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or_default();
    if let Some(place) = packet.get_mut(2..4) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// A packet about one of our echoes.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    /// The destination of the echo.
    of: IpAddr,
    sequence: u16,
    reply: Reply,
}

#[derive(Debug, PartialEq, Eq)]
enum Reply {
    Echo,
    TooBig { mtu: u32 },
    Error,
}

/// Reads an IP packet with a reply to one of our echoes, or with an ICMP error about it.
fn answer(packet: &[u8], identifier: u16) -> Option<Answer> {
    let (source, _, _, icmp) = ip::read(packet)?;
    match icmp.first()? {
        0 => {
            let sequence = ours(icmp, identifier)?;
            Some(Answer { of: source, sequence, reply: Reply::Echo })
        }
        3 => {
            let (_, of, _, quoted) = ip::read(icmp.get(8..)?)?;
            let sequence = ours(quoted, identifier).filter(|_| quoted.first() == Some(&8))?;
            let reply = match icmp.get(1)? {
                4 => Reply::TooBig { mtu: word(icmp, 6)?.into() },
                _ => Reply::Error,
            };
            Some(Answer { of, sequence, reply })
        }
        _ => None,
    }
}

/// The sequence number of an echo, if it is ours.
fn ours(icmp: &[u8], identifier: u16) -> Option<u16> {
    (word(icmp, 4)? == identifier).then(|| word(icmp, 6)).flatten()
}

#[cfg(test)]
mod tests;
