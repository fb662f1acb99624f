//! Loss, round-trip time and TCP over an overlay: a burst of small echoes to each node that answers, and a SYN beside it.
//!
//! ICMP checksums are computed by the kernel, TCP checksums often by the network interface. An interface that computes
//! them wrongly inside VXLAN packets breaks TCP alone, which an echo does not show.

use super::echo::{IcmpSocket, Request, SMALL, Sent};
use crate::collect::probe::{BURST_ECHOES, BURST_INTERVAL};
use facts::link::{Burst, Outcome};
use facts::overlay::{Echo, Peer};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

/// How long the last replies may take.
const TIMEOUT: Duration = Duration::from_millis(300);
/// The echoes before which unanswered SYNs are repeated, each from a new port.
const SYN_AT: [u32; 3] = [0, 3, 6];
/// A port that nothing listens on (tcpmux): a reset is the expected answer, and an open port is an answer as well.
const CLOSED_PORT: u16 = 1;

/// Measures every peer that answered an echo. TCP is probed on endpoints that answer a SYN to a closed port.
///
/// Where echoes are lost, a second burst shows whether the endpoint is still there: one whose engine stopped in the middle
/// of the first has no loss to report.
pub(super) fn measure(peers: &mut [Peer], answers_tcp: impl Fn(Ipv4Addr) -> bool) -> io::Result<()> {
    let answering: Vec<usize> =
        (0..peers.len()).filter(|at| peers.get(*at).is_some_and(Peer::answers)).collect();
    if answering.is_empty() {
        return Ok(());
    }
    let mut socket = IcmpSocket::open()?;
    let mut syns = Syns::new(peers.len());
    let mut times = send(&mut socket, peers, &answering, &mut syns, &answers_tcp)?;
    let lossy: Vec<usize> =
        answering.iter().copied().filter(|at| times.get(at).is_some_and(|it| it.contains(&None))).collect();
    if !lossy.is_empty() {
        for (at, more) in send(&mut socket, peers, &lossy, &mut syns, &answers_tcp)? {
            if more.iter().any(Option::is_some) {
                times.entry(at).or_default().extend(more);
            } else {
                times.remove(&at);
            }
        }
    }
    for (at, times) in times {
        let Some(peer) = peers.get_mut(at) else { continue };
        peer.burst = Some(Burst::of(&times));
        if answers_tcp(peer.endpoint) {
            peer.tcp = Some(syns.outcomes.get(at).cloned().flatten().unwrap_or(Outcome::Filtered));
        }
    }
    Ok(())
}

/// The SYNs that were sent, by peer.
struct Syns {
    open: Vec<(usize, Socket)>,
    outcomes: Vec<Option<Outcome>>,
}

/// Sends a burst to these peers, and gives the round-trip times in microseconds in the order sent, `None` for a lost echo.
fn send(
    socket: &mut IcmpSocket,
    peers: &[Peer],
    to: &[usize],
    syns: &mut Syns,
    answers_tcp: impl Fn(Ipv4Addr) -> bool,
) -> io::Result<BTreeMap<usize, Vec<Option<u64>>>> {
    let mut requests: Vec<Request> = Vec::new();
    let mut sent = Sent::new();
    for round in 0..BURST_ECHOES {
        let from = requests.len();
        for at in to {
            let Some(peer) = peers.get(*at) else { continue };
            requests.push(Request { node: *at, to: peer.endpoint, size: SMALL, echo: None });
            if SYN_AT.contains(&round) && answers_tcp(peer.endpoint) {
                syns.send(*at, peer.endpoint);
            }
        }
        sent.extend(socket.send(&mut requests, from));
        let last = round + 1 == BURST_ECHOES;
        let until = Instant::now() + if last { TIMEOUT } else { BURST_INTERVAL };
        socket.receive(&mut sent, &mut requests, until)?;
        // Replies that are all there leave time until the next round.
        if !last {
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
        }
        syns.collect();
    }
    let mut times: BTreeMap<usize, Vec<Option<u64>>> = BTreeMap::new();
    for request in requests {
        times.entry(request.node).or_default().push(match request.echo {
            Some(Echo::Answered { took_us }) => Some(took_us),
            _ => None,
        });
    }
    Ok(times)
}

impl Syns {
    fn new(peers: usize) -> Self {
        Self { open: Vec::new(), outcomes: vec![None; peers] }
    }

