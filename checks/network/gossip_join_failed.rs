use super::blocked::open_port;
use super::reach::{GOSSIP_PORT, by_peer};
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::log::{Line, Log};
use facts::way_in::gossip;
use facts::{Host, NodeName, Seen, Timestamp};
use regex::Regex;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::LazyLock;

check! {
    /// The engine's log says that gossip cannot reach another node, and nothing that was looked at says otherwise.
    ///
    /// ## Why it matters
    /// A node that cannot join gossip is Ready in `docker node ls` and runs tasks, but resolves no names of tasks
    /// elsewhere, learns no peers of its overlays and forwards no published port.
    ///
    /// ## How to fix it
    /// The reason tells: refused means that no engine listens there, or a firewall rejects; i/o timeout that a
    /// firewall drops or the machine is off; no route that the network or a firewall says no. Where the address is
    /// one that the other node had before, let it advertise the one it has.
    ///
    /// ## When it is wrong
    /// Where the log is all there is, the port may have been opened since it ends. Where the port was tried from here,
    /// that counts and not the log.
    ///
    /// Source: moby `libnetwork/networkdb/cluster.go` (the lines), memberlist `memberlist.go`.
    "network/gossip-join-failed": Error, "gossip could not reach another node";
    needs EngineLog, Probes, Nodes;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "network/duplicate-ip", "network/port-taken", "swarm/local-advertise-addr", "swarm/stale-advertise-addr", "network/gossip-port-blocked",
        "network/peer-unreachable", "swarm/node-down", "swarm/session-failed";
    for each Host: run
}

/// Gossip tries again every minute, and waits 10 s for each node; what is older than two rounds is over.
const FRESH_SECONDS: i64 = 150;

/// What the log says of one address.
struct Trouble<'a> {
    /// What was wrong the last time.
    reason: Reason,
    /// How often it says so.
    times: u32,
    /// The first line that does.
    first: &'a Line,
    /// The last one.
    last: &'a Line,
}

/// Why gossip did not get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Refused,
    TimedOut,
    NoRoute,
    Reset,
    NotLetOut,
    /// Both are there and speak with different keys.
    Keys,
}

impl Reason {
    /// What of a line tells it.
    const WORDS: [(&str, Self); 9] = [
        ("connection refused", Self::Refused),
        ("i/o timeout", Self::TimedOut),
        ("no route to host", Self::NoRoute),
        ("network is unreachable", Self::NoRoute),
        ("connection reset", Self::Reset),
        ("operation not permitted", Self::NotLetOut),
        ("permission denied", Self::NotLetOut),
        ("No installed keys could decrypt", Self::Keys),
        ("state is encrypted", Self::Keys),
    ];

    fn story(self) -> &'static str {
        match self {
            Self::Refused => "connection refused: no engine listens there, or a firewall rejects it",
            Self::TimedOut => "i/o timeout: a firewall drops it, or the machine is off",
            Self::NoRoute => "no route: the network or a firewall on the way says no, or the machine is off",
            Self::Reset => "connection reset: something other than gossip answers there",
            Self::NotLetOut => "not let out by this machine's own firewall",
            Self::Keys => "the other end has other gossip keys",
        }
    }
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let log = host.log.get()?;
    let now = log.ends.unwrap_or(view.snapshot.taken);
    let probes = host.probes.get();
    let tried = probes.as_ref().map(|probes| by_peer(&probes.value)).unwrap_or_default();
    let fresh = |at: Timestamp| now.as_second() - at.as_second() <= FRESH_SECONDS;
    let mut troubles: Vec<_> = troubles(log)
        .into_iter()
        // A port that was tried tells more than a log: it is open again, or another check has it.
        .filter(|(addr, _)| !tried.iter().any(|reach| reach.peer.addr == *addr && reach.gossip().is_some()))
        .filter(|(_, trouble)| trouble.last.at.is_none_or(fresh))
        .collect();
    troubles.sort_by_key(|(addr, _)| *addr);
    if let [(_, one), (_, other), ..] = troubles.as_slice()
        && troubles.iter().all(|(_, trouble)| trouble.reason == one.reason)
    {
        // What all have in common is this machine.
        let names: Vec<_> = troubles.iter().map(|(addr, _)| view.name_of(*addr).0).collect();
        let summary = format!(
            "gossip of {} cannot reach {} on {GOSSIP_PORT}/tcp: {}; with so many at once this machine's own firewall \
             and network are the first suspects",
            host.name,
            names.join(", "),
            one.reason.story()
        );
        let subject = Subject::Node(host.name.clone());
        let finding = out.report(subject, summary, Evidence::log(log, one.last));
        if !std::ptr::eq(one.last, other.last) {
            finding.with(Evidence::log(log, other.last));
        }
        let remedy = open_port(host.name.clone(), &format!("{GOSSIP_PORT}/tcp"), true);
        finding.confidence(Confidence::Medium).remedy(remedy);
        return Ok(());
    }
    for (addr, trouble) in troubles {
        let to = view.name_of(addr);
        let summary = format!(
            "gossip of {} cannot reach {to} on {GOSSIP_PORT}/tcp: {}; it failed {}",
            host.name,
            trouble.reason.story(),
            trouble.when(),
        );
        let subject = Subject::Link { from: host.name.clone(), to: to.clone() };
        let finding = out.report(subject, summary, Evidence::log(log, trouble.last));
        finding.confidence(Confidence::Medium).remedy(remedy(to, addr, trouble.reason, host));
    }
    Ok(())
}

