use crate::model::blocked_port::{Direction, open_port, run_on_peer};
use crate::model::reachability::{GOSSIP_PORT, by_peer};
use crate::{Confidence, Evidence, Findings, Flow, Judged, Remedy, Risk, Step, Subject, View};
use facts::join_progress::since_gossip_start;
use facts::log::{Line, Log};
use facts::{Host, NodeName, Seen, Timestamp};
use regex::Regex;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::LazyLock;

check! {
    /// The engine logs that gossip cannot reach another node, and no probe contradicts it.
    ///
    /// ## Why it matters
    /// A node that cannot join gossip is Ready in `docker node ls` and runs tasks, but does not resolve the names of
    /// tasks on other nodes, does not learn the peers of its overlays and does not forward published ports.
    ///
    /// ## How to fix it
    /// The reason shows the cause. `connection refused`: no engine runs there, or a firewall rejects the port. `i/o
    /// timeout`: a firewall drops the packets, or the host is down. `no route to host`: the network or a firewall rejects
    /// the packets. If the address is an old address of the other node, let that node advertise its current address.
    ///
    /// ## When it is wrong
    /// If only the log is available, the port may have been opened after its last line. If the port was probed from this
    /// node, the probe counts and not the log.
    ///
    /// Source: moby `libnetwork/networkdb/cluster.go` (the lines), memberlist `memberlist.go`.
    "network/gossip-join-failed": Error, "gossip cannot reach another node";
    healthy "gossip reaches the other nodes";
    needs EngineLog, Probes, Nodes;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "network/duplicate-ip", "network/port-taken", "swarm/local-advertise-addr", "swarm/stale-advertise-addr", "network/gossip-port-blocked",
        "network/peer-unreachable", "swarm/node-down", "swarm/session-failed";
    for each Host: run
}

/// Gossip retries every minute and waits 10 s for each node. Lines older than two retries are history.
const FRESH_SECONDS: i64 = 150;

/// The failures that the log has for one address.
struct Failure<'a> {
    /// The reason in the last line.
    reason: Reason,
    /// The number of failures.
    times: u32,
    first: &'a Line,
    last: &'a Line,
}

/// Why gossip failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Refused,
    TimedOut,
    NoRoute,
    Reset,
    NotSent,
    /// The two nodes have different gossip keys.
    Keys,
}

impl Reason {
    /// The words of a line that show the reason.
    const WORDS: [(&str, Self); 9] = [
        ("connection refused", Self::Refused),
        ("i/o timeout", Self::TimedOut),
        ("no route to host", Self::NoRoute),
        ("network is unreachable", Self::NoRoute),
        ("connection reset", Self::Reset),
        ("operation not permitted", Self::NotSent),
        ("permission denied", Self::NotSent),
        ("No installed keys could decrypt", Self::Keys),
        ("state is encrypted", Self::Keys),
    ];

    fn describe(self) -> &'static str {
        match self {
            Self::Refused => "connection refused: no engine listens there, or a firewall rejects the port",
            Self::TimedOut => "i/o timeout: a firewall drops the packets, or the host is down",
            Self::NoRoute => {
                "no route to host: the network or a firewall rejects the packets, or the host is down"
            }
            Self::Reset => "connection reset: another program answers on the port",
            Self::NotSent => "a firewall rule of this node blocks it",
            Self::Keys => "the other node has different gossip keys",
        }
    }
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let log = host.log.get()?;
    let now = log.ends.unwrap_or(view.snapshot.taken);
    let probes = host.probes.get();
    let probed = probes.as_ref().map(|probes| by_peer(&probes.value)).unwrap_or_default();
    let fresh = |at: Timestamp| now.as_second() - at.as_second() <= FRESH_SECONDS;
    let mut failed: Vec<_> = failed(log)
        .into_iter()
        // A probe is newer than the log: the port is open again, or another check reports it.
        .filter(|(addr, _)| !probed.iter().any(|reach| reach.peer.addr == *addr && reach.gossip().is_some()))
        .filter(|(_, failure)| failure.last.at.is_none_or(fresh))
        .collect();
    failed.sort_by_key(|(addr, _)| *addr);
    if let [(_, one), (_, other), ..] = failed.as_slice()
        && failed.iter().all(|(_, failure)| failure.reason == one.reason)
    {
        // The same failure for several nodes has its cause on this node.
        let names: Vec<_> = failed.iter().map(|(addr, _)| view.name_of(*addr).0).collect();
        let summary = format!(
            "gossip of {} cannot reach {} on {GOSSIP_PORT}/tcp: {}",
            host.name,
            names.join(", "),
            one.reason.describe()
        );
        let subject = Subject::Node(host.name.clone());
        let finding = out.report(subject, summary, Evidence::log(log, one.last));
        if !std::ptr::eq(one.last, other.last) {
            finding.with(Evidence::log(log, other.last));
        }
        let remedy = open_port(host.name.clone(), &format!("{GOSSIP_PORT}/tcp"), Direction::Out);
        finding
            .about(Flow::tcp(GOSSIP_PORT))
            .suspect(format!("the firewall and the network of {} are the first suspects", host.name))
            .confidence(Confidence::Medium)
            .remedy(remedy);
        return Ok(());
    }
    for (addr, failure) in failed {
        let to = view.name_of(addr);
        let summary = format!(
            "gossip of {} cannot reach {to} on {GOSSIP_PORT}/tcp: {}; it failed {}",
            host.name,
            failure.reason.describe(),
            failure.when(),
        );
        let subject = Subject::Link { from: host.name.clone(), to: to.clone() };
        let finding = out.report(subject, summary, Evidence::log(log, failure.last));
        finding.about(Flow::tcp(GOSSIP_PORT)).confidence(Confidence::Medium).remedy(remedy(
            to,
            addr,
            failure.reason,
            host,
        ));
    }
    Ok(())
}

