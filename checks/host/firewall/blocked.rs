//! Reports required flows that the firewall of a node blocks or redirects.

use super::remedy::{BlockingRule, firewall_remedy};
use super::required_flow::{FlowKind, Port, RequiredFlow};
use super::rule_owner::{RuleOwner, render};
use crate::remedy::shell_quote;
use crate::{
    Evidence, Finding, Findings, FirewallChange, Flow, Judged, Remedy, Risk, Severity, Step, Subject, View,
};
use facts::firewall::{Direction, Location, Outcome, Ruleset, evaluate};
use facts::link::Peer;
use facts::{Gap, Host, NodeName, Seen, Why};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that the rules of one owner block.
#[derive(Default)]
struct Blocked<'a> {
    rules: Vec<BlockingRule<'a>>,
    /// The blocked flows, each with the affected peers.
    flows: BTreeMap<(FlowKind, Port), BTreeSet<&'a Peer>>,
    rejects: bool,
}

/// Evaluates the firewall for each flow, and reports the rules that block or redirect one.
pub(in crate::host) fn report_blocked(
    host: &Host,
    view: &View<'_>,
    flows: &[RequiredFlow],
    severity: Severity,
    out: &mut Findings<'_>,
) -> Judged {
    if flows.is_empty() {
        return Ok(());
    }
    let firewall = host.firewall.get()?;
    // A redirect has another remedy than a drop.
    let mut by_owner: BTreeMap<(RuleOwner, bool), Blocked<'_>> = BTreeMap::new();
    let mut undetermined = None;
    for flow in flows {
        let (location, rejected, redirected) = match evaluate(&firewall.value, &flow.packet) {
            Outcome::Passes => continue,
            Outcome::Undetermined { location, depends_on } => {
                undetermined.get_or_insert_with(|| unclear(firewall, flow, &location, &depends_on));
                continue;
            }
            Outcome::Blocked { location, rejected, .. } => (location, rejected.is_some(), false),
            Outcome::Redirected { location, .. } => (location, false, true),
        };
        let blocked = by_owner.entry((RuleOwner::of(&location), redirected)).or_default();
        blocked.rejects |= rejected;
        blocked.flows.entry((flow.kind, flow.port)).or_default().insert(&flow.peer);
        let same = |one: &&mut BlockingRule<'_>| {
            one.location.chain == location.chain && one.location.rule == location.rule
        };
        match blocked.rules.iter_mut().find(same) {
            Some(one) => drop(one.flows.insert((flow.kind, flow.port))),
            None => {
                blocked
                    .rules
                    .push(BlockingRule { location, flows: BTreeSet::from([(flow.kind, flow.port)]) });
            }
        }
    }
    let mut peers: BTreeMap<(FlowKind, Port), BTreeSet<&Peer>> = BTreeMap::new();
    for flow in flows {
        peers.entry((flow.kind, flow.port)).or_default().insert(&flow.peer);
    }
    let all = peers.values().map(BTreeSet::len).max().unwrap_or(0);
    for (owner, blocked) in &by_owner {
        if let Some(finding) = report(host, view, firewall, owner, blocked, all, out) {
            finding.severity(severity);
        }
    }
    match undetermined {
        Some(gap) => Err(gap),
        // Only the overlays show whether ESP must pass.
        None => host.overlays.get().map(drop),
    }
}

/// Why the outcome for a packet cannot be determined.
fn unclear(firewall: &Seen<Ruleset>, flow: &RequiredFlow, location: &Location<'_>, depends_on: &str) -> Gap {
    let direction = if flow.kind.direction() == Direction::In { "from" } else { "to" };
    let what = format!(
        "whether {} {direction} {} passes depends on {depends_on} in {}",
        flow.port,
        flow.peer.addr,
        render(location)
    );
    Gap { source: firewall.source.clone(), why: Why::Undecidable { what } }
}

