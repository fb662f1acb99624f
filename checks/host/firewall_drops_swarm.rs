use super::firewall::author::{Author, spoken};
use super::firewall::cure::{Barred, cure};
use super::firewall::traffic::{Errand, Port, Trip, trips};
use crate::remedy::shell_quote;
use crate::{
    Evidence, Finding, Findings, Flow, Judged, Opening, Remedy, Risk, Severity, Step, Subject, View,
};
use facts::firewall::{Fate, Place, Ruleset, Way, fate};
use facts::link::Peer;
use facts::{Gap, Host, NodeName, Seen, Why};
use std::collections::{BTreeMap, BTreeSet};

check! {
    /// The node's own packet filter keeps out, or keeps in, what the nodes of a swarm send one another, or sends it
    /// elsewhere.
    ///
    /// ## Why it matters
    /// Managers take 2377/tcp, all nodes 7946/tcp and 7946/udp for gossip and 4789/udp (or the swarm's own data-path
    /// port) for the overlays, and ESP, IP protocol 50, for those that are encrypted. Where one is closed, `docker node
    /// ls` may well say Ready while names do not resolve, containers do not reach one another, or the node drops out in
    /// the end. For 4789/udp and ESP no log says a word.
    ///
    /// The doctor reads the rules of nftables (which is also how firewalld, ufw and today's iptables are stored) and
    /// of the older iptables, and follows each packet through them as the kernel does.
    ///
    /// ## How to fix it
    /// Give the commands it names; they are in the language of whatever wrote the rule.
    ///
    /// ## When it is wrong
    /// A rule that depends on more than the packet, such as a rate or what other packets came before, leaves the check
    /// unknown; it never guesses.
    ///
    /// Source: Docker docs "Open protocols and ports between the hosts"; Linux `net/netfilter/nf_tables_core.c`.
    "host/firewall-drops-swarm": Error, "the node's own firewall drops what the swarm needs";
    needs Firewall, Info, SwarmState, Interfaces, Routes, Nodes, Networks, Overlays, Certificates;
    for each Host: run
}

/// All that one author keeps out.
#[derive(Default)]
struct Case<'a> {
    barred: Vec<Barred<'a>>,
    /// What is kept out, with the peers that are.
    trips: BTreeMap<(Errand, Port), BTreeSet<&'a Peer>>,
    rejects: bool,
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    follow(host, view, &trips(view.snapshot, host)?, Severity::Error, out)
}

/// Follows packets through the rules, and says whose rules let them not pass.
pub(super) fn follow(
    host: &Host,
    view: &View<'_>,
    trips: &[Trip],
    severity: Severity,
    out: &mut Findings<'_>,
) -> Judged {
    if trips.is_empty() {
        return Ok(());
    }
    let firewall = host.firewall.get()?;
    // What is redirected takes another cure.
    let mut cases: BTreeMap<(Author, bool), Case<'_>> = BTreeMap::new();
    let mut open = None;
    for trip in trips {
        let (place, rejected, redirected) = match fate(&firewall.value, &trip.packet) {
            Fate::Passes => continue,
            Fate::Open { place, on } => {
                open.get_or_insert_with(|| unclear(firewall, trip, &place, &on));
                continue;
            }
            Fate::Ends { place, rejected, .. } => (place, rejected.is_some(), false),
            Fate::Redirected { place, .. } => (place, false, true),
        };
        let case = cases.entry((Author::of(&place), redirected)).or_default();
        case.rejects |= rejected;
        case.trips.entry((trip.errand, trip.port)).or_default().insert(&trip.peer);
        let same = |one: &&mut Barred<'_>| one.place.chain == place.chain && one.place.rule == place.rule;
        match case.barred.iter_mut().find(same) {
            Some(one) => drop(one.errands.insert((trip.errand, trip.port))),
            None => {
                case.barred.push(Barred { place, errands: BTreeSet::from([(trip.errand, trip.port)]) });
            }
        }
    }
    let mut others: BTreeMap<(Errand, Port), BTreeSet<&Peer>> = BTreeMap::new();
    for trip in trips {
        others.entry((trip.errand, trip.port)).or_default().insert(&trip.peer);
    }
    let all = others.values().map(BTreeSet::len).max().unwrap_or(0);
    for (kind, case) in &cases {
        if let Some(finding) = say(host, view, firewall, kind, case, all, out) {
            finding.severity(severity);
        }
    }
    match open {
        Some(gap) => Err(gap),
        // Whether ESP has to get through only the overlays tell.
        None => host.overlays.get().map(drop),
    }
}

/// Why it cannot be told what becomes of a packet.
fn unclear(firewall: &Seen<Ruleset>, trip: &Trip, place: &Place<'_>, on: &str) -> Gap {
    let direction = if trip.errand.way() == Way::In { "from" } else { "to" };
    let what = format!(
        "whether {} {direction} {} gets through depends on {on} in {}",
        trip.port,
        trip.peer.addr,
        spoken(place)
    );
    Gap { source: firewall.source.clone(), why: Why::Undecidable { what } }
}