impl Failure<'_> {
    /// The number of failures and their times.
    fn when(&self) -> String {
        let at = |line: &Line| line.at.map_or_else(|| "an unknown time".to_owned(), |at| format!("{at:.0}"));
        match self.times {
            1 => format!("once, at {}", at(self.last)),
            times => format!("{times} times since {}, last at {}", at(self.first), at(self.last)),
        }
    }
}

fn remedy(to: NodeName, addr: IpAddr, reason: Reason, host: &Host) -> Remedy {
    let port = format!("{GOSSIP_PORT}/tcp");
    let (text, commands) = match reason {
        Reason::NotSent => return open_port(host.name.clone(), &port, Direction::Out),
        Reason::TimedOut | Reason::NoRoute => return open_port(to, &port, Direction::InOnPeer),
        Reason::Refused | Reason::Reset => (
            "check that the engine runs, that it is in the swarm, that it still has this address, and which firewall \
             rejects the port",
            vec![
                "docker info --format '{{.Swarm.LocalNodeState}} {{.Swarm.NodeAddr}}'".into(),
                format!("ip -brief address | grep -F {addr}"),
                format!("ss -ltnup 'sport = :{GOSSIP_PORT}'"),
                format!("firewall-cmd --add-port={port} --permanent && firewall-cmd --reload"),
            ],
        ),
        Reason::Keys => (
            "restart the engine, one node at a time, so that it receives the current gossip keys",
            vec!["systemctl restart docker".into()],
        ),
    };
    let (risk, impact) = if reason == Reason::Keys {
        (Risk::Disruptive, "all tasks on the node restart")
    } else {
        (Risk::Safe, "running tasks are not affected")
    };
    Remedy {
        title: format!("Restore gossip to {to} on {port}").into(),
        risk,
        impact: impact.into(),
        steps: vec![run_on_peer(to.clone()), Step::Manual { node: to.into(), text: text.into(), commands }],
    }
}

/// The failures by address since gossip last started, without the addresses that were reached later.
fn failed(log: &Seen<Log>) -> BTreeMap<IpAddr, Failure<'_>> {
    let mut failed: BTreeMap<IpAddr, Failure<'_>> = BTreeMap::new();
    for line in since_gossip_start(log) {
        if let Some(addr) = reached(&line.message) {
            failed.remove(&addr);
        }
        for text in std::iter::once(&line.message).chain(line.fields.values()) {
            for (addr, reason) in failures(text) {
                let failure =
                    failed.entry(addr).or_insert(Failure { reason, times: 0, first: line, last: line });
                failure.times = failure.times.saturating_add(line.repeated);
                (failure.reason, failure.last) = (reason, line);
            }
        }
    }
    failed
}

