//! Probes of loopback addresses in a separate network namespace, with a real firewall.

use super::*;
use nix::sched::{CloneFlags, unshare};
use std::net::{IpAddr, TcpListener};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_millis(300);

/// The result in a new network namespace after these commands; `None` if none can be created.
#[expect(clippy::disallowed_methods, reason = "the test sets its firewall with nft")]
pub(in crate::collect) fn in_new_namespace<T: Send + 'static>(
    commands: &'static [&'static str],
    look: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let within = move || {
        unshare(CloneFlags::CLONE_NEWNET)
            .map_err(|errno| format!("cannot create a network namespace: {errno}"))?;
        for command in std::iter::once(&"ip link set lo up").chain(commands) {
            let mut words = command.split(' ');
            let output = std::process::Command::new(words.next().unwrap()).args(words).output();
            let output = output.map_err(|error| format!("{command}: {error}"))?;
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok::<_, String>(look())
    };
    match std::thread::spawn(within).join().unwrap() {
        Ok(seen) => Some(seen),
        Err(why) => {
            // A test that cannot run prints the reason.
            std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("skipped: {why}\n")).unwrap();
            None
        }
    }
}

/// The outcomes for a peer in a new network namespace in which one program listens.
fn outcomes(commands: &'static [&'static str], peer: Peer, listen: u16) -> Option<Vec<(Attempt, Outcome)>> {
    in_new_namespace(commands, move || {
        let listener = TcpListener::bind(("127.0.0.1", listen)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let probes = runtime.block_on(probe(vec![peer], DEADLINE));
        // No connection reached the program that listens.
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        probes.into_iter().map(|probe| (probe.attempt, probe.outcome)).collect()
    })
}

fn peer(addr: [u8; 4], manager_port: Option<u16>) -> Peer {
    Peer { addr: IpAddr::from(addr), name: None, node_id: None, manager_port }
}

fn connect(port: u16) -> Attempt {
    Attempt::Connect { protocol: Protocol::Tcp, port }
}

#[test]
fn what_listens_is_open_and_what_does_not_is_refused() {
    let Some(outcomes) = outcomes(&[], peer([127, 0, 0, 1], Some(2377)), 2377) else { return };
    let refused = Outcome::Refused { errno: libc::ECONNREFUSED };
    let expected =
        [(Attempt::Echo, Outcome::Open), (connect(2377), Outcome::Open), (connect(GOSSIP), refused)];
    assert_eq!(outcomes, expected);
}

#[test]
fn what_a_filter_drops_is_filtered() {
    let commands = &[
        "nft add table inet t",
        "nft add chain inet t in { type filter hook input priority 0 ; }",
        "nft add rule inet t in tcp dport 7946 drop",
        "nft add rule inet t in icmp type echo-request drop",
    ];
    let Some(outcomes) = outcomes(commands, peer([127, 0, 0, 1], Some(2377)), 2377) else { return };
    let expected = [
        (Attempt::Echo, Outcome::Filtered),
        (connect(2377), Outcome::Open),
        (connect(GOSSIP), Outcome::Filtered),
    ];
    assert_eq!(outcomes, expected);
}

#[test]
fn what_a_filter_rejects_is_refused_or_unreachable_by_its_answer() {
    let commands = &[
        "nft add table inet t",
        "nft add chain inet t in { type filter hook input priority 0 ; }",
        "nft add rule inet t in tcp dport 7946 reject with tcp reset",
        "nft add rule inet t in tcp dport 2377 reject with icmp type admin-prohibited",
    ];
    let Some(outcomes) = outcomes(commands, peer([127, 0, 0, 1], Some(2377)), 7946) else { return };
    let expected = [
        (Attempt::Echo, Outcome::Open),
        (connect(2377), Outcome::Unreachable { errno: libc::EHOSTUNREACH }),
        (connect(GOSSIP), Outcome::Refused { errno: libc::ECONNREFUSED }),
    ];
    assert_eq!(outcomes, expected);
}

#[test]
fn without_a_route_the_network_is_unreachable() {
    let Some(outcomes) = outcomes(&[], peer([192, 0, 2, 1], None), 7946) else { return };
    let unreachable = Outcome::Unreachable { errno: libc::ENETUNREACH };
    assert_eq!(outcomes, [(Attempt::Echo, unreachable.clone()), (connect(GOSSIP), unreachable)]);
}

#[test]
fn what_this_host_will_not_send_is_not_sent() {
    let commands = &[
        "nft add table inet t",
        "nft add chain inet t out { type filter hook output priority 0 ; }",
        "nft add rule inet t out icmp type echo-request drop",
    ];
    let Some(outcomes) = outcomes(commands, peer([127, 0, 0, 1], None), 7946) else { return };
    let expected =
        [(Attempt::Echo, Outcome::NotSent { errno: libc::EPERM }), (connect(GOSSIP), Outcome::Open)];
    assert_eq!(outcomes, expected);
}

#[test]
fn a_thousand_silent_peers_are_probed_together_and_sorted() {
    let commands = &[
        "nft add table inet t",
        "nft add chain inet t in { type filter hook input priority 0 ; }",
        "nft add rule inet t in drop",
    ];
    let peers: Vec<_> =
        (0..1000_u16).rev().map(|n| peer([127, 1, n.to_be_bytes()[0], n.to_be_bytes()[1]], None)).collect();
    let began = Instant::now();
    let probes = in_new_namespace(commands, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(probe(peers, DEADLINE / 3))
    });
    let Some(probes) = probes else { return };
    assert_eq!(probes.len(), 2000);
    assert!(probes.is_sorted_by_key(|probe| (probe.peer.addr, probe.attempt)));
    assert!(probes.iter().all(|probe| probe.outcome == Outcome::Filtered));
    assert!(began.elapsed() < DEADLINE * 20, "{:?}", began.elapsed());
}
