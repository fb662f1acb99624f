//! The clocks of the other nodes, by the only question about them that a kernel answers to anyone: ICMP's for the time of
//! day (RFC 792), to the millisecond. One packet a node.

use super::ip::{self, word};
use super::{Artifact, Place, Session, why};
use facts::Need;
use facts::link::PeerClock;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const QUESTION: u8 = 13;
const ANSWER: u8 = 14;
/// The milliseconds of a day.
const DAY: u32 = 86_400_000;

pub(super) async fn clocks(session: &Session) -> Vec<Artifact> {
    let place = Place::new(Need::Clocks, "clocks.json", "ICMP timestamps");
    let peers = session.peer_addresses().await;
    let patience = session.options.probe_deadline;
    let read = move || ask(&peers, patience).map_err(|error| why(&error, "open a raw socket"));
    session.of_this_machine(place, read).await
}

/// Asks all of them, and waits until each has answered or the time is over.
fn ask(peers: &[IpAddr], patience: Duration) -> io::Result<Vec<PeerClock>> {
    let socket = UdpSocket::from(Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?);
    let identifier = u16::try_from(std::process::id() & 0xffff).unwrap_or_default();
    let mut open: BTreeMap<IpAddr, Option<i64>> = peers.iter().map(|addr| (*addr, None)).collect();
    let until = Instant::now() + patience;
    let mut waiting = 0;
    for addr in peers {
        if let IpAddr::V4(addr) = addr {
            let sent = socket.send_to(&question(identifier, now()), SocketAddrV4::new(*addr, 0));
            waiting += usize::from(sent.is_ok());
        }
    }
    let mut packet = [0; 128];
    while waiting > 0 {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        socket.set_read_timeout(Some(left))?;
        let size = match socket.recv(&mut packet) {
            Ok(size) => size,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let answer = packet.get(..size).and_then(|packet| answer(packet, identifier, now()));
        if let Some((addr, ahead)) = answer
            && let Some(clock @ None) = open.get_mut(&addr)
        {
            *clock = Some(ahead);
            waiting -= 1;
        }
    }
    Ok(open.into_iter().map(|(addr, ahead_ms)| PeerClock { addr, ahead_ms }).collect())
}

/// The time of day in milliseconds, by UTC.
fn now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_millis() % u128::from(DAY)).unwrap_or_default()
}

fn question(identifier: u16, now: u32) -> Vec<u8> {
    let mut packet = vec![QUESTION, 0, 0, 0];
    packet.extend(identifier.to_be_bytes());
    packet.extend([0, 1]);
    packet.extend(now.to_be_bytes());
    packet.extend([0; 8]);
    let words = packet.chunks(2).filter_map(|pair| word(pair, 0)).map(u32::from);
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let sum = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or_default();
    if let Some(place) = packet.get_mut(2..4) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// Who answered our question, and by how much its clock is ahead: in the middle between question and answer.
fn answer(packet: &[u8], identifier: u16, back: u32) -> Option<(IpAddr, i64)> {
    let (from, _, _, icmp) = ip::read(packet)?;
    let time = |at: usize| {
        let bytes = <[u8; 4]>::try_from(icmp.get(at..at + 4)?).ok()?;
        // A time with the highest bit set is none of the day.
        Some(u32::from_be_bytes(bytes)).filter(|time| *time < DAY)
    };
    if *icmp.first()? != ANSWER || word(icmp, 4)? != identifier {
        return None;
    }
    let (asked, received, answered) = (time(8)?, time(12)?, time(16)?);
    Some((from, (apart_by(asked, received) + apart_by(back, answered)) / 2))
}

/// From one time of the day to another by the shorter way, which may lead over midnight.
fn apart_by(from: u32, to: u32) -> i64 {
    let day = i64::from(DAY);
    (i64::from(to) - i64::from(from) + day + day / 2).rem_euclid(day) - day / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::probe::in_new_namespace;

    /// What a node with that clock answers.
    fn answered(asked: u32, there: u32, back: u32) -> Option<(IpAddr, i64)> {
        let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1];
        packet.extend([ANSWER, 0, 0, 0, 0, 7, 0, 1]);
        [asked, there, there].iter().for_each(|time| packet.extend(time.to_be_bytes()));
        answer(&packet, 7, back)
    }

    #[test]
    fn a_clock_is_ahead_or_behind_also_over_midnight() {
        let addr = IpAddr::from([192, 0, 2, 2]);
        assert_eq!(answered(1000, 1001, 1002), Some((addr, 0)));
        assert_eq!(answered(1000, 91_001, 1002), Some((addr, 90_000)));
        assert_eq!(answered(1000, DAY - 998, 1004), Some((addr, -2000)));
        assert_eq!(answered(1000, 1 << 31, 1002), None);
    }

    #[test]
    fn the_kernel_tells_its_time() {
        let here = IpAddr::from([127, 0, 0, 1]);
        let absent = IpAddr::from([192, 0, 2, 9]);
        let clocks = in_new_namespace(&[], move || ask(&[here, absent], Duration::from_millis(300)).unwrap());
        let Some(clocks) = clocks else { return };
        assert!(clocks[0].ahead_ms.is_some_and(|ahead| ahead.abs() < 50), "{clocks:?}");
        assert_eq!(clocks[1], PeerClock { addr: absent, ahead_ms: None });
    }
}
