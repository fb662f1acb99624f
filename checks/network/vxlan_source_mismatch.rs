use super::crossing::{Crossing, apart, by_node, gaps, own_address};
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::host::{Address, Interface, Route};
use facts::overlay::Overlay;
use facts::swarm::{Node, NodeState};
use facts::{Gap, Host, Seen};
use std::net::IpAddr;

check! {
    /// The overlays' packets of a node leave from another address than the one the swarm knows it by.
    ///
    /// ## Why it matters
    /// The other nodes hold, for each endpoint there, the address that the node advertises, and their kernels drop
    /// what comes from any other. VXLAN takes the address that the kernel prefers on the way to the other node. So
    /// with a second address of an interface advertised, one of a load balancer or of keepalived, or that of a
    /// loopback interface, the node is Ready, gossip is well, and no task there is reached from another node. Packet
    /// captures show the packets arriving, and nothing counts them as dropped.
    ///
    /// ## How to fix it
    /// Let the kernel prefer the advertised address on the way to the other nodes (`ip route ... src`), or leave and
    /// join again with the address that it prefers.
    ///
    /// ## When it is wrong
    /// Where the address is changed on the way, as behind NAT. The doctor looks only where nothing comes back.
    ///
    /// Source: moby#53004; Linux `drivers/net/vxlan/vxlan_core.c`, `vxlan_snoop`.
    "network/vxlan-source-mismatch": Error, "the overlays' packets leave from another address than the advertised one";
    needs Overlays, Info, SwarmState, Interfaces, Routes, Networks, Nodes;
    caused_by "swarm/local-advertise-addr", "swarm/stale-advertise-addr";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let overlays = host.overlays.get()?;
    gaps(overlays).for_each(|gap| out.inconclusive(Subject::Node(host.name.clone()), gap));
    let crossings = by_node(overlays);
    if !crossings.iter().any(Crossing::silent) || own(host, overlays, &crossings, out)? {
        return Ok(());
    }
    other(host, view, overlays, &crossings, out)
}

/// Whether it is this node's packets.
fn own(
    host: &Host,
    overlays: &Seen<Vec<Overlay>>,
    crossings: &[Crossing<'_>],
    out: &mut Findings<'_>,
) -> Result<bool, Gap> {
    let Some((advertised, told)) = own_address(host)? else { return Ok(false) };
    let interfaces = host.interfaces.get()?;
    let routes = host.routes.get()?;
    // An address that no interface holds is another ailment, or NAT.
    if !interfaces.iter().any(|interface| interface.holds(advertised)) {
        return Ok(false);
    }
    let wrong = |crossing: &Crossing<'_>| {
        let (route, source) = source(crossing.node, routes, interfaces)?;
        (source != advertised && source.is_ipv4() == advertised.is_ipv4()).then_some((route, source))
    };
    // Where another node answers in spite of it, something on the way puts it right.
    if crossings.iter().any(|crossing| !crossing.silent() && wrong(crossing).is_some()) {
        return Ok(false);
    }
    let silent = crossings.iter().filter(|crossing| crossing.silent());
    let found = silent.filter_map(|crossing| Some((crossing, wrong(crossing)?))).next();
    let Some((crossing, (route, source))) = found else { return Ok(false) };
    let Some(asked) = crossing.asked.first() else { return Ok(false) };
    let interface = route.interface.as_deref().unwrap_or_default();
    let summary = format!(
        "the overlays' packets to {} leave from {source}, and the other nodes take those of {} from {advertised} alone",
        crossing.node, host.name
    );
    let network = format!("{}/{}", route.network, route.prefix);
    let via = route.gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default();
    out.report(Subject::Node(host.name.clone()), summary, told)
        .with(Evidence::value(routes, format!("{network}{via} dev {interface}, from {source}")))
        .with(Evidence::value(overlays, asked.shown()))
        .remedy(Remedy {
            title: format!("Let the kernel prefer {advertised}").into(),
            risk: Risk::Safe,
            impact: "connections that are open keep their address; new ones to that network come from the other".into(),
            steps: vec![Step::Manual {
                node: host.name.clone(),
                text: "now, and in the network's configuration; else leave the swarm and join again with the address that the \
                       kernel prefers"
                    .into(),
                commands: vec![format!("ip route replace {network}{via} dev {} src {advertised}", shell_quote(interface))],
            }],
        });
    Ok(true)
}

