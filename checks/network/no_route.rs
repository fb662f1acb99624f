use crate::model::reachability::{Reach, by_peer};
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::host::{Address, Interface, Route, RouteKind};
use facts::link::{EINVAL, ENETUNREACH, Outcome};
use facts::{Host, NodeName};
use std::collections::BTreeMap;
use std::net::IpAddr;

check! {
    /// This node has no route to other nodes: an interface is down, a route is missing, or a route rejects the packets.
    ///
    /// ## Why it matters
    /// Packets of the engine do not leave the host, or they leave by an interface without a carrier. To the other nodes
    /// this node looks down.
    ///
    /// ## How to fix it
    /// Set the interface up, or delete the rejecting route, and make the change in the network configuration of the
    /// system, so that the next boot does not undo it.
    ///
    /// ## When it is wrong
    /// If policy routing rules (`ip rule`) send packets through another table. What the kernel did with a probe is
    /// reported all the same.
    ///
    /// Source: Linux `ip-route(8)`; `net/ipv4/fib_semantics.c` (`fib_props`: the error of each kind of route).
    "network/no-route": Error, "this node has no route to other nodes";
    healthy "this node has a route to every other node";
    needs Probes, Routes, Interfaces, Nodes;
    caused_by "swarm/stale-advertise-addr", "swarm/local-advertise-addr";
    for each Host: run
}

/// Why no packet gets to the peer.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Reason<'a> {
    /// The interface on the network of the peer is down.
    Down(&'a str),
    /// The interface of the route has no carrier.
    NoCarrier(&'a str),
    /// A route rejects or drops the packets.
    Refuses { kind: RouteKind, network: IpAddr, prefix: u8 },
    /// The kernel drops the packets, and the main table does not show the route that does it.
    Blackhole,
    /// There is no route.
    Missing,
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let probes = host.probes.get()?;
    let (routes, interfaces) = (host.routes.get()?, host.interfaces.get()?);
    let mut cases: BTreeMap<Reason<'_>, Vec<Reach<'_>>> = BTreeMap::new();
    for reach in by_peer(probes) {
        if !reach.host_answers()
            && let Some(reason) = reason(&reach, routes, interfaces)
        {
            cases.entry(reason).or_default().push(reach);
        }
    }
    for (reason, cut) in &cases {
        let names: Vec<NodeName> = cut.iter().map(|reach| view.name_of_peer(reach.peer)).collect();
        let list = names.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ");
        let summary = format!("{} has no route to {list}: {}", host.name, describe(reason));
        let Some(first) = cut.first() else { continue };
        let finding =
            out.report(Subject::Node(host.name.clone()), summary, Evidence::value(probes, first.describe()));
        match reason {
            Reason::Down(_) | Reason::NoCarrier(_) => {
                finding.with(Evidence::value(interfaces, describe(reason)))
            }
            _ => finding.with(Evidence::value(routes, describe(reason))),
        };
        for name in names {
            finding.also_affects(Subject::Node(name));
        }
        finding.remedy(remedy(reason, &host.name));
    }
    Ok(())
}

/// Why no packet gets to a peer, if the reason is on this node.
fn reason<'a>(reach: &Reach<'_>, routes: &[Route], interfaces: &'a [Interface]) -> Option<Reason<'a>> {
    let peer = reach.peer.addr;
    let covers = |route: &&Route| Address { addr: route.network, prefix: route.prefix }.covers(peer);
    let best = routes.iter().filter(covers).max_by_key(|route| route.prefix);
    let refused = |errnos: &[i32]| {
        let matches = |outcome: &&Outcome| matches!(outcome, Outcome::Unreachable { errno } | Outcome::NotSent { errno } if errnos.contains(errno));
        reach.outcomes().any(|outcome| matches(&outcome))
    };
    let in_its_network = |one: &&Interface| one.addresses.iter().any(|own| own.covers(peer));
    match best {
        Some(route) if !route.kind.leads() => {
            let Route { kind, network, prefix, .. } = route;
            let errno = kind.errno()?;
            refused(&[errno]).then_some(Reason::Refuses { kind: *kind, network: *network, prefix: *prefix })
        }
        Some(route) => {
            let has_route = |one: &&Interface| route.interface.as_ref() == Some(&one.name);
            let interface = interfaces.iter().find(has_route);
            match interface {
                Some(one) if one.up && !one.running => Some(Reason::NoCarrier(&one.name)),
                _ if refused(&[EINVAL]) => Some(Reason::Blackhole),
                _ => None,
            }
        }
        None if refused(&[EINVAL]) => Some(Reason::Blackhole),
        None if refused(&[ENETUNREACH]) => {
            match interfaces.iter().filter(in_its_network).find(|one| !one.up) {
                Some(one) => Some(Reason::Down(&one.name)),
                None => Some(Reason::Missing),
            }
        }
        None => None,
    }
}

fn describe(reason: &Reason<'_>) -> String {
    match reason {
        Reason::Down(name) => format!("interface {name} on their network is down"),
        Reason::NoCarrier(name) => format!("interface {name} of the route has no carrier"),
        Reason::Refuses { kind, network, prefix } => {
            format!("there is a route `{} {network}/{prefix}`", kind.as_str())
        }
        Reason::Blackhole => "the kernel drops the packets (EINVAL), as for a blackhole route".to_owned(),
        Reason::Missing => "no route matches and there is no default route".to_owned(),
    }
}

fn remedy(reason: &Reason<'_>, node: &NodeName) -> Remedy {
    let (title, text, commands) = match reason {
        Reason::Down(name) => (
            format!("Set {name} up"),
            "set the interface up, and find what set it down",
            vec![format!("ip link set {name} up"), "ip route".to_owned()],
        ),
        Reason::NoCarrier(name) => (
            format!("Restore the carrier of {name}"),
            "check the cable, the switch port, or the virtual network interface in the hypervisor",
            vec![format!("ip -statistics link show {name}")],
        ),
        Reason::Refuses { kind, network, prefix } => (
            format!("Delete the {} route for {network}/{prefix}", kind.as_str()),
            "delete the route, and find what added it",
            vec![format!("ip route delete {} {network}/{prefix}", kind.as_str())],
        ),
        Reason::Blackhole => (
            "Find the blackhole route".to_owned(),
            "check the policy routing rules and the other tables",
            vec!["ip rule".to_owned(), "ip route show table all type blackhole".to_owned()],
        ),
        Reason::Missing => (
            "Add the missing route".to_owned(),
            "compare with a node that reaches the others, and add the missing route",
            vec!["ip -brief addr".to_owned(), "ip route".to_owned()],
        ),
    };
    Remedy {
        title: title.into(),
        risk: Risk::Manual,
        impact: "other nodes can reach this node again, too".into(),
        steps: vec![Step::Manual { node: node.clone().into(), text: text.into(), commands }],
    }
}
