//! Gossip's datagrams: what the engine's log says of them, and what was overheard on the wire.

use super::blocked::open_port;
use super::reach::{GOSSIP_PORT, by_peer};
use crate::{Confidence, Evidence, Findings, Subject, View};
use facts::gossip_capture::{Gossip, GossipCapture, PeerCapture};
use facts::link::Outcome;
use facts::log::{Line, Log};
use facts::swarm::LocalState;
use facts::way_in::gossip;
use facts::{Host, NodeName, Seen};
use regex::Regex;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::LazyLock;

/// memberlist repeats its complaint every 1 to 5 seconds in a small swarm, more seldom in a large one; older ones
/// are history.
const FRESH_SECONDS: i64 = 20;

/// What tells that datagrams do not pass between this node and another.
struct Cut<'a> {
    to: NodeName,
    /// The log's complaints, in its order.
    lines: Vec<&'a Line>,
    /// What was capture, and what that says.
    heard: Option<(&'a PeerCapture, Gossip)>,
}

/// Says where TCP gets through and UDP does not.
pub(super) fn report(
    host: &Host,
    view: &View<'_>,
    log: Option<&Seen<Log>>,
    capture: Option<&Seen<GossipCapture>>,
    out: &mut Findings<'_>,
) {
    // Who has left gossips with nobody, and said so while it left.
    if host.info.get().is_ok_and(|info| info.swarm.state == LocalState::Inactive) {
        return;
    }
    let reaches = host.probes.get().map(|probes| by_peer(&probes.value)).unwrap_or_default();
    // Where TCP does not get through either, there is more to it than UDP.
    let closed = |addr: IpAddr| {
        let reach = reaches.iter().find(|reach| reach.peer.addr == addr);
        reach.and_then(|reach| reach.gossip()).is_some_and(|outcome| *outcome != Outcome::Open)
    };
    let mut cuts: Vec<Cut<'_>> = Vec::new();
    for (member, lines) in log.map(|log| complaints(log, view)).unwrap_or_default() {
        let addr = log.and_then(|log| addr_of(log, &member));
        let heard = addr.zip(capture).and_then(|(addr, capture)| Some((capture, capture.with(addr)?)));
        // What was overheard is newer.
        let proven = heard.is_some_and(|(capture, heard)| capture.gossip(heard) == Gossip::Proven);
        if !addr.is_some_and(closed) && !proven {
            let to = addr.map(|addr| view.name_of(addr)).unwrap_or_else(|| member.as_str().into());
            cuts.push(Cut { to, lines, heard: None });
        }
    }
    for heard in capture.iter().flat_map(|capture| &capture.peers) {
        let Some(says) = capture.map(|capture| capture.gossip(heard)) else { continue };
        if closed(heard.addr) || matches!(says, Gossip::Proven | Gossip::NoProof) {
            continue;
        }
        let to = view.name_of(heard.addr);
        match cuts.iter_mut().find(|cut| cut.to == to) {
            Some(cut) => cut.heard = Some((heard, says)),
            None => cuts.push(Cut { to, lines: Vec::new(), heard: Some((heard, says)) }),
        }
    }
    let all = cuts.len() > 1 && cuts.len() >= reaches.len();
    let mut told = None;
    for cut in cuts {
        let lines = cut.lines.last().zip(log).map(|(line, log)| Evidence::log(log, line));
        let heard = cut.heard.zip(capture);
        let heard = heard.map(|((heard, _), seen)| Evidence::value(seen, shown(heard, seen.listened_ms)));
        let mut evidence = heard.into_iter().chain(lines);
        let finding = match told.take().filter(|_| all) {
            Some(finding) => finding,
            None => {
                let Some(first) = evidence.next() else { continue };
                let (subject, summary, at) = story(&host.name, &cut, all);
                let proven = cut.heard.is_some();
                let mut remedy = open_port(at.clone(), &format!("{GOSSIP_PORT}/udp"), false);
                if proven && at != host.name {
                    // Of a way between two, either end may be the closed one.
                    remedy
                        .steps
                        .extend(open_port(host.name.clone(), &format!("{GOSSIP_PORT}/udp"), false).steps);
                    remedy.title = format!("Open {GOSSIP_PORT}/udp between {} and {at}", host.name).into();
                }
                out.report(subject, summary, first)
                    .confidence(if proven { Confidence::High } else { Confidence::Medium })
                    .remedy(remedy)
            }
        };
        told = Some(evidence.fold(finding, crate::Finding::with));
    }
}