/// The route to an address, and the address of its own that the kernel prefers on it.
fn source<'r>(to: IpAddr, routes: &'r [Route], interfaces: &[Interface]) -> Option<(&'r Route, IpAddr)> {
    let leads = |route: &&Route| Address { addr: route.network, prefix: route.prefix }.covers(to);
    let route = routes.iter().filter(leads).max_by_key(|route| route.prefix)?;
    let first = || {
        let interface =
            interfaces.iter().find(|interface| Some(&interface.name) == route.interface.as_ref())?;
        let same = |own: &&Address| own.addr.is_ipv4() == to.is_ipv4();
        Some(interface.addresses.iter().find(same)?.addr)
    };
    Some((route, route.source.or_else(first)?))
}

/// The packets of another node, where the managers see its connection come from an address that gossip does not know it by.
fn other(
    host: &Host,
    view: &View<'_>,
    overlays: &Seen<Vec<Overlay>>,
    crossings: &[Crossing<'_>],
    out: &mut Findings<'_>,
) -> Judged {
    let nodes = match view.snapshot.nodes.get() {
        Ok(nodes) => nodes,
        // A worker is not told where the others come from.
        Err(gap) if !gap.why.leaves_open() => return Ok(()),
        Err(gap) => return Err(gap),
    };
    if apart(host)?.is_some() {
        return Ok(());
    }
    let own = view.node_of(host)?.map(|node| &node.id);
    let of =
        |node: &Node| node.addr.into_iter().chain(node.manager.as_ref().and_then(|m| Some(m.addr?.ip())));
    let known = |addr: IpAddr| nodes.iter().any(|node| of(node).any(|other| other == addr));
    let entered = |node: &Node| of(node).any(|addr| crossings.iter().any(|crossing| crossing.node == addr));
    let mut strange = Vec::new();
    for crossing in crossings.iter().filter(|crossing| crossing.silent() && !known(crossing.node)) {
        if gossips(host, crossing.node)? {
            strange.push(crossing);
        }
    }
    let missing = |node: &&Node| node.state == NodeState::Ready && Some(&node.id) != own && !entered(node);
    let missing: Vec<&Node> = nodes.iter().filter(missing).collect();
    // With one of each there is no doubt which belongs to which.
    let ([crossing], [node]) = (strange.as_slice(), missing.as_slice()) else { return Ok(()) };
    let (Some(asked), Some(seen)) = (crossing.asked.first(), node.addr) else { return Ok(()) };
    let summary = format!(
        "{} comes to the managers from {seen}, and its overlays' packets are taken from {} alone",
        node.name, crossing.node
    );
    out.report(Subject::Node(node.name.clone()), summary, Evidence::value(overlays, asked.shown()))
        .with(Evidence::value(nodes, format!("{} {}: Status.Addr: {seen}", node.name, node.id)))
        .confidence(Confidence::Medium)
        .also_affects(Subject::Link { from: host.name.clone(), to: view.name_of(crossing.node) })
        .remedy(Remedy {
            title: format!("Let the packets of {} leave from the address it advertises", node.name).into(),
            risk: Risk::Manual,
            impact: "looking changes nothing".into(),
            steps: vec![Step::Manual {
                node: node.name.clone(),
                text: "see which address the kernel prefers there; the doctor says it there with what to do"
                    .into(),
                commands: vec!["ip route".into(), "swarm-doctor run".into()],
            }],
        });
    Ok(())
}

/// Whether gossip has a node of this address on any network.
fn gossips(host: &Host, addr: IpAddr) -> Result<bool, Gap> {
    let networks = host.networks.get()?;
    Ok(networks.iter().filter_map(|network| network.peers.as_ref()).flatten().any(|peer| peer.addr == addr))
}
