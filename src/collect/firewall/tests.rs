//! Compares the evaluation of rules with the behaviour of the kernel, with real rules and packets in separate network
//! namespaces.

use super::*;
use facts::firewall::{Direction, Expr, Flow, Link, Outcome, Packet, evaluate};
use facts::host::Protocol;
use nix::sched::{CloneFlags, unshare};
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const HERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const PORTS: [u16; 3] = [2377, 4789, 7946];
/// A packet that has not arrived by then was dropped; a veth pair has no delay.
const LOST: Duration = Duration::from_millis(120);

#[expect(clippy::disallowed_methods, reason = "the packet filter of a test is set by its program")]
fn sh(script: &str) {
    let mut shell =
        Command::new("sh").arg("-eu").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Two hosts connected by a veth pair, each a thread in a separate network namespace; none where namespaces are not
/// available. `here` can run jobs on the other host.
fn two_hosts(here: impl FnOnce(&Other) + Send + 'static) -> Option<()> {
    let (tell, jobs) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
    let (born, id) = mpsc::channel();
    let other = std::thread::spawn(move || {
        born.send(unshare(CloneFlags::CLONE_NEWNET).map(|()| nix::unistd::gettid())).unwrap();
        jobs.into_iter().for_each(|job| job());
    });
    let first = std::thread::spawn(move || {
        let id = match (id.recv().unwrap(), unshare(CloneFlags::CLONE_NEWNET)) {
            (Ok(id), Ok(())) => id,
            (one, two) => {
                let why = format_args!("skipped: no network namespace available: {one:?} {two:?}\n");
                // A skipped test prints the reason.
                std::io::stderr().write_fmt(why).unwrap();
                return None;
            }
        };
        sh("ip link set lo up; ip link add eth0 type veth peer name eth1");
        sh(&format!("ip link set eth1 netns {id}; ip addr add {HERE}/24 dev eth0; ip link set eth0 up"));
        let other = Other(tell);
        other
            .does(|| sh(&format!("ip addr add {THERE}/24 dev eth1; ip link set eth1 up; ip link set lo up")));
        here(&other);
        Some(())
    });
    let seen = first.join().unwrap();
    other.join().unwrap();
    seen
}

struct Other(mpsc::Sender<Box<dyn FnOnce() + Send>>);

impl Other {
    /// Runs a job on the other host, and waits for its result.
    fn does<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (send, received) = mpsc::channel();
        self.0.send(Box::new(move || drop(send.send(job())))).unwrap();
        received.recv().unwrap()
    }
}

/// Sockets that receive packets from the other host.
struct Listening(Vec<(TcpListener, UdpSocket)>);

impl Listening {
    fn on(addr: Ipv4Addr) -> Self {
        let both = |port| (TcpListener::bind((addr, port)).unwrap(), UdpSocket::bind((addr, port)).unwrap());
        Self(PORTS.iter().map(|port| both(*port)).collect())
    }
}

fn connects_by_tcp(to: Ipv4Addr, port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from((to, port)), LOST).is_ok()
}

fn sends_by_udp(to: Ipv4Addr, port: u16) {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    // The local firewall may block sending.
    drop(socket.send_to(b"?", (to, port)));
}

fn heard(socket: &UdpSocket) -> bool {
    socket.set_read_timeout(Some(LOST)).unwrap();
    socket.recv_from(&mut [0; 8]).is_ok()
}

fn packet(direction: Direction, protocol: Protocol, port: u16) -> Packet {
    let (source, destination) = if direction == Direction::In { (THERE, HERE) } else { (HERE, THERE) };
    Packet {
        direction,
        flow: Flow::New,
        protocol,
        source: IpAddr::V4(source),
        destination: IpAddr::V4(destination),
        source_port: None,
        destination_port: Some(port),
        link: Some(Link { name: "eth0".into(), index: interface_index() }),
        onward: None,
        vni: None,
        owner: None,
        redirected: false,
    }
}

fn interface_index() -> u32 {
    let links = crate::collect::netlink::links().unwrap();
    links.iter().find(|link| link.name == "eth0").unwrap().index
}