/// How the lines of every version name the address that was not reached: `dial tcp 192.0.2.1:7946:
/// getsockopt: connection refused`, `write udp 192.0.2.2:7946->192.0.2.1:7946: sendto: operation not permitted`, and
/// `Failed to join 192.0.2.1: Remote state is encrypted ...`.
static FAILURE: LazyLock<Regex> = LazyLock::new(|| {
    let forms = r"(?x)
        (?: (?:dial|read|write)\ (?:tcp|udp)\ (?:\S*->)? \[? (?<addr>[0-9a-fA-F:.]+?) \]? :7946
          | [Ff]ailed\ to\ join\ \[? (?<joined>[0-9a-fA-F:.]+?) \]? (?: :7946)? )
        :\ (?<reason>[^\n]*)";
    #[expect(clippy::expect_used, reason = "a constant pattern that a test compiles")]
    Regex::new(forms).expect("the pattern compiles")
});

/// The addresses that a line reports as not reached, with the reason.
fn failures(text: &str) -> impl Iterator<Item = (IpAddr, Reason)> {
    FAILURE.captures_iter(text).filter_map(|found| {
        let addr = found.name("addr").or_else(|| found.name("joined"))?.as_str().parse().ok()?;
        // `Failed to join` is followed by the error of the socket, if there is one.
        let reason = found.name("reason")?.as_str();
        let (_, reason) = Reason::WORDS.into_iter().find(|(words, _)| reason.contains(words))?;
        Some((addr, reason))
    })
}

/// The address of a node that joined gossip: `Node 5f0c/192.0.2.1, joined gossip cluster`.
fn reached(message: &str) -> Option<IpAddr> {
    let (node, _) = message.strip_prefix("Node ")?.split_once(", joined gossip cluster")?;
    node.split_once('/')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<(String, Reason)> {
        failures(text).map(|(addr, reason)| (addr.to_string(), reason)).collect()
    }

    #[test]
    fn reads_the_lines_of_every_version() {
        let one = |addr: &str, reason| vec![(addr.to_owned(), reason)];
        let lines = [
            (
                "Failed to join memberlist [172.20.10.3] on retry: 1 error(s) occurred:\n\n* Failed to join 172.20.10.3: dial tcp 172.20.10.3:7946: getsockopt: connection refused",
                one("172.20.10.3", Reason::Refused),
            ),
            (
                "could not join node to memberlist: 1 error occurred:\n\t* failed to join 192.0.2.1: dial tcp 192.0.2.1:7946: i/o timeout\n\n",
                one("192.0.2.1", Reason::TimedOut),
            ),
            (
                "memberlist: Push/Pull with 5f0c failed: dial tcp 192.0.2.1:7946: connect: no route to host",
                one("192.0.2.1", Reason::NoRoute),
            ),
            (
                "bulk sync to node 5f0c failed: failed to send a TCP message during bulk sync: dial tcp [2001:db8::1]:7946: i/o timeout",
                one("2001:db8::1", Reason::TimedOut),
            ),
            (
                "Failed to send gossip to 192.0.2.1: write udp [::]:7946->192.0.2.1:7946: sendto: operation not permitted",
                one("192.0.2.1", Reason::NotSent),
            ),
            (
                "memberlist: Push/Pull with 5f0c failed: read tcp 192.0.2.2:49152->192.0.2.1:7946: read: connection reset by peer",
                one("192.0.2.1", Reason::Reset),
            ),
            (
                "Failed to join 192.0.2.1: Remote state is encrypted and encryption is not configured",
                one("192.0.2.1", Reason::Keys),
            ),
            ("dial tcp 192.0.2.1:2377: connect: connection refused", vec![]),
            ("Failed to join network: i/o timeout", vec![]),
            ("memberlist: Push/Pull with 5f0c failed: dial tcp 192.0.2.1:7946: something else", vec![]),
        ];
        for (line, expected) in lines {
            assert_eq!(of(line), expected, "{line}");
        }
        let both = "2 errors occurred:\n\t* Failed to join 192.0.2.1: dial tcp 192.0.2.1:7946: i/o timeout\n\t* Failed to join 192.0.2.2: dial tcp 192.0.2.2:7946: connect: connection refused\n\n";
        assert_eq!(of(both), [("192.0.2.1".into(), Reason::TimedOut), ("192.0.2.2".into(), Reason::Refused)]);
    }

    #[test]
    fn reads_the_node_that_joined() {
        assert_eq!(reached("Node 5f0c/192.0.2.1, joined gossip cluster"), "192.0.2.1".parse().ok());
        assert_eq!(reached("Node 5f0c/192.0.2.1, left gossip cluster"), None);
    }
}
