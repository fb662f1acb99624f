use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::log::{Line, Program};
use regex::Regex;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::LazyLock;

check! {
    /// Gossip declares a node failed again and again.
    ///
    /// ## Why it matters
    /// Each time gossip declares a node failed, all nodes remove the records of its tasks, and add them again when it
    /// comes back. In between names and VIPs lack tasks that run, and connections fail for seconds. Engines 29.0 to
    /// 29.7.2 may not add the records again.
    ///
    /// ## How to fix it
    /// Find what interrupts 7946/udp between the nodes: packet loss, an overloaded node, a duplicate address, or a
    /// firewall that limits the rate of UDP.
    ///
    /// ## When it is wrong
    /// A node whose engine restarts has another gossip name after each start and is not counted.
    ///
    /// Source: moby `daemon/libnetwork/networkdb/nodemgmt.go`, `changeNodeState`; moby#33589, moby#35288.
    "network/gossip-flapping": Warning, "gossip declares a node failed again and again";
    healthy "gossip is stable";
    needs EngineLog, Networks, Nodes;
    caused_by "network/gossip-port-blocked", "network/gossip-join-failed", "network/peer-unreachable", "network/permanent-neighbour-entry",
        "network/duplicate-mac", "network/duplicate-ip", "swarm/duplicate-node-identity", "engine/unreachable";
    for each Host: run
}

/// Changes older than this do not count, in seconds.
const WINDOW_SECONDS: i64 = 600;
/// How many failures of one node count.
const FAILURES: usize = 3;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let log = host.log.get()?;
    let now = log.ends.unwrap_or(view.snapshot.taken).as_second();
    let in_window =
        |line: &&Line| line.at.is_some_and(|at| (0..=WINDOW_SECONDS).contains(&(now - at.as_second())));
    let mut failures: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    for line in log.lines.iter().filter(in_window) {
        if let Some(node) = failed(line) {
            failures.entry(node).or_default().push(line);
        }
    }
    let addrs = addresses(host, &log.lines);
    for (gossip_name, lines) in failures.into_iter().filter(|(_, lines)| lines.len() >= FAILURES) {
        let addr = addrs.get(gossip_name);
        let name = addr.map_or_else(|| gossip_name.into(), |addr| view.name_of(*addr));
        let summary = format!(
            "gossip of {} declared {name} failed {} times in 10 min, and active again in between",
            host.name,
            lines.len()
        );
        let subject = Subject::Link { from: host.name.clone(), to: name.clone() };
        let [first, .., last] = lines.as_slice() else { continue };
        out.report(subject, summary, Evidence::log(log, last))
            .confidence(Confidence::Medium)
            .with(Evidence::log(log, first))
            .remedy(Remedy {
                title: format!("Find what interrupts 7946/udp between {} and {name}", host.name).into(),
                risk: Risk::Safe,
                impact: "Running tasks are not affected.".into(),
                steps: vec![Step::Manual {
                    node: name.clone().into(),
                    text: "check the CPU load of the node, packet loss, duplicate addresses and rate limits for UDP".into(),
                    commands: vec!["uptime".into(), "ip -s link".into()],
                }],
            });
    }
    Ok(())
}

/// The gossip name of the node that a line declares failed.
fn failed(line: &Line) -> Option<&str> {
    static FORM: LazyLock<Regex> = LazyLock::new(|| {
        #[expect(clippy::expect_used, reason = "the pattern is constant")]
        Regex::new(r"^Node (\S+) change state NodeActive --> NodeFailed").expect("the pattern compiles")
    });
    let found = (line.program == Program::Engine).then(|| FORM.captures(&line.message))??;
    Some(found.get(1)?.as_str())
}

/// Addresses by gossip name, from the peers of networks and from the log.
fn addresses<'a>(host: &'a Host, lines: &'a [Line]) -> BTreeMap<&'a str, IpAddr> {
    static JOINED: LazyLock<Regex> = LazyLock::new(|| {
        #[expect(clippy::expect_used, reason = "the pattern is constant")]
        Regex::new(r"^Node ([^/\s]+)/([^,\s]+), joined gossip cluster").expect("the pattern compiles")
    });
    let joined = lines.iter().filter_map(|line| {
        let found = JOINED.captures(&line.message)?;
        Some((found.get(1)?.as_str(), found.get(2)?.as_str().parse().ok()?))
    });
    let networks = host.networks.get().map(|networks| networks.value.as_slice()).unwrap_or_default();
    let peers = networks.iter().flat_map(|network| network.peers.iter().flatten());
    joined.chain(peers.map(|peer| (peer.name.as_str(), peer.addr))).collect()
}