/// Loads each ruleset, and compares the kernel's behaviour for packets to every port, in and out, with the evaluation.
/// Only for a ruleset marked with `true` may the outcome be undetermined.
fn compare(rulesets: &'static [(&'static str, bool)]) {
    two_hosts(move |other| {
        let own = Listening::on(HERE);
        let (keep, kept) = mpsc::channel();
        other.does(move || keep.send(Listening::on(THERE)).unwrap());
        let theirs = kept.recv().unwrap();
        for (script, open) in rulesets {
            sh(&format!("{script}\n"));
            let rules = ruleset(true).unwrap();
            let mut undecided = 0;
            for (at, port) in PORTS.iter().copied().enumerate() {
                for (direction, protocol) in [
                    (Direction::In, Protocol::Tcp),
                    (Direction::In, Protocol::Udp),
                    (Direction::Out, Protocol::Tcp),
                    (Direction::Out, Protocol::Udp),
                ] {
                    let seen = match (direction, protocol) {
                        (Direction::In, Protocol::Tcp) => other.does(move || connects_by_tcp(HERE, port)),
                        (Direction::Out, Protocol::Tcp) => connects_by_tcp(THERE, port),
                        (Direction::Forward, _) | (_, Protocol::Esp) => panic!("not sent in this test"),
                        (Direction::In, Protocol::Udp) => {
                            other.does(move || sends_by_udp(HERE, port));
                            heard(&own.0[at].1)
                        }
                        (Direction::Out, Protocol::Udp) => {
                            sends_by_udp(THERE, port);
                            heard(&theirs.0[at].1)
                        }
                    };
                    let mut said = evaluate(&rules, &packet(direction, protocol, port));
                    if protocol == Protocol::Tcp && said == Outcome::Passes {
                        // A connection also needs a reply.
                        let back = if direction == Direction::In { Direction::Out } else { Direction::In };
                        let mut answer = packet(back, protocol, port);
                        answer.flow = Flow::Answer;
                        std::mem::swap(&mut answer.source_port, &mut answer.destination_port);
                        said = evaluate(&rules, &answer);
                    }
                    match said {
                        Outcome::Redirected { how, .. } => {
                            panic!("{script}: no rule redirects, and {how} did")
                        }
                        Outcome::Undetermined { depends_on: on, .. } if !open => {
                            panic!("{script}: {port}/{protocol} {direction:?} depends on {on}")
                        }
                        Outcome::Undetermined { .. } => undecided += 1,
                        Outcome::Passes => {
                            assert!(seen, "{script}: {port}/{protocol} {direction:?} passes, but was lost")
                        }
                        Outcome::Blocked { location: place, .. } => {
                            let rule = place.rule.map(|(_, rule)| rule.as_nft(place.table));
                            assert!(
                                !seen,
                                "{script}: {port}/{protocol} {direction:?} was delivered despite {rule:?}"
                            );
                        }
                    }
                }
            }
            assert_eq!(undecided > 0, *open, "{script}");
            sh(
                "nft flush ruleset; for v in '' 6; do for t in $(cat /proc/net/ip${v}_tables_names 2>/dev/null); do \
                ip${v}tables-legacy -t $t -F; ip${v}tables-legacy -t $t -X; \
                for c in PREROUTING INPUT OUTPUT; do ip${v}tables-legacy -t $t -P $c ACCEPT 2>/dev/null || true; done; \
                done; done",
            );
        }
    });
}

