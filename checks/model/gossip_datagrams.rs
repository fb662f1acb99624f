//! Gossip over UDP: the complaints in the engine's log, and the captured datagrams.

use super::blocked_port::{Direction, open_port};
use super::reachability::{GOSSIP_PORT, by_peer};
use crate::{Confidence, Evidence, Findings, Flow, Subject, View};
use facts::gossip_capture::{Gossip, GossipCapture, PeerCapture};
use facts::join_progress::since_gossip_start;
use facts::link::Outcome;
use facts::log::{Line, Log};
use facts::swarm::LocalState;
use facts::{Gap, Host, NodeName, Seen, Why};
use regex::Regex;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::LazyLock;

/// memberlist probes one node each second, so that it repeats its complaint every 1 to 5 seconds in a small swarm, and
/// less often in a large one. Complaints of the last three rounds count, and of this many seconds at least.
const FRESH_SECONDS: i64 = 20;
const ROUNDS: i64 = 3;
/// Complaints that stopped for longer than this many of their own longest intervals are over.
const MISSED_INTERVALS: i64 = 2;
/// How many seconds a complaint may be late on a busy node.
const LATE_SECONDS: i64 = 2;

/// Evidence that datagrams are lost between this node and another.
struct Cut<'a> {
    to: NodeName,
    /// The complaints of the log, oldest first.
    lines: Vec<&'a Line>,
    /// The captured datagrams, and the verdict on them.
    heard: Option<(&'a PeerCapture, Gossip)>,
}

/// Reports the nodes to which TCP passes and UDP does not.
pub(crate) fn report(
    host: &Host,
    view: &View<'_>,
    log: Option<&Seen<Log>>,
    capture: Option<&Seen<GossipCapture>>,
    out: &mut Findings<'_>,
) {
    // A node that left the swarm complains while it leaves.
    if host.info.get().is_ok_and(|info| info.swarm.state == LocalState::Inactive) {
        return;
    }
    let reaches = host.probes.get().map(|probes| by_peer(&probes.value)).unwrap_or_default();
    // Where TCP is blocked as well, the fault is not limited to UDP.
    let closed = |addr: IpAddr| {
        let reach = reaches.iter().find(|reach| reach.peer.addr == addr);
        reach.and_then(|reach| reach.gossip()).is_some_and(|outcome| *outcome != Outcome::Open)
    };
    let mut cuts: Vec<Cut<'_>> = Vec::new();
    let mut once: Vec<(NodeName, &Seen<Log>, &Line)> = Vec::new();
    let members = i64::try_from(reaches.len() + 1).unwrap_or(i64::MAX);
    let recent = FRESH_SECONDS.max(members.saturating_mul(ROUNDS));
    for (member, lines) in log.map(|log| complaints(log, view, recent)).unwrap_or_default() {
        let addr = log.and_then(|log| addr_of(log, &member));
        let heard = addr.zip(capture).and_then(|(addr, capture)| Some((capture, capture.with(addr)?)));
        // The capture is newer than the log.
        let proven = heard.is_some_and(|(capture, heard)| capture.gossip(heard) == Gossip::Proven);
        if !addr.is_some_and(closed) && !proven {
            let to = addr.map(|addr| view.name_of(addr)).unwrap_or_else(|| member.as_str().into());
            match (lines.as_slice(), log) {
                ([line], Some(log)) => once.push((to, log, line)),
                _ => cuts.push(Cut { to, lines, heard: None }),
            }
        }
    }
    for heard in capture.iter().flat_map(|capture| &capture.peers) {
        let Some(verdict) = capture.map(|capture| capture.gossip(heard)) else { continue };
        if closed(heard.addr) || matches!(verdict, Gossip::Proven | Gossip::NoProof) {
            continue;
        }
        let to = view.name_of(heard.addr);
        match cuts.iter_mut().find(|cut| cut.to == to) {
            Some(cut) => cut.heard = Some((heard, verdict)),
            None => cuts.push(Cut { to, lines: Vec::new(), heard: Some((heard, verdict)) }),
        }
    }
    for (to, log, line) in once {
        match cuts.iter_mut().find(|cut| cut.to == to) {
            Some(cut) => cut.lines.push(line),
            // A busy host misses a datagram now and then.
            None => {
                out.inconclusive(Subject::Link { from: host.name.clone(), to }, complained_once(log, line))
            }
        }
    }
    let all = cuts.len() > 1 && cuts.len() >= reaches.len();
    let mut reported = None;
    for cut in cuts {
        let lines = cut.lines.last().zip(log).map(|(line, log)| Evidence::log(log, line));
        let heard = cut.heard.zip(capture);
        let heard = heard.map(|((heard, _), seen)| Evidence::value(seen, describe(heard, seen.listened_ms)));
        let mut evidence = heard.into_iter().chain(lines);
        let finding = match reported.take().filter(|_| all) {
            Some(finding) => finding,
            None => {
                let Some(first) = evidence.next() else { continue };
                let captured = cut.heard.is_some();
                let finding = if all {
                    report_all(host, first, out)
                } else {
                    report_one(host, &cut, recent, first, out)
                };
                let confidence = if captured { Confidence::High } else { Confidence::Medium };
                finding.about(Flow::udp(GOSSIP_PORT)).confidence(confidence)
            }
        };
        reported = Some(evidence.fold(finding, crate::Finding::with));
    }
}

