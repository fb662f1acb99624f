//! Captures the traffic between this node and the others: gossip datagrams, and ESP packets of encrypted overlays.
//!
//! Nothing is sent: an engine does not answer an unencrypted datagram to 7946/udp and logs an error. A packet socket receives
//! the packets, with a BPF filter for only these; no interface is put into promiscuous mode.

mod count;
mod filter;
mod packet;

use super::{Artifact, Place, Session, why};
use count::{Listened, count};
use facts::gossip_capture::{GossipCapture, PeerCapture};
use facts::{Need, Why};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

/// A member asks another once a second, each in its turn and in an order that is shuffled every round. So each of N
/// others is heard within 2N seconds, and the last question needs time for its answer.
const PER_PEER: Duration = Duration::from_secs(2);
/// Added to that.
const SPARE: Duration = Duration::from_secs(1);
/// All packets, which is how those that go out are heard as well (`ETH_P_ALL`, in network byte order).
const ALL: i32 = (libc::ETH_P_ALL as u16).to_be() as i32;

pub(super) async fn gossip_capture(session: &Session) -> Vec<Artifact> {
    let place =
        Place::new(Need::GossipCapture, "gossip-capture.json", "a packet socket for 7946/udp and ESP");
    let peers = session.peer_addresses().await;
    let most = session.options.listen;
    session.of_this_machine(place, move || listen(&peers, most)).await
}

/// Listens until a ping and an ack of each peer was captured, or long enough that silence is conclusive, at most `most`.
fn listen(peers: &[IpAddr], most: Duration) -> Result<GossipCapture, Why> {
    let telling = PER_PEER * u32::try_from(peers.len()).unwrap_or(u32::MAX) + SPARE;
    let heard = hear(peers, telling.min(most)).map_err(|error| why(&error, "open a packet socket"))?;
    let all = heard.peers.iter().all(|peer| peer.refused || peer.answers > 0 && peer.answered > 0);
    Ok(GossipCapture { conclusive: all || telling <= most, ..heard })
}

fn hear(peers: &[IpAddr], window: Duration) -> io::Result<GossipCapture> {
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(ALL)))?;
    socket.attach_filter(&filter::PROGRAM)?;
    // The type is that of the standard library's for all sockets with datagrams.
    let socket = UdpSocket::from(socket);
    let began = Instant::now();
    let mut heard: BTreeMap<IpAddr, Listened> =
        peers.iter().map(|addr| (*addr, Listened::default())).collect();
    let mut packet = vec![0; usize::from(filter::SNAP)];
    while heard.values().any(|peer| !peer.proven()) {
        let left = window.saturating_sub(began.elapsed());
        if left.is_zero() {
            break;
        }
        socket.set_read_timeout(Some(left))?;
        let size = match socket.recv(&mut packet) {
            Ok(size) => size,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN)) => break,
            Err(error) => return Err(error),
        };
        // What came in before the filter was there is separated here.
        let Some(packet) = packet.get(..size).and_then(packet::read) else { continue };
        match (heard.contains_key(&packet.from), heard.contains_key(&packet.to)) {
            (true, false) => heard.entry(packet.from).or_default().received(packet.content, began.elapsed()),
            (false, true) => heard.entry(packet.to).or_default().sent(packet.content, began.elapsed()),
            // Between two others, as on a router, or strangers.
            _ => {}
        }
    }
    let listened = began.elapsed();
    let peers: Vec<PeerCapture> = heard.iter().map(|(addr, peer)| count(*addr, peer, listened)).collect();
    Ok(GossipCapture { listened_ms: super::millis(listened), conclusive: false, peers })
}

#[cfg(test)]
mod tests;
