use super::manager_port_blocked::open_port;
use super::reach::{GOSSIP_PORT, by_peer, story};
use crate::{Certainty, Evidence, Findings, Judged, Subject, View};
use facts::link::Outcome;
use facts::log::{Line, Log};
use facts::swarm::NodeState;
use facts::{Host, Seen};
use regex::Regex;
use std::collections::BTreeMap;
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
    needs Probes, Nodes, EngineLog;
    for each Host: run
}

/// memberlist repeats its complaint every 1 to 5 seconds while it has reason to; older ones are history.
const FRESH_SECONDS: i64 = 45;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let probes = host.probes.get();
    if let Ok(probes) = &probes {
        for reach in by_peer(probes) {
            let Some(outcome) = reach.gossip() else { continue };
            let node = reach.peer.node_id.as_ref().and_then(|id| view.node(id).ok().flatten());
            let down = node.is_some_and(|node| node.state == NodeState::Down);
            let certainty = match outcome {
                Outcome::Open => continue,
                Outcome::NotSent { .. } => Certainty::Proven,
                Outcome::Filtered | Outcome::Unreachable { .. } if reach.machine_answers() => {
                    Certainty::Proven
                }
                // A machine whose engine is down refuses too, and that is another ailment. An engine that answers
                // on another port, or that the managers hear from, is there.
                Outcome::Refused { .. } if !down && (reach.engine_answers() || node.is_some()) => {
                    Certainty::Likely
                }
                _ => continue,
            };
            let to = reach.peer.name.clone().unwrap_or_else(|| view.name_of(reach.peer.addr));
            let summary = format!("{GOSSIP_PORT}/tcp from {} to {to} is {}", host.name, story(outcome));
            let local = matches!(outcome, Outcome::NotSent { .. });
            let place = if local { host.name.clone() } else { to.clone() };
            out.report(
                Subject::Link { from: host.name.clone(), to },
                summary,
                Evidence::value(probes, reach.shown()),
            )
            .certainty(certainty)
            .remedy(open_port(place, &format!("{GOSSIP_PORT}/tcp"), local));
        }
    }
    let log = host.log.get();
    if let Ok(log) = &log {
        udp(host, view, log, out);
    }
    probes?;
    log?;
    Ok(())
}

/// memberlist says itself when TCP gets through and UDP does not.
fn udp(host: &Host, view: &View<'_>, log: &Seen<Log>, out: &mut Findings<'_>) {
    let now = view.snapshot.taken;
    let fresh = |line: &&Line| line.at.is_none_or(|at| now.as_second() - at.as_second() <= FRESH_SECONDS);
    let mut complaints: BTreeMap<String, Vec<&Line>> = BTreeMap::new();
    for line in log.lines.iter().filter(fresh) {
        if let Some(member) = without_udp(&line.message) {
            complaints.entry(member.to_owned()).or_default().push(line);
        }
    }
    for (member, lines) in complaints {
        let Some(last) = lines.last() else { continue };
        let addr = addr_of(log, &member);
        let to = addr.map(|addr| view.name_of(addr)).unwrap_or_else(|| member.as_str().into());
        let summary = format!(
            "{GOSSIP_PORT}/udp between {} and {to} is blocked while {GOSSIP_PORT}/tcp passes: gossip said so {} times \
             in the last {FRESH_SECONDS} s",
            host.name,
            lines.len()
        );
        let remedy = open_port(to.clone(), &format!("{GOSSIP_PORT}/udp"), false);
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
fn addr_of(log: &Log, member: &str) -> Option<std::net::IpAddr> {
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
