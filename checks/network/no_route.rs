use super::reach::{Reach, by_peer};
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::host::{Address, Interface, Route, RouteKind};
use facts::link::{EINVAL, ENETUNREACH, Outcome};
use facts::{Host, NodeName};
use std::collections::BTreeMap;
use std::net::IpAddr;

check! {
    /// This machine has no way to other nodes: an interface is down, a route is missing, or one refuses.
    ///
    /// ## Why it matters
    /// Nothing that the engine sends leaves the machine, or it leaves by a cable that ends nowhere. To the others the node
    /// looks as if it were off.
    ///
    /// ## How to fix it
    /// Set the interface up, or take away the route that refuses, and write it down where the system keeps its network
    /// settings, so that the next start does not bring it back.
    ///
    /// ## When it is wrong
    /// Where rules of one's own (`ip rule`) lead packets by another table: what the kernel did with a probe is told all the
    /// same.
    ///
    /// Source: Linux `ip-route(8)`; `net/ipv4/fib_semantics.c` (`fib_props`: the error of each kind of route).
    "network/no-route": Error, "this machine has no way to other nodes";
    needs Probes, Routes, Interfaces, Nodes;
    caused_by "swarm/stale-advertise-addr", "swarm/local-advertise-addr";
    for each Host: run
}

/// What stands in the way.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Reason<'a> {
    /// The interface in whose network the peer is was set down.
    Down(&'a str),
    /// The interface that leads there has no carrier.
    NoCarrier(&'a str),
    /// A route says no.
    Refuses { kind: RouteKind, network: IpAddr, prefix: u8 },
    /// The kernel said so, and the main table does not show which route it is.
    Swallowed,
    /// Nothing leads there.
    Missing,
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let probes = host.probes.get()?;
    let (routes, interfaces) = (host.routes.get()?, host.interfaces.get()?);
    let mut cases: BTreeMap<Reason<'_>, Vec<Reach<'_>>> = BTreeMap::new();
    for reach in by_peer(probes) {
        if !reach.machine_answers()
            && let Some(reason) = reason(&reach, routes, interfaces)
        {
            cases.entry(reason).or_default().push(reach);
        }
    }
    for (reason, cut) in &cases {
        let names: Vec<NodeName> = cut.iter().map(|reach| view.name_of_peer(reach.peer)).collect();
        let list = names.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ");
        let summary = format!("{} has no way to {list}: {}", host.name, told(reason));
        let Some(first) = cut.first() else { continue };
        let finding =
            out.report(Subject::Node(host.name.clone()), summary, Evidence::value(probes, first.shown()));
        match reason {
            Reason::Down(_) | Reason::NoCarrier(_) => finding.with(Evidence::value(interfaces, told(reason))),
            _ => finding.with(Evidence::value(routes, told(reason))),
        };
        for name in names {
            finding.also_affects(Subject::Node(name));
        }
        finding.remedy(remedy(reason, &host.name));
    }
    Ok(())
}

/// Why nothing gets from here to a peer, where this machine itself is the reason.
fn reason<'a>(reach: &Reach<'_>, routes: &[Route], interfaces: &'a [Interface]) -> Option<Reason<'a>> {
    let peer = reach.peer.addr;
    let covers = |route: &&Route| Address { addr: route.network, prefix: route.prefix }.covers(peer);
    let best = routes.iter().filter(covers).max_by_key(|route| route.prefix);
    let refused = |errnos: &[i32]| {
        let told = |outcome: &&Outcome| matches!(outcome, Outcome::Unreachable { errno } | Outcome::NotSent { errno } if errnos.contains(errno));
        reach.outcomes().any(|outcome| told(&outcome))
    };
    let in_its_network = |one: &&Interface| one.addresses.iter().any(|own| own.covers(peer));
    match best {
        Some(route) if !route.kind.leads() => {
            let Route { kind, network, prefix, .. } = route;
            let errno = kind.errno()?;
            refused(&[errno]).then_some(Reason::Refuses { kind: *kind, network: *network, prefix: *prefix })
        }
        Some(route) => {
            let leads = |one: &&Interface| route.interface.as_ref() == Some(&one.name);
            let interface = interfaces.iter().find(leads);
            match interface {
                Some(one) if one.up && !one.running => Some(Reason::NoCarrier(&one.name)),
                _ if refused(&[EINVAL]) => Some(Reason::Swallowed),
                _ => None,
            }
        }
        None if refused(&[EINVAL]) => Some(Reason::Swallowed),
        None if refused(&[ENETUNREACH]) => {
            match interfaces.iter().filter(in_its_network).find(|one| !one.up) {
                Some(one) => Some(Reason::Down(&one.name)),
                None => Some(Reason::Missing),
            }
        }
        None => None,
    }
}

fn told(reason: &Reason<'_>) -> String {
    match reason {
        Reason::Down(name) => format!("{name}, the interface of their network, is set down"),
        Reason::NoCarrier(name) => format!("{name}, by which they are reached, has no carrier"),
        Reason::Refuses { kind, network, prefix } => {
            format!("a route of the kind {} stands for {network}/{prefix}", kind.as_str())
        }
        Reason::Swallowed => "the kernel refuses to send, as a route of the kind blackhole has it".to_owned(),
        Reason::Missing => "no route leads there, and there is no default route".to_owned(),
    }
}

fn remedy(reason: &Reason<'_>, node: &NodeName) -> Remedy {
    let (title, text, commands) = match reason {
        Reason::Down(name) => (
            format!("Set {name} up"),
            "set the interface up, and see why it was set down",
            vec![format!("ip link set {name} up"), "ip route".to_owned()],
        ),
        Reason::NoCarrier(name) => (
            format!("Give {name} a carrier"),
            "see to the cable, the switch, or the virtual machine's network card",
            vec![format!("ip -statistics link show {name}")],
        ),
        Reason::Refuses { kind, network, prefix } => (
            format!("Take away the route for {network}/{prefix}"),
            "see who made the route, and take it away",
            vec![format!("ip route delete {} {network}/{prefix}", kind.as_str())],
        ),
        Reason::Swallowed => (
            "Find the route that refuses".to_owned(),
            "see what rules and tables the kernel goes by",
            vec!["ip rule".to_owned(), "ip route show table all type blackhole".to_owned()],
        ),
        Reason::Missing => (
            "Give this machine a route to the others".to_owned(),
            "compare with a node that reaches them, and add what is missing",
            vec!["ip -brief addr".to_owned(), "ip route".to_owned()],
        ),
    };
    Remedy {
        title: title.into(),
        risk: Risk::Manual,
        impact: "the node can be reached again from elsewhere, too".into(),
        steps: vec![Step::Manual { node: node.clone(), text: text.into(), commands }],
    }
}