/// One finding for this node, where UDP is blocked to every other node.
fn report_all<'f>(host: &Host, first: Evidence, out: &'f mut Findings<'_>) -> &'f mut crate::Finding {
    let here = host.name.clone();
    let port = format!("{GOSSIP_PORT}/udp");
    let summary =
        format!("{port} is blocked between {here} and every other node, while {GOSSIP_PORT}/tcp is open");
    let remedy = open_port(here.clone(), &port, Direction::In);
    out.report(Subject::Node(here.clone()), summary, first)
        .suspect(format!("the firewall of {here} is the first suspect"))
        .remedy(remedy)
}

/// One finding for the path to one node.
fn report_one<'f>(
    host: &Host,
    cut: &Cut<'_>,
    recent: i64,
    first: Evidence,
    out: &'f mut Findings<'_>,
) -> &'f mut crate::Finding {
    let (here, to) = (&host.name, &cut.to);
    let port = format!("{GOSSIP_PORT}/udp");
    let while_tcp = format!("while {GOSSIP_PORT}/tcp is open");
    let blocked = format!("{port} between {here} and {to} is blocked {while_tcp}");
    let (summary, at) = match cut.heard {
        None => {
            let times = cut.lines.len();
            (format!("{blocked}: memberlist logged it {times} times in the last {recent} s"), to)
        }
        Some((_, Gossip::Refused)) => {
            (format!("{port} from {here} to {to} is rejected with an ICMP error {while_tcp}"), to)
        }
        Some((_, Gossip::DeafHere)) => {
            (format!("{blocked}: datagrams from {to} arrive, and {here} sends no reply"), here)
        }
        Some((_, Gossip::Deaf)) => {
            (format!("{blocked}: datagrams from {to} arrive, and datagrams from {here} get no reply"), to)
        }
        Some(_) => {
            (format!("{blocked}: no datagram from {to} arrives, and datagrams from {here} get no reply"), to)
        }
    };
    let link = Subject::Link { from: here.clone(), to: to.clone() };
    let mut remedy = if at == here {
        open_port(here.clone(), &port, Direction::In)
    } else {
        open_port(at.clone(), &port, Direction::InOnPeer)
    };
    if cut.heard.is_some() && at != here {
        // A capture on one end does not show which end drops the packets.
        remedy.steps.extend(open_port(here.clone(), &port, Direction::In).steps);
        remedy.title = format!("Open {port} between {here} and {at}").into();
    }
    out.report(link, summary, first).remedy(remedy)
}