fn say<'out>(
    host: &Host,
    view: &View<'_>,
    firewall: &Seen<Ruleset>,
    (author, redirected): &(Author, bool),
    case: &Case<'_>,
    all: usize,
    out: &'out mut Findings<'_>,
) -> Option<&'out mut Finding> {
    let [first, more @ ..] = case.barred.as_slice() else { return None };
    let summary = format!(
        "{} on {} {} {}: {}{}",
        author.name(),
        host.name,
        match (*redirected, case.rejects) {
            (true, _) => "redirects",
            (false, true) => "rejects",
            (false, false) => "drops",
        },
        told(view, case, all),
        reason(author, &first.place),
        match more.len() {
            0 => String::new(),
            1 => ", and one more rule".to_owned(),
            n => format!(", and {n} more rules"),
        }
    );
    let shown = |one: &Barred<'_>| {
        let mut ways: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (errand, port) in &one.errands {
            ways.entry(errand.as_str()).or_default().push(port.to_string());
        }
        let ways: Vec<_> =
            ways.into_iter().map(|(way, ports)| format!("{} {way}", ports.join(", "))).collect();
        Evidence::value(firewall, format!("{}: {}", ways.join("; "), spoken(&one.place)))
    };
    let finding = out.report(Subject::Node(host.name.clone()), summary, shown(first));
    for one in more {
        finding.with(shown(one));
    }
    let cut: BTreeSet<NodeName> = case.trips.values().flatten().map(|peer| view.name_of_peer(peer)).collect();
    for name in cut {
        finding.also_affects(Subject::Node(name.clone())).explains_pair(host.name.clone(), name);
    }
    for (_, Port { number, protocol }) in case.trips.keys() {
        finding.explains(Flow { protocol: *protocol, port: *number });
    }
    let node = host.name.clone();
    let ports: BTreeSet<String> = case.trips.keys().map(|(_, port)| port.to_string()).collect();
    let ports = ports.into_iter().collect::<Vec<_>>().join(", ");
    finding.remedy(Remedy {
        title: format!("Let {ports} through the firewall of {}", host.name).into(),
        risk: Risk::Safe,
        impact: "nothing that runs is touched".into(),
        steps: vec![match *redirected {
            true => taken_out(first, node),
            false => cure(author, &case.barred, &firewall.value).step(node),
        }],
    });
    Some(finding)
}

/// A rule that redirects comes before every one that could let the packet in.
fn taken_out(barred: &Barred<'_>, node: NodeName) -> Step {
    let Place { table, chain, rule, .. } = &barred.place;
    let list = match table.legacy {
        true => format!("iptables-legacy -t {} -S {}", shell_quote(&table.name), shell_quote(&chain.name)),
        false => format!(
            "nft -a list chain {} {} {}",
            table.family,
            shell_quote(&table.name),
            shell_quote(&chain.name)
        ),
    };
    let delete = match rule {
        Some((_, rule)) if !table.legacy => {
            let chain = [table.family.to_string(), table.name.clone(), chain.name.clone()];
            Some(Opening::NftDelete { chain, handle: rule.handle }.command())
        }
        Some((number, _)) => Some(format!(
            "iptables-legacy -t {} -D {} {number}",
            shell_quote(&table.name),
            shell_quote(&chain.name)
        )),
        None => None,
    };
    Step::Manual {
        node,
        text: "see what the rule is for, and take it out, or let it leave the swarm's ports alone".into(),
        commands: std::iter::once(list).chain(delete).collect(),
    }
}

/// What is kept out, and from whom: `7946/udp from every other node, 2377/tcp to node1`.
fn told(view: &View<'_>, case: &Case<'_>, all: usize) -> String {
    let mut parts: Vec<(Errand, Vec<String>, &BTreeSet<&Peer>)> = Vec::new();
    for ((errand, port), cut) in &case.trips {
        match parts.iter_mut().find(|(other, _, whom)| other == errand && *whom == cut) {
            Some((_, ports, _)) => ports.push(port.to_string()),
            None => parts.push((*errand, vec![port.to_string()], cut)),
        }
    }
    let words = parts.into_iter().map(|(errand, ports, cut)| {
        let names: BTreeSet<NodeName> = cut.iter().map(|peer| view.name_of_peer(peer)).collect();
        let names: Vec<_> = names.iter().map(NodeName::as_str).collect();
        let whom = match names.as_slice() {
            many if many.len() > 1 && cut.len() == all => "every other node".to_owned(),
            many => many.join(", "),
        };
        format!("{} {whom}", said(errand, &ports.join(", ")))
    });
    words.collect::<Vec<_>>().join("; ")
}

fn said(errand: Errand, ports: &str) -> String {
    match errand {
        Errand::Called => format!("{ports} from"),
        Errand::Calls => format!("{ports} to"),
        Errand::Answers => format!("answers from {ports} to"),
        Errand::Answered => format!("answers of {ports} from"),
    }
}

/// What decides, in the words of its author.
fn reason(author: &Author, place: &Place<'_>) -> String {
    match (author, place.rule) {
        (Author::Firewalld { panic: true, .. }, _) => "it is in panic mode".to_owned(),
        (Author::Firewalld { zone: Some(zone), .. }, Some(_)) if place.chain.name.ends_with("_deny") => {
            format!("a rule of zone {zone} forbids it, {}", spoken(place))
        }
        (Author::Firewalld { zone: Some(zone), .. }, _) => {
            format!("zone {zone} does not open it, {}", spoken(place))
        }
        (Author::Ufw, None) => format!("none of its rules allows it, and its default is {}", spoken(place)),
        _ => spoken(place),
    }
}