impl Trouble<'_> {
    /// How often it failed, and when.
    fn when(&self) -> String {
        let at = |line: &Line| line.at.map_or_else(|| "an unknown time".to_owned(), |at| format!("{at:.0}"));
        match self.times {
            1 => format!("once, at {}", at(self.last)),
            times => format!("{times} times since {}, last at {}", at(self.first), at(self.last)),
        }
    }
}

/// What to do, by the reason.
fn remedy(to: NodeName, addr: IpAddr, reason: Reason, host: &Host) -> Remedy {
    let port = format!("{GOSSIP_PORT}/tcp");
    let (text, commands) = match reason {
        Reason::NotLetOut => return open_port(host.name.clone(), &port, true),
        Reason::TimedOut | Reason::NoRoute => return open_port(to, &port, false),
        Reason::Refused | Reason::Reset => (
            "see whether the engine runs there and is in the swarm, whether it still has this address, and which \
             firewall rejects the port",
            vec![
                "docker info --format '{{.Swarm.LocalNodeState}} {{.Swarm.NodeAddr}}'".into(),
                format!("ip -brief address | grep -F {addr}"),
                format!("ss -ltnup 'sport = :{GOSSIP_PORT}'"),
                format!("firewall-cmd --add-port={port} --permanent && firewall-cmd --reload"),
            ],
        ),
        Reason::Keys => (
            "restart the engine, one node at a time, so that it gets the swarm's keys again",
            vec!["systemctl restart docker".into()],
        ),
    };
    let risk = if reason == Reason::Keys { Risk::Disruptive } else { Risk::Safe };
    Remedy {
        title: format!("Let gossip reach {to} on {port}").into(),
        risk,
        impact: "looking and opening a port touch nothing that runs".into(),
        steps: vec![Step::Manual { node: to, text: text.into(), commands }],
    }
}

/// What the log says of each address since it last began to listen, but for those that were reached afterwards.
fn troubles(log: &Seen<Log>) -> BTreeMap<IpAddr, Trouble<'_>> {
    let mut troubles: BTreeMap<IpAddr, Trouble<'_>> = BTreeMap::new();
    for line in gossip(log) {
        if let Some(addr) = reached(&line.message) {
            troubles.remove(&addr);
        }
        for text in std::iter::once(&line.message).chain(line.fields.values()) {
            for (addr, reason) in failures(text) {
                let trouble =
                    troubles.entry(addr).or_insert(Trouble { reason, times: 0, first: line, last: line });
                trouble.times = trouble.times.saturating_add(line.repeated);
                (trouble.reason, trouble.last) = (reason, line);
            }
        }
    }
    troubles
}

/// How gossip's lines of every version name the address that could not be reached: `dial tcp 192.0.2.1:7946:
/// getsockopt: connection refused`, `write udp 192.0.2.2:7946->192.0.2.1:7946: sendto: operation not permitted`, and
/// `Failed to join 192.0.2.1: Remote state is encrypted ...`.
static FAILURE: LazyLock<Regex> = LazyLock::new(|| {
    let forms = r"(?x)
        (?: (?:dial|read|write)\ (?:tcp|udp)\ (?:\S*->)? \[? (?<addr>[0-9a-fA-F:.]+?) \]? :7946
          | [Ff]ailed\ to\ join\ \[? (?<joined>[0-9a-fA-F:.]+?) \]? (?: :7946)? )
        :\ (?<reason>[^\n]*)";
    #[expect(clippy::expect_used, reason = "a pattern that never changes, and a test compiles it")]
    Regex::new(forms).expect("the pattern compiles")
});

/// The addresses that a line says could not be reached, and why.
fn failures(text: &str) -> impl Iterator<Item = (IpAddr, Reason)> {
    FAILURE.captures_iter(text).filter_map(|found| {
        let addr = found.name("addr").or_else(|| found.name("joined"))?.as_str().parse().ok()?;
        // `Failed to join` is followed by the words of the socket, where there are any.
        let reason = found.name("reason")?.as_str();
        let (_, reason) = Reason::WORDS.into_iter().find(|(words, _)| reason.contains(words))?;
        Some((addr, reason))
    })
}

/// The address of a node that gossip found: `Node 5f0c/192.0.2.1, joined gossip cluster`.
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
                one("192.0.2.1", Reason::NotLetOut),
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
    fn knows_who_was_reached() {
        assert_eq!(reached("Node 5f0c/192.0.2.1, joined gossip cluster"), "192.0.2.1".parse().ok());
        assert_eq!(reached("Node 5f0c/192.0.2.1, left gossip cluster"), None);
    }
}
