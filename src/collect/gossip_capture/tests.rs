//! Packets as the kernel hands them out, and real ones through the kernel's filter.

use super::packet::{Content, GOSSIP, Packet};
use super::*;
use crate::collect::probe::in_new_namespace;
use facts::gossip_capture::Gossip;
use std::net::Ipv4Addr;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

/// Datagrams as (milliseconds, comes, bytes).
fn counted(datagrams: &[(u64, bool, u16)], until: u64) -> PeerCapture {
    let mut listened = Listened::default();
    for (at, comes, bytes) in datagrams {
        let (content, at) = (Content::Gossip(*bytes), Duration::from_millis(*at));
        if *comes { listened.received(content, at) } else { listened.sent(content, at) }
    }
    count(PEER, &listened, Duration::from_millis(until))
}

fn verdict(heard: &PeerCapture, conclusive: bool) -> Gossip {
    GossipCapture { listened_ms: 5000, conclusive, peers: Vec::new() }.gossip(heard)
}

#[test]
fn an_answer_proves_both_ways() {
    let heard = counted(&[(100, false, 111), (101, true, 48), (900, true, 110), (901, false, 47)], 2000);
    let expected =
        PeerCapture { received: 2, sent: 2, answers: 1, answered: 1, ..PeerCapture::nothing(PEER) };
    assert_eq!((verdict(&heard, false), heard), (Gossip::Proven, expected));
}

#[test]
fn the_others_questions_are_no_answers_to_ours() {
    // Its questions come 300 ms after ours, and we answer them at once.
    let talk = [(0, false, 110), (300, true, 110), (301, false, 47), (1900, false, 110), (2200, true, 136)];
    let heard = counted(&[&talk[..], &[(2201, false, 47)]].concat(), 5000);
    assert_eq!((heard.answers, heard.unanswered, heard.ignored), (0, 2, 0));
    assert_eq!(verdict(&heard, true), Gossip::Deaf);
    assert_eq!(verdict(&heard, false), Gossip::NoProof);
}

#[test]
fn nothing_that_comes_is_mute_and_nothing_that_is_answered_is_deaf_here() {
    let mute = counted(&[(0, false, 110), (1000, false, 110), (4900, false, 110)], 5000);
    assert_eq!((mute.unanswered, verdict(&mute, true)), (2, Gossip::Mute));
    // What comes in is heard before this machine's own filter drops it.
    let talk = [(0, true, 110), (700, true, 110), (1000, false, 110), (1001, true, 47), (1700, true, 110)];
    let deaf = counted(&talk, 5000);
    assert_eq!((deaf.ignored, verdict(&deaf, true)), (3, Gossip::DeafHere));
}

#[test]
fn news_that_nobody_answers_is_no_silence() {
    let busy = [(0, false, 500), (200, true, 600), (400, false, 500), (600, true, 700), (1000, false, 500)];
    assert_eq!(verdict(&counted(&busy, 1200), true), Gossip::NoProof);
    assert_eq!(verdict(&counted(&[], 5000), true), Gossip::NoProof);
}

#[test]
fn a_datagram_that_is_heard_twice_counts_once() {
    let listened = counted(&[(100, false, 110), (100, false, 110), (101, true, 47), (101, true, 47)], 2000);
    assert_eq!((listened.received, listened.sent), (1, 1));
}

#[test]
fn the_kernels_filter_lets_gossip_esp_and_refusals_through_and_nothing_else() {
    let seen =
        in_new_namespace(&["ip addr add 192.0.2.1/24 dev lo", "ip addr add 192.0.2.2/24 dev lo"], || {
            let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(ALL))).unwrap();
            socket.attach_filter(&filter::PROGRAM).unwrap();
            let socket = UdpSocket::from(socket);
            socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            let from = UdpSocket::bind(("192.0.2.1", GOSSIP)).unwrap();
            from.send_to(&[0; 110], ("192.0.2.2", GOSSIP)).unwrap();
            from.send_to(&[0; 110], ("192.0.2.2", 4789)).unwrap();
            UdpSocket::bind("192.0.2.1:0").unwrap().send_to(&[0; 8], ("192.0.2.2", 4789)).unwrap();
            let esp = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(50))).unwrap();
            let to: std::net::SocketAddr = ([192, 0, 2, 2], 0).into();
            esp.send_to(&[0; 40], &to.into()).unwrap();
            let mut packet = [0; 2000];
            let mut seen = Vec::new();
            while let Ok(size) = socket.recv(&mut packet) {
                seen.push((size, packet::read(&packet[..size])));
            }
            seen
        });
    let Some(seen) = seen else { return };
    let packet = |from: u8, to: u8, content| {
        let addr = |last| IpAddr::from([192, 0, 2, last]);
        Some(Packet { from: addr(from), to: addr(to), content })
    };
    // On the loopback each is heard going out and coming in, and nothing listens on that port of the other address.
    for expected in
        [packet(1, 2, Content::Gossip(110)), packet(1, 2, Content::Esp), packet(2, 1, Content::Refused)]
    {
        assert!(seen.iter().any(|(_, packet)| *packet == expected), "{expected:?} in {seen:?}");
    }
    // Refusals of other ports come as far as this.
    let datagrams =
        seen.iter().filter(|(_, packet)| packet.is_some_and(|packet| packet.content != Content::Esp));
    assert!(seen.iter().all(|(size, _)| *size <= 160) && datagrams.count() >= 6, "{seen:?}");
    assert!(seen.iter().all(|(_, packet)| packet.is_none_or(|packet| packet.content != Content::Gossip(8))));
}