/// The captured datagrams, on one line.
fn describe(heard: &PeerCapture, listened_ms: u64) -> String {
    let PeerCapture { addr, received, sent, answers, answered, unanswered, ignored, refused, .. } = heard;
    let refused = if *refused { ", ICMP port unreachable received" } else { "" };
    format!(
        "{GOSSIP_PORT}/udp with {addr}, captured for {}.{} s: {received} received ({answers} replies; {ignored} got no reply), \
         {sent} sent ({answered} replies; {unanswered} got no reply){refused}",
        listened_ms / 1000,
        listened_ms % 1000 / 100,
    )
}

/// memberlist's complaints that TCP passes and UDP does not, by member, where they go on.
fn complaints<'a>(log: &'a Seen<Log>, view: &View<'_>, recent: i64) -> BTreeMap<String, Vec<&'a Line>> {
    let now = log.ends.unwrap_or(view.snapshot.taken).as_second();
    let fresh = |line: &&Line| line.at.is_none_or(|at| now - at.as_second() <= recent);
    let mut complaints: BTreeMap<String, Vec<&Line>> = BTreeMap::new();
    for line in since_gossip_start(log).iter().filter(fresh) {
        if let Some(member) = member_without_udp(&line.message) {
            complaints.entry(member.to_owned()).or_default().push(line);
        }
    }
    complaints.retain(|_, lines| {
        let times: Vec<i64> = lines.iter().filter_map(|line| Some(line.at?.as_second())).collect();
        goes_on(&times, now)
    });
    complaints
}

/// The gap for a single complaint. It leaves the question open, so that `--wait` runs again.
fn complained_once(log: &Seen<Log>, line: &Line) -> Gap {
    let what =
        format!("memberlist complained once, which a busy host may cause; run again: {}", line.message);
    Gap { source: log.source.clone(), why: Why::Undecidable { what } }
}

/// Whether the next complaint is not overdue: a fault that was fixed leaves its lines in the log.
fn goes_on(times: &[i64], now: i64) -> bool {
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max();
    match (longest, times.last()) {
        (Some(longest), Some(last)) => now - last <= longest * MISSED_INTERVALS + LATE_SECONDS,
        _ => true,
    }
}

/// memberlist's complaint in its three forms (`state.go`): that of 17.03, that of 20.10, and that of 26 and later.
static WITHOUT_UDP: LazyLock<Regex> = LazyLock::new(|| {
    let forms = r"to (?<member>\S+) (?:but other|over TCP but UDP) probes failed|reach (?<older>\S+) via TCP but not UDP";
    #[expect(clippy::expect_used, reason = "a constant pattern that a test compiles")]
    Regex::new(forms).expect("the pattern compiles")
});

/// The member that is reachable by TCP and not by UDP, if the line says so.
pub(crate) fn member_without_udp(message: &str) -> Option<&str> {
    let found = WITHOUT_UDP.captures(message)?;
    found.name("member").or_else(|| found.name("older")).map(|member| member.as_str())
}

/// The address of a member. Gossip names members by 12 hex digits; `Node <member>/<address>, joined gossip cluster` maps
/// one to the other.
fn addr_of(log: &Log, member: &str) -> Option<IpAddr> {
    let start = format!("Node {member}/");
    log.lines.iter().rev().find_map(|line| {
        let rest = line.message.split_once(&start)?.1;
        rest.split(',').next()?.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_complaint_of_every_version() {
        let lines = [
            "memberlist: Was able to reach node2-5f via TCP but not UDP, network may be misconfigured and not allowing bidirectional UDP",
            "memberlist: Was able to connect to node2-5f but other probes failed, network may be misconfigured",
            "memberlist: Was able to connect to node2-5f over TCP but UDP probes failed, network may be misconfigured",
        ];
        for line in lines {
            assert_eq!(member_without_udp(line), Some("node2-5f"), "{line}");
        }
        assert_eq!(member_without_udp("memberlist: Suspect node2-5f has failed, no acks received"), None);
    }

    #[test]
    fn complaints_that_stopped_are_over() {
        assert!(goes_on(&[100, 102, 105], 107) && goes_on(&[100, 102, 105], 113));
        assert!(!goes_on(&[100, 102, 105], 114));
        assert!(goes_on(&[100], 119), "one line has no interval");
    }
}
