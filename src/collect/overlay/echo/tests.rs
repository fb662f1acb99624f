//! Echoes to loopback addresses in a separate network namespace, with a real firewall.

use super::*;
use crate::collect::probe::in_new_namespace;

const IDENTIFIER: u16 = 0xfffe;

fn endpoint(last: u8) -> Endpoint {
    let addr = Ipv4Addr::new(127, 0, 0, last);
    Endpoint { node: [127, 0, 1, last].into(), addr, mac: vec![2, 66, 127, 0, 0, last] }
}

/// The results in a new namespace.
fn probed(commands: &'static [&'static str], nodes: Vec<Vec<Endpoint>>) -> Option<(Vec<Peer>, Duration)> {
    in_new_namespace(commands, move || {
        let began = Instant::now();
        let mut underlay = Underlay::here().unwrap();
        (
            probe(&nodes, 1450, Encapsulation::Vxlan { port: 4789, vni: 1 }, &mut underlay).unwrap(),
            began.elapsed(),
        )
    })
}

#[test]
fn a_node_that_answers_gets_two_echoes() {
    let Some((peers, took)) = probed(&[], vec![vec![endpoint(2)], vec![endpoint(3)]]) else { return };
    assert_eq!(peers.iter().map(|peer| peer.endpoint.octets()[3]).collect::<Vec<_>>(), [2, 3]);
    assert!(peers.iter().all(|peer| peer.small.answered() && peer.full.answered()), "{peers:?}");
    assert!(peers.iter().all(|peer| peer.sizes.is_empty()));
    assert_eq!(peers[0].mac, "02:42:7f:00:00:02");
    assert!(took < TIMEOUT, "{took:?}");
}

#[test]
fn where_large_packets_are_lost_smaller_ones_find_the_limit() {
    let commands = &[
        "nft add table inet t",
        "nft add chain inet t in { type filter hook input priority 0 ; }",
        "nft add rule inet t in meta length > 1400 drop",
    ];
    let Some((peers, took)) = probed(commands, vec![vec![endpoint(2)]]) else { return };
    assert!(peers[0].small.answered());
    assert_eq!(peers[0].full, Echo::Lost);
    assert_eq!(peers[0].size_limits(), (Some(1400), Some(1410)));
    assert!(took < TIMEOUT * 2 + TIMEOUT / 2, "{took:?}");
}

#[test]
fn where_one_endpoint_is_silent_another_is_probed() {
    let commands = &[
        "nft add table inet t",
        "nft add chain inet t in { type filter hook input priority 0 ; }",
        "nft add rule inet t in ip daddr 127.0.0.2 drop",
    ];
    let silent_first = vec![vec![endpoint(2), endpoint(3)], vec![endpoint(2)]];
    let Some((peers, _)) = probed(commands, silent_first) else { return };
    assert_eq!(peers[0].endpoint, endpoint(3).addr);
    assert!(peers[0].small.answered() && peers[0].full.answered());
    assert_eq!(peers[0].underlay, None);
    assert_eq!((&peers[1].small, &peers[1].full), (&Echo::Lost, &Echo::Lost));
    assert!(peers[1].underlay.as_ref().is_some_and(Echo::answered), "{:?}", peers[1]);
}

#[test]
fn a_packet_above_the_mtu_of_the_interface_is_too_big() {
    let Some((peers, _)) = probed(&["ip link set lo mtu 1400"], vec![vec![endpoint(2)]]) else { return };
    assert!(peers[0].small.answered());
    assert_eq!(peers[0].full, Echo::TooBig { mtu: 0 });
}

/// The answer to a request, as the socket gets it: with an IP header before it.
fn packet(source: [u8; 4], icmp: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0];
    packet.extend(source);
    packet.extend([10, 0, 0, 2]);
    packet.extend(icmp);
    packet
}

#[test]
fn a_request_has_its_size_and_a_sum_that_holds() {
    let request = request(IDENTIFIER, 0x0203, 1450);
    assert_eq!(request.len(), 1450 - 20);
    let words = request.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum: u32 = words.sum();
    assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
}