/// Of whom or of which way it is said, in what words, and where to look first.
fn story(here: &NodeName, cut: &Cut<'_>, all: bool) -> (Subject, String, NodeName) {
    let to = &cut.to;
    let port = format!("{GOSSIP_PORT}/udp");
    let passes = format!("while {GOSSIP_PORT}/tcp passes");
    if all {
        let summary = format!(
            "{port} is blocked between {here} and every other node {passes}: this machine's own firewall is the first \
             suspect"
        );
        return (Subject::Node(here.clone()), summary, here.clone());
    }
    let link = Subject::Link { from: here.clone(), to: to.clone() };
    let blocked = format!("{port} between {here} and {to} is blocked {passes}");
    let (summary, at) = match cut.heard {
        None => {
            let times = cut.lines.len();
            let said = format!("{blocked}: gossip said so {times} times in the last {FRESH_SECONDS} s");
            (said, to)
        }
        Some((_, Gossip::Refused)) => {
            (format!("{port} from {here} to {to} is rejected, there or on the way, {passes}"), to)
        }
        Some((_, Gossip::DeafHere)) => {
            (format!("{blocked}: what {to} sends arrives on this machine, and no answer leaves it"), here)
        }
        Some((_, Gossip::Deaf)) => {
            (format!("{blocked}: what {to} sends arrives, and what {here} sends is never answered"), to)
        }
        Some(_) => {
            (format!("{blocked}: nothing comes from {to}, and what {here} sends is never answered"), to)
        }
    };
    (link, summary, at.clone())
}

/// What was capture, in words.
fn shown(heard: &PeerCapture, listened_ms: u64) -> String {
    let PeerCapture { addr, received, sent, answers, answered, unanswered, ignored, refused, .. } = heard;
    let refused = if *refused { ", and a word that nobody takes them" } else { "" };
    format!(
        "{GOSSIP_PORT}/udp with {addr}, in {}.{} s: {received} received ({answers} of them answers; {ignored} were not answered), \
         {sent} sent ({answered} of them answers; {unanswered} were not answered){refused}",
        listened_ms / 1000,
        listened_ms % 1000 / 100,
    )
}

/// memberlist says itself when TCP gets through and UDP does not: its complaints by member.
fn complaints<'a>(log: &'a Seen<Log>, view: &View<'_>) -> BTreeMap<String, Vec<&'a Line>> {
    let now = log.ends.unwrap_or(view.snapshot.taken);
    let fresh = |line: &&Line| line.at.is_none_or(|at| now.as_second() - at.as_second() <= FRESH_SECONDS);
    let mut complaints: BTreeMap<String, Vec<&Line>> = BTreeMap::new();
    for line in gossip(log).iter().filter(fresh) {
        if let Some(member) = without_udp(&line.message) {
            complaints.entry(member.to_owned()).or_default().push(line);
        }
    }
    complaints
}

/// memberlist's complaint in its three forms (`state.go`): that of 17.03, that of 20.10, and that of 26 and later.
static WITHOUT_UDP: LazyLock<Regex> = LazyLock::new(|| {
    let forms = r"to (?<member>\S+) (?:but other|over TCP but UDP) probes failed|reach (?<older>\S+) via TCP but not UDP";
    #[expect(clippy::expect_used, reason = "a pattern that never changes, and a test compiles it")]
    Regex::new(forms).expect("the pattern compiles")
});

/// The member that TCP reaches and UDP does not, where a line says so.
pub(crate) fn without_udp(message: &str) -> Option<&str> {
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