#[test]
fn nft_rules_are_evaluated_as_in_the_kernel() {
    compare(&[
        ("", false),
        ("nft -f - <<E\ntable inet t { chain i { type filter hook input priority 0; udp dport 7946 drop; }; }\nE", false),
        (
            "nft -f - <<E\ntable inet t { chain i { type filter hook input priority 0; policy drop; ct state \
             established,related accept; iif lo accept; tcp dport { 2377, 7000-8000 } accept; udp dport 4789 accept; }; }\nE",
            false,
        ),
        (
            "nft -f - <<E\ntable inet t { set s { type inet_service; flags interval; elements = { 1-100, 7946-65535 }; }
             chain i { type filter hook input priority 0; tcp dport @s reject with tcp reset; \
             meta l4proto udp th dport != @s drop; }; }\nE",
            false,
        ),
        (
            "nft -f - <<E\ntable ip t { chain a { tcp dport 2377 return; drop; }; chain b { udp dport 4789 accept; }
             chain i { type filter hook input priority 0; ip protocol vmap { tcp : jump a, udp : goto b }; drop; }; }\nE",
            false,
        ),
        (
            "nft -f - <<E\ntable inet t { chain i { type filter hook input priority 0; ip saddr . tcp dport { \
             192.0.2.0/24 . 2000-3000, 192.0.2.9 . 7946 } drop; ip saddr 192.0.2.2 udp dport vmap { 7946 : drop, 4789 : \
             accept }; }; chain o { type filter hook output priority 0; policy drop; ct state established accept; \
             oifname \"eth*\" tcp dport { 2377 } accept; ip daddr 192.0.2.0/30 udp dport 7946 accept; }; }\nE",
            false,
        ),
        (
            "nft -f - <<E\ntable netdev n { chain i { type filter hook ingress device eth0 priority 0; udp dport 4789 drop; \
             }; }; table inet t { chain m { type filter hook prerouting priority -150; tcp dport 7946 meta mark set 5; \
             udp dport 7946 notrack; }; chain i { type filter hook input priority 0; meta mark 5 drop; ct state untracked \
             drop; ct state new tcp flags & (syn|ack) == syn accept; fib daddr type local accept; drop; }; }\nE",
            false,
        ),
        (
            "nft -f - <<E\ntable inet t { chain i { type filter hook input priority 0; policy drop; ct state vmap { \
             established : accept, related : accept, invalid : drop }; iifname vmap { \"eth0\" : jump z, \"lo\" : accept }; \
             reject with icmpx admin-prohibited; }; chain z { tcp dport 7946 ct state { new, untracked } accept; \
             udp dport >= 7000 accept; meta mark & 0xff == 0x1 drop; }; }\nE",
            false,
        ),
        (
            "nft -f - <<E\ntable inet t { chain i { type filter hook input priority 0; udp dport 7946 limit rate \
             1000/second accept; udp dport 7946 drop; tcp dport 2377 limit rate 1000/second log; tcp dport 2377 accept; }; }\nE",
            true,
        ),
        (
            "nft -f - <<E\ntable inet t { chain i { type filter hook input priority 0; udp sport < 10 accept; \
             meta skuid 0 counter; tcp dport 7946 drop; udp dport 4789 meta cpu 0-63 drop; }; }\nE",
            true,
        ),
    ]);
}

#[test]
fn iptables_rules_are_evaluated_as_in_the_kernel() {
    const RULES: &str = "-P INPUT DROP
        -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        -N swarm
        -A INPUT -s 192.0.2.0/24 -m comment --comment 'the swarm' -j swarm
        -A swarm -p tcp -m multiport --dports 2377,7000:8000 -j ACCEPT
        -A swarm -p udp ! --dport 4789 -j RETURN
        -A swarm -i eth+ -m addrtype --dst-type LOCAL -p udp -j ACCEPT
        -A OUTPUT -o eth0 -p tcp --dport 2377 -j REJECT --reject-with tcp-reset";
    const MORE: &str = "-A INPUT -m iprange --src-range 192.0.2.2-192.0.2.7 -p udp --dport 7946 -j DROP
        -A INPUT -p tcp --syn --dport 2377 -j REJECT
        -A INPUT ! -s 192.0.2.2 -j DROP
        -A INPUT -m state --state NEW -p tcp --dport 7946 -j LOG
        -t mangle -A PREROUTING -p udp --dport 4789 -j MARK --set-mark 7
        -A INPUT -m mark --mark 9 -j DROP
        -A OUTPUT -g out
        -A out -d 192.0.2.2 -p udp --dport 7946 -j DROP";
    const OPEN: &str = "-A INPUT -m limit --limit 1000/s -p udp --dport 7946 -j ACCEPT
        -A INPUT -p udp --dport 7946 -j DROP
        -A INPUT -m recent --name x --rcheck -p tcp --dport 2377 -j DROP";
    let programs = ["iptables", "iptables-legacy"].map(|program| {
        [(RULES, false), (MORE, true), (OPEN, true)].map(|(rules, open)| {
            let lines = rules.lines().map(|line| {
                let line = line.trim();
                let new = if line.contains("-g out") { format!("{program} -N out\n") } else { String::new() };
                format!("{new}{program} {line}\n")
            });
            // Each line is a separate script.
            (&*Box::leak(lines.collect::<String>().into_boxed_str()), open)
        })
    });
    compare(Box::leak(programs.concat().into_boxed_slice()));
}

#[test]
fn no_rules_are_no_tables() {
    two_hosts(|_| assert_eq!(ruleset(true).unwrap(), Ruleset::default()));
}

#[test]
fn an_unknown_expression_keeps_its_name() {
    two_hosts(|_| {
        sh("iptables -A INPUT -m string --string x --algo bm -j ACCEPT");
        let rules = ruleset(true).unwrap();
        let unknown = Expr::Unknown { name: "-m string".into(), to: None };
        assert!(rules.tables[0].chains[0].rules[0].exprs.contains(&unknown), "{rules:?}");
        let written = serde_json::to_string(&rules).unwrap();
        assert_eq!(serde_json::from_str::<Ruleset>(&written).unwrap(), rules);
    });
}