#[test]
fn only_answers_to_our_own_echoes_count() {
    let mut reply = request(IDENTIFIER, 7, 84);
    reply[0] = 0;
    let of = Ipv4Addr::new(10, 0, 0, 3);
    let read = |bytes: &[u8]| answer(bytes, IDENTIFIER);
    assert_eq!(
        read(&packet(of.octets(), &reply)),
        Some(Answer { of: of.into(), sequence: 7, reply: Reply::Echo })
    );
    assert_eq!(answer(&packet(of.octets(), &reply), 1), None);
    assert_eq!(read(&packet(of.octets(), &request(IDENTIFIER, 7, 84))), None);
    assert_eq!(read(&packet(of.octets(), &reply)[..25]), None);
    assert_eq!(read(&[]), None);
}

#[test]
fn a_router_says_what_would_fit() {
    let mut quoted = packet([10, 0, 0, 2], &request(IDENTIFIER, 9, 84));
    quoted[16..20].copy_from_slice(&[10, 0, 0, 3]);
    let mut icmp = vec![3, 4, 0, 0, 0, 0, 0x05, 0x46];
    icmp.extend(quoted);
    let of = Ipv4Addr::new(10, 0, 0, 3);
    let says = |icmp: &[u8]| answer(&packet([10, 0, 0, 1], icmp), IDENTIFIER);
    assert_eq!(says(&icmp), Some(Answer { of: of.into(), sequence: 9, reply: Reply::TooBig { mtu: 1350 } }));
    icmp[1] = 1;
    assert_eq!(says(&icmp), Some(Answer { of: of.into(), sequence: 9, reply: Reply::Error }));
}

/// How many silent nodes a swarm has that is measured.
const SWARMS: [u8; 3] = [2, 24, 250];

/// What asking costs, whoever keeps silent: `cargo test what_asking_costs -- --nocapture` prints it.
#[test]
#[expect(clippy::print_stdout, reason = "a person reads it")]
fn what_asking_costs_is_a_second_and_a_dozen_packets_a_node() {
    let sound: &'static [&'static str] = &[];
    let deaf: &'static [&'static str] = &[
        "nft add table inet t",
        "nft add chain inet t in { type filter hook input priority 0 ; }",
        "nft add rule inet t in ip daddr 127.0.0.0/24 drop",
    ];
    let narrow: &'static [&'static str] = &[
        "nft add table inet t",
        "nft add chain inet t in { type filter hook input priority 0 ; }",
        "nft add rule inet t in meta length > 1300 drop",
    ];
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    for (what, commands, most) in
        [("answer", sound, 2), ("are deaf", deaf, 5), ("take 1300 bytes", narrow, 11)]
    {
        for nodes in SWARMS {
            let measured = in_new_namespace(commands, move || {
                let endpoints: Vec<_> = (1..=nodes).map(|last| vec![endpoint(last)]).collect();
                let mut underlay = Underlay::here().unwrap();
                let mut socket = IcmpSocket::open().unwrap();
                let began = Instant::now();
                let encapsulation = Encapsulation::Vxlan { port: 4789, vni: 1 };
                let peers = probe_with(&mut socket, &endpoints, 1450, encapsulation, &mut underlay).unwrap();
                let took = began.elapsed();
                let counted: u32 = peers.iter().filter_map(|peer| peer.packets).sum();
                let packets = socket.sequence + underlay.socket.sequence;
                assert_eq!(counted, u32::from(packets));
                (took, packets)
            });
            let Some((took, packets)) = measured else { return };
            let each = f64::from(packets) / f64::from(nodes);
            println!(
                "{nodes:3} nodes that {what}: {took:?}, {each:.1} packets a node (load {})",
                load.trim()
            );
            assert!(packets <= most * u16::from(nodes), "{packets} packets to {nodes} nodes that {what}");
            // Both rounds together, and what was still on its way.
            assert!(took < TIMEOUT * 2 + TIMEOUT / 2, "{nodes} nodes that {what}: {took:?}");
        }
    }
}