    /// Sends a SYN to a peer that has not answered one yet.
    fn send(&mut self, at: usize, addr: Ipv4Addr) {
        if self.outcomes.get(at) == Some(&None) {
            match connect(addr) {
                Ok(socket) => self.open.push((at, socket)),
                Err(outcome) => self.set(at, outcome),
            }
        }
    }

    fn collect(&mut self) {
        let answered: Vec<_> =
            self.open.iter().filter_map(|(at, socket)| Some((*at, outcome_of(socket)?))).collect();
        for (at, outcome) in answered {
            self.set(at, outcome);
        }
    }

    fn set(&mut self, at: usize, outcome: Outcome) {
        if let Some(answer) = self.outcomes.get_mut(at).filter(|answer| answer.is_none()) {
            *answer = Some(outcome);
        }
    }
}

/// Sends a SYN without waiting for the answer. A connection is reset when the socket is dropped.
fn connect(addr: Ipv4Addr) -> Result<Socket, Outcome> {
    let open = || -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_linger(Some(Duration::ZERO))?;
        match socket.connect(&SocketAddrV4::new(addr, CLOSED_PORT).into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
            _ => Ok(socket),
        }
    };
    open().map_err(|error| crate::collect::probe::outcome(error.raw_os_error().unwrap_or(libc::EIO)))
}

/// The answer to a SYN; `None` if none arrived yet.
fn outcome_of(socket: &Socket) -> Option<Outcome> {
    match socket.take_error() {
        Ok(Some(error)) => Some(crate::collect::probe::outcome(error.raw_os_error().unwrap_or(libc::EIO))),
        Ok(None) => socket.peer_addr().is_ok().then_some(Outcome::Open),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::probe::in_new_namespace;

    fn measured(commands: &'static [&'static str]) -> Option<(Peer, Duration)> {
        in_new_namespace(commands, || {
            let mut peers = [Peer {
                node: [127, 0, 1, 2].into(),
                endpoint: [127, 0, 0, 2].into(),
                mac: String::new(),
                small: Echo::Answered { took_us: 1 },
                full: Echo::Lost,
                sizes: Vec::new(),
                underlay: None,
                capture: None,
                packets: None,
                burst: None,
                tcp: None,
            }];
            let began = Instant::now();
            measure(&mut peers, |_| true).unwrap();
            let [peer] = peers;
            (peer, began.elapsed())
        })
    }

    #[test]
    fn a_healthy_path_loses_nothing_and_answers_the_syn() {
        let Some((peer, took)) = measured(&[]) else { return };
        let burst = peer.burst.unwrap();
        assert_eq!((burst.sent, burst.received), (10, 10));
        assert_eq!(peer.tcp, Some(Outcome::Refused { errno: libc::ECONNREFUSED }));
        assert!(took < Duration::from_secs(2), "{took:?}");
    }

    #[test]
    fn a_path_that_loses_some_packets_is_measured_twice() {
        let commands = &[
            "nft add table inet t",
            "nft add chain inet t in { type filter hook input priority 0 ; }",
            "nft add rule inet t in icmp type echo-request numgen inc mod 2 == 0 drop",
        ];
        let Some((peer, _)) = measured(commands) else { return };
        let burst = peer.burst.unwrap();
        assert_eq!((burst.sent, burst.received), (20, 10));
    }

    #[test]
    fn an_endpoint_that_is_gone_in_the_second_burst_has_no_loss() {
        let commands = &[
            "nft add table inet t",
            "nft add chain inet t in { type filter hook input priority 0 ; }",
            "nft add rule inet t in icmp type echo-request limit rate 1/hour burst 3 packets accept",
            "nft add rule inet t in icmp type echo-request drop",
        ];
        let Some((peer, _)) = measured(commands) else { return };
        assert_eq!((peer.burst, peer.tcp), (None, None));
    }

    #[test]
    fn a_path_that_drops_tcp_alone_loses_the_syn() {
        let commands = &[
            "nft add table inet t",
            "nft add chain inet t in { type filter hook input priority 0 ; }",
            "nft add rule inet t in tcp dport 1 drop",
        ];
        let Some((peer, _)) = measured(commands) else { return };
        assert_eq!(peer.burst.unwrap().received, 10);
        assert_eq!(peer.tcp, Some(Outcome::Filtered));
        assert!(peer.drops_tcp_only());
    }
}
