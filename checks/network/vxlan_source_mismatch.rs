use crate::model::overlay_echo::{NodeEchoes, accepted_source, by_node, data_path_addr, gaps};
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::host::{Address, Interface, Route};
use facts::overlay::Overlay;
use facts::swarm::{Node, NodeState};
use facts::{Gap, Host, Seen};
use std::net::IpAddr;

check! {
    /// The VXLAN packets of a node leave from another address than the address that the swarm knows for the node.
    ///
    /// ## Why it matters
    /// For each endpoint the other nodes store the address that its node advertises, and their kernels drop VXLAN packets
    /// from any other address. VXLAN uses the source address that the kernel prefers for the route to the other node. If
    /// a node advertises a second address of an interface, an address of a load balancer or of keepalived, or an address
    /// of a loopback interface, the node is Ready and gossip works, but no task on it is reachable from another node.
    /// Packet captures show the packets arriving, and no counter shows the drop.
    ///
    /// ## How to fix it
    /// Make the kernel prefer the advertised address on the route to the other nodes (`ip route ... src`), or leave the
    /// swarm and join again with the address that the kernel prefers.
    ///
    /// ## When it is wrong
    /// If the address is translated on the path (NAT). The check runs only if no echo is answered.
    ///
    /// Source: moby#53004; Linux `drivers/net/vxlan/vxlan_core.c`, `vxlan_snoop`.
    "network/vxlan-source-mismatch": Error, "the VXLAN source address differs from the advertised address";
    healthy "VXLAN packets leave from the advertised address";
    needs Overlays, Info, SwarmState, Interfaces, Routes, Networks, Nodes;
    caused_by "swarm/local-advertise-addr", "swarm/stale-advertise-addr";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let overlays = host.overlays.get()?;
    gaps(overlays).for_each(|gap| out.inconclusive(Subject::Node(host.name.clone()), gap));
    let peers = by_node(overlays);
    if !peers.iter().any(NodeEchoes::is_silent) || own(host, overlays, &peers, out)? {
        return Ok(());
    }
    other(host, view, overlays, &peers, out)
}

/// Whether the packets of this node have the wrong source.
fn own(
    host: &Host,
    overlays: &Seen<Vec<Overlay>>,
    peers: &[NodeEchoes<'_>],
    out: &mut Findings<'_>,
) -> Result<bool, Gap> {
    let Some((advertised, proof)) = accepted_source(host)? else { return Ok(false) };
    let interfaces = host.interfaces.get()?;
    let routes = host.routes.get()?;
    // An address that no interface has is another finding, or NAT.
    if !interfaces.iter().any(|interface| interface.holds(advertised)) {
        return Ok(false);
    }
    let wrong = |peer: &NodeEchoes<'_>| {
        let (route, source) = source(peer.node, routes, interfaces)?;
        (source != advertised && source.is_ipv4() == advertised.is_ipv4()).then_some((route, source))
    };
    // If another node answers in spite of it, NAT corrects the address on the path.
    if peers.iter().any(|peer| !peer.is_silent() && wrong(peer).is_some()) {
        return Ok(false);
    }
    let silent = peers.iter().filter(|peer| peer.is_silent());
    let found = silent.filter_map(|peer| Some((peer, wrong(peer)?))).next();
    let Some((peer, (route, source))) = found else { return Ok(false) };
    let Some(echo) = peer.echoes.first() else { return Ok(false) };
    let interface = route.interface.as_deref().unwrap_or_default();
    let summary = format!(
        "VXLAN packets to {} leave from {source}, and the other nodes accept packets of {} from {advertised} only",
        peer.node, host.name
    );
    let network = format!("{}/{}", route.network, route.prefix);
    let via = route.gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default();
    out.report(Subject::Node(host.name.clone()), summary, proof)
        .with(Evidence::value(routes, format!("{network}{via} dev {interface}, from {source}")))
        .with(Evidence::value(overlays, echo.describe()))
        .remedy(Remedy {
            title: format!("Set {advertised} as the source of the route").into(),
            risk: Risk::Safe,
            impact: "open connections keep their address; new connections to that network use the other address".into(),
            steps: vec![Step::Manual {
                node: host.name.clone().into(),
                text: "change the route now and in the network configuration; otherwise leave the swarm and join again with the \
                       address that the kernel prefers"
                    .into(),
                commands: vec![format!("ip route replace {network}{via} dev {} src {advertised}", shell_quote(interface))],
            }],
        });
    Ok(true)
}

/// The route to an address, and the source address that the kernel prefers for it.
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

/// The packets of another node, if the managers see its connection from an address that gossip does not list for it.
fn other(
    host: &Host,
    view: &View<'_>,
    overlays: &Seen<Vec<Overlay>>,
    peers: &[NodeEchoes<'_>],
    out: &mut Findings<'_>,
) -> Judged {
    let nodes = match view.snapshot.nodes.get() {
        Ok(nodes) => nodes,
        // A worker has no node list.
        Err(gap) if !gap.why.leaves_open() => return Ok(()),
        Err(gap) => return Err(gap),
    };
    if data_path_addr(host)?.is_some() {
        return Ok(());
    }
    let own = view.node_of(host)?.map(|node| &node.id);
    let of =
        |node: &Node| node.addr.into_iter().chain(node.manager.as_ref().and_then(|m| Some(m.addr?.ip())));
    let known = |addr: IpAddr| nodes.iter().any(|node| of(node).any(|other| other == addr));
    let entered = |node: &Node| of(node).any(|addr| peers.iter().any(|peer| peer.node == addr));
    let mut unlisted = Vec::new();
    for peer in peers.iter().filter(|peer| peer.is_silent() && !known(peer.node)) {
        if gossips(host, peer.node)? {
            unlisted.push(peer);
        }
    }
    let missing = |node: &&Node| node.state == NodeState::Ready && Some(&node.id) != own && !entered(node);
    let missing: Vec<&Node> = nodes.iter().filter(missing).collect();
    // With one of each the assignment is certain.
    let ([peer], [node]) = (unlisted.as_slice(), missing.as_slice()) else { return Ok(()) };
    let (Some(echo), Some(seen)) = (peer.echoes.first(), node.addr) else { return Ok(()) };
    let summary = format!(
        "{} connects to the managers from {seen}, and VXLAN packets of it are accepted from {} only",
        node.name, peer.node
    );
    out.report(Subject::Node(node.name.clone()), summary, Evidence::value(overlays, echo.describe()))
        .with(Evidence::value(nodes, format!("{} {}: Status.Addr: {seen}", node.name, node.id)))
        .confidence(Confidence::Medium)
        .also_affects(Subject::Link { from: host.name.clone(), to: view.name_of(peer.node) })
        .remedy(Remedy {
            title: format!("Set the advertised address as the source of VXLAN packets of {}", node.name)
                .into(),
            risk: Risk::Manual,
            impact: "checking changes nothing".into(),
            steps: vec![Step::Manual {
                node: node.name.clone().into(),
                text: "run swarm-doctor there: it names the address that the kernel prefers, and the change"
                    .into(),
                commands: vec!["sudo swarm-doctor run".into(), "ip route".into()],
            }],
        });
    Ok(())
}

/// Whether gossip lists the address on any network.
fn gossips(host: &Host, addr: IpAddr) -> Result<bool, Gap> {
    let networks = host.networks.get()?;
    Ok(networks.iter().filter_map(|network| network.peers.as_ref()).flatten().any(|peer| peer.addr == addr))
}