fn report<'out>(
    host: &Host,
    view: &View<'_>,
    firewall: &Seen<Ruleset>,
    (owner, redirected): &(RuleOwner, bool),
    blocked: &Blocked<'_>,
    all: usize,
    out: &'out mut Findings<'_>,
) -> Option<&'out mut Finding> {
    let [first, more @ ..] = blocked.rules.as_slice() else { return None };
    let summary = format!(
        "{} on {} {} {}: {}{}",
        owner.name(),
        host.name,
        match (*redirected, blocked.rejects) {
            (true, _) => "redirects",
            (false, true) => "rejects",
            (false, false) => "drops",
        },
        blocked_flows(view, blocked, all),
        reason(owner, &first.location),
        match more.len() {
            0 => String::new(),
            1 => ", and 1 more rule".to_owned(),
            n => format!(", and {n} more rules"),
        }
    );
    let shown = |one: &BlockingRule<'_>| {
        let mut kinds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (kind, port) in &one.flows {
            kinds.entry(kind.as_str()).or_default().push(port.to_string());
        }
        let kinds: Vec<_> =
            kinds.into_iter().map(|(kind, ports)| format!("{} {kind}", ports.join(", "))).collect();
        Evidence::value(firewall, format!("{}: {}", kinds.join("; "), render(&one.location)))
    };
    let finding = out.report(Subject::Node(host.name.clone()), summary, shown(first));
    for one in more {
        finding.with(shown(one));
    }
    let peers: BTreeSet<NodeName> =
        blocked.flows.values().flatten().map(|peer| view.name_of_peer(peer)).collect();
    for name in peers {
        finding.also_affects(Subject::Node(name.clone())).explains_pair(host.name.clone(), name);
    }
    for (_, Port { number, protocol }) in blocked.flows.keys() {
        finding.explains(Flow { protocol: *protocol, port: *number });
    }
    let node = host.name.clone();
    let ports: BTreeSet<String> = blocked.flows.keys().map(|(_, port)| port.to_string()).collect();
    let ports = ports.into_iter().collect::<Vec<_>>().join(", ");
    finding.remedy(Remedy {
        title: format!("Open {ports} in the firewall of {}", host.name).into(),
        risk: Risk::Safe,
        impact: "Running tasks are not affected.".into(),
        steps: vec![if *redirected {
            remove_redirect(first, node)
        } else {
            firewall_remedy(owner, &blocked.rules, &firewall.value).step(node)
        }],
    });
    Some(finding)
}

/// A redirect comes before every rule that could accept the packet.
fn remove_redirect(blocking: &BlockingRule<'_>, node: NodeName) -> Step {
    let Location { table, chain, rule, .. } = &blocking.location;
    let list = if table.legacy {
        format!("iptables-legacy -t {} -S {}", shell_quote(&table.name), shell_quote(&chain.name))
    } else {
        format!(
            "nft -a list chain {} {} {}",
            table.family,
            shell_quote(&table.name),
            shell_quote(&chain.name)
        )
    };
    let delete = match rule {
        Some((_, rule)) if !table.legacy => {
            let chain = [table.family.to_string(), table.name.clone(), chain.name.clone()];
            Some(FirewallChange::NftDelete { chain, handle: rule.handle }.command())
        }
        Some((number, _)) => Some(format!(
            "iptables-legacy -t {} -D {} {number}",
            shell_quote(&table.name),
            shell_quote(&chain.name)
        )),
        None => None,
    };
    Step::Manual {
        node: node.into(),
        text: "find out what the rule is for, and delete it or exclude the ports of the swarm".into(),
        commands: std::iter::once(list).chain(delete).collect(),
    }
}

/// What is blocked, and for which peers: `7946/udp from every other node, 2377/tcp to node1`.
fn blocked_flows(view: &View<'_>, blocked: &Blocked<'_>, all: usize) -> String {
    let mut parts: Vec<(FlowKind, Vec<String>, &BTreeSet<&Peer>)> = Vec::new();
    for ((kind, port), peers) in &blocked.flows {
        match parts.iter_mut().find(|(other, _, others)| other == kind && *others == peers) {
            Some((_, ports, _)) => ports.push(port.to_string()),
            None => parts.push((*kind, vec![port.to_string()], peers)),
        }
    }
    let phrases = parts.into_iter().map(|(kind, ports, peers)| {
        let names: BTreeSet<NodeName> = peers.iter().map(|peer| view.name_of_peer(peer)).collect();
        let names: Vec<_> = names.iter().map(NodeName::as_str).collect();
        let names = match names.as_slice() {
            many if many.len() > 1 && peers.len() == all => "every other node".to_owned(),
            many => many.join(", "),
        };
        format!("{} {names}", phrase(kind, &ports.join(", ")))
    });
    phrases.collect::<Vec<_>>().join("; ")
}

fn phrase(kind: FlowKind, ports: &str) -> String {
    match kind {
        FlowKind::InboundRequest => format!("{ports} from"),
        FlowKind::OutboundRequest => format!("{ports} to"),
        FlowKind::OutboundReply => format!("replies from {ports} to"),
        FlowKind::InboundReply => format!("replies to {ports} from"),
    }
}

/// The rule or policy that decides, in the terms of its owner.
fn reason(owner: &RuleOwner, location: &Location<'_>) -> String {
    match (owner, location.rule) {
        (RuleOwner::Firewalld { panic: true, .. }, _) => "firewalld is in panic mode".to_owned(),
        (RuleOwner::Firewalld { zone: Some(zone), .. }, Some(_))
            if location.chain.name.ends_with("_deny") =>
        {
            format!("a rich rule of zone {zone} blocks it, {}", render(location))
        }
        (RuleOwner::Firewalld { zone: Some(zone), .. }, _) => {
            format!("zone {zone} does not open the port, {}", render(location))
        }
        (RuleOwner::Ufw, None) => {
            format!("no ufw rule allows it, and the default is {}", render(location))
        }
        _ => render(location),
    }
}
