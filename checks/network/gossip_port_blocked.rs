use super::blocked::{Blocked, Port, open_port, report};
use super::reach::{GOSSIP_PORT, by_peer, engine_lives};
use crate::{Certainty, Evidence, Findings, Judged, Subject, View};
use facts::link::{Outcome, Probe};
use facts::log::{Line, Log};
use facts::way_in::gossip;
use facts::{Host, NodeName, Seen};
use regex::Regex;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::LazyLock;

check! {
    /// The gossip port of another node cannot be reached from here, by TCP or by UDP.
    ///
    /// ## Why it matters
    /// Over 7946/tcp and 7946/udp the nodes tell one another which tasks are where. Without it names do not
    /// resolve, overlays do not learn their peers and the routing mesh does not know its backends, while `docker
    /// node ls` says Ready.
    ///
    /// ## How to fix it
    /// Open 7946 for TCP and UDP between all nodes, workers included.
    ///
    /// ## When it is wrong
    /// When the engine over there is just starting.
    ///
    /// Source: memberlist `state.go` (the line about UDP probes); Docker docs "Open protocols and ports".
    "network/gossip-port-blocked": Error, "a node's gossip port is blocked";
    needs Probes, Nodes, Networks, EngineLog;
    caused_by "host/firewall-drops-swarm", "swarm/identity-shared", "swarm/stale-advertise-addr", "engine/unreachable";
    for each Host: run
}

/// memberlist repeats its complaint every 1 to 5 seconds in a small swarm, more seldom in a large one; older ones
/// are history.
const FRESH_SECONDS: i64 = 20;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let probes = host.probes.get();
    if let Ok(probes) = &probes {
        tcp(host, view, probes, out);
    }
    let log = host.log.get();
    if let Ok(log) = &log {
        udp(host, view, log, out);
    }
    probes?;
    log?;
    Ok(())
}

fn tcp(host: &Host, view: &View<'_>, probes: &Seen<Vec<Probe>>, out: &mut Findings<'_>) {
    let reaches = by_peer(probes);
    let mut blocked = Vec::new();
    for reach in &reaches {
        let Some(outcome) = reach.gossip() else { continue };
        let certainty = match outcome {
            Outcome::Open => continue,
            Outcome::NotSent { .. } => Certainty::Proven,
            Outcome::Filtered | Outcome::Unreachable { .. } if reach.machine_answers() => Certainty::Proven,
            // A machine whose engine is off refuses too, and that is another ailment.
            Outcome::Refused { .. } => match engine_lives(host, reach) {
                Ok(true) => Certainty::Likely,
                Ok(false) => continue,
                Err(gap) => {
                    out.lacking(Subject::Node(host.name.clone()), gap);
                    continue;
                }
            },
            _ => continue,
        };
        blocked.push(Blocked { reach, outcome, certainty });
    }
    report(host, view, probes, Port { number: GOSSIP_PORT, probed: reaches.len() }, blocked, out);
}

/// memberlist says itself when TCP gets through and UDP does not.
fn udp(host: &Host, view: &View<'_>, log: &Seen<Log>, out: &mut Findings<'_>) {
    let now = log.ends.unwrap_or(view.snapshot.taken);
    let fresh = |line: &&Line| line.at.is_none_or(|at| now.as_second() - at.as_second() <= FRESH_SECONDS);
    let mut complaints: BTreeMap<String, Vec<&Line>> = BTreeMap::new();
    for line in gossip(log).iter().filter(fresh) {
        if let Some(member) = without_udp(&line.message) {
            complaints.entry(member.to_owned()).or_default().push(line);
        }
    }
    let reaches = host.probes.get().map(|probes| by_peer(&probes.value)).unwrap_or_default();
    let peers = reaches.len();
    // Where TCP does not get through either, there is more to it than UDP.
    let closed = |addr: Option<IpAddr>| {
        let reach = addr.and_then(|addr| reaches.iter().find(|reach| reach.peer.addr == addr));
        reach.and_then(|reach| reach.gossip()).is_some_and(|outcome| *outcome != Outcome::Open)
    };
    let mut blocked: Vec<(NodeName, Vec<&Line>)> = Vec::new();
    for (member, lines) in complaints {
        let addr = addr_of(log, &member);
        if !closed(addr) {
            let to = addr.map(|addr| view.name_of(addr)).unwrap_or_else(|| member.as_str().into());
            blocked.push((to, lines));
        }
    }
    let port = format!("{GOSSIP_PORT}/udp");
    if blocked.len() > 1 && blocked.len() >= peers {
        let lines: Vec<&Line> = blocked.iter().flat_map(|(_, lines)| lines.iter().copied()).collect();
        let Some(last) = lines.iter().max_by_key(|line| line.at) else { return };
        let summary = format!(
            "{port} is blocked between {} and every other node while {GOSSIP_PORT}/tcp passes: this machine's own \
             firewall is the first suspect",
            host.name
        );
        out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, last))
            .certainty(Certainty::Likely)
            .remedy(open_port(host.name.clone(), &port, false));
        return;
    }
    for (to, lines) in blocked {
        let Some(last) = lines.last() else { continue };
        let summary = format!(
            "{port} between {} and {to} is blocked while {GOSSIP_PORT}/tcp passes: gossip said so {} times in the last \
             {FRESH_SECONDS} s",
            host.name,
            lines.len()
        );
        let remedy = open_port(to.clone(), &port, false);
        out.report(Subject::Link { from: host.name.clone(), to }, summary, Evidence::log(log, last))
            .certainty(Certainty::Likely)
            .remedy(remedy);
    }
}

/// memberlist's complaint in its three forms (`state.go`): that of 17.03, that of 20.10, and that of 26 and later.
static WITHOUT_UDP: LazyLock<Regex> = LazyLock::new(|| {
    let forms = r"to (?<member>\S+) (?:but other|over TCP but UDP) probes failed|reach (?<older>\S+) via TCP but not UDP";
    #[expect(clippy::expect_used, reason = "a pattern that never changes, and a test compiles it")]
    Regex::new(forms).expect("the pattern compiles")
});

/// The member that TCP reaches and UDP does not, where a line says so.
fn without_udp(message: &str) -> Option<&str> {
    let found = WITHOUT_UDP.captures(message)?;
    found.name("member").or_else(|| found.name("older")).map(|member| member.as_str())
}

/// Gossip names its members by 12 hex digits; `Node <member>/<address>, joined gossip cluster` told which is which.
fn addr_of(log: &Log, member: &str) -> Option<IpAddr> {
    let start = format!("Node {member}/");
    log.lines.iter().rev().find_map(|line| {
        let rest = line.message.split_once(&start)?.1;
        rest.split(',').next()?.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::without_udp;

    #[test]
    fn reads_the_complaint_of_every_version() {
        let lines = [
            "memberlist: Was able to reach node2-5f via TCP but not UDP, network may be misconfigured and not allowing bidirectional UDP",
            "memberlist: Was able to connect to node2-5f but other probes failed, network may be misconfigured",
            "memberlist: Was able to connect to node2-5f over TCP but UDP probes failed, network may be misconfigured",
        ];
        for line in lines {
            assert_eq!(without_udp(line), Some("node2-5f"), "{line}");
        }
        assert_eq!(without_udp("memberlist: Suspect node2-5f has failed, no acks received"), None);
    }
}
