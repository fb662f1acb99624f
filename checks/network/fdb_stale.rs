use crate::model::overlay_echo::{Joins, OverlayEcho, data_path_addr, gaps, is_up, too_early};
use crate::model::reachability::by_peer;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::overlay::DataPlane;
use facts::{Host, NodeName};
use std::collections::BTreeSet;
use std::net::IpAddr;

check! {
    /// The kernel of this node has no forwarding entry for another node on an overlay, or has one with an address that
    /// belongs to no node.
    ///
    /// ## Why it matters
    /// For each endpoint on another node the engine adds a neighbour entry and a forwarding (FDB) entry with the address
    /// of that node. An entry is wrong or missing after a node changed its address, after a lost update, or after the
    /// VXLAN device is down. Tasks on the other node are then unreachable from this node alone, while all nodes are
    /// Ready and names resolve.
    ///
    /// ## How to fix it
    /// Restart the engine of this node: it adds the entries again.
    ///
    /// ## When it is wrong
    /// If nodes send overlay packets over a separate network (`--data-path-addr`), the managers do not know those
    /// addresses; the check does not run on a node that does so. A missing entry is only reported for the ingress
    /// network, and only for nodes that joined more than two minutes ago.
    ///
    /// Source: moby#33721; moby `libnetwork/drivers/overlay/peerdb.go`.
    "network/fdb-stale": Error, "forwarding entries of an overlay are missing or wrong";
    healthy "the forwarding entries of the overlays lead to every node";
    needs Overlays, Probes, Networks, SwarmState, Nodes, EngineLog;
    caused_by "swarm/stale-advertise-addr";
    for each Host: run
}

/// After how many seconds every node knows every endpoint. A lost update is repeated by the bulk sync that each node does
/// with one other node every 30 s.
const SYNC_SECONDS: i64 = 120;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let overlays = host.overlays.get()?;
    gaps(overlays).for_each(|gap| out.inconclusive(Subject::Node(host.name.clone()), gap));
    let planes: Vec<_> =
        overlays.iter().filter_map(|overlay| Some((overlay, overlay.data_plane.as_ref().ok()?))).collect();
    if data_path_addr(host)?.is_some() {
        return Ok(());
    }
    let networks = host.networks.get()?;
    let probes = host.probes.get()?;
    let known: BTreeSet<IpAddr> = probes.iter().map(|probe| probe.peer.addr).collect();
    for (overlay, plane) in planes {
        let network = networks.iter().find(|network| network.id == overlay.id);
        let entered: BTreeSet<IpAddr> = plane.peers.iter().map(|peer| peer.node).collect();
        // Nodes that gossip lists on this network and that have no entry. If every node has an entry, an unknown
        // address is a second address of some node.
        let lacking: Vec<IpAddr> = network
            .and_then(|network| network.peers.as_ref())
            .into_iter()
            .flatten()
            .map(|peer| peer.addr)
            .filter(|addr| known.contains(addr) && !entered.contains(addr))
            .collect();
        let Some(intended) = lacking.first() else { continue };
        // The entry of a node with a separate data-path address has an address that the swarm does not list.
        if overlay.ingress && plane.not_probed == 0 && entered.is_subset(&known) {
            missing(host, view, plane, &lacking, out)?;
        }
        for peer in plane.peers.iter().filter(|peer| !peer.answers() && !known.contains(&peer.node)) {
            let to = view.name_of(*intended);
            let (subject, name) = match lacking.as_slice() {
                [_] => (Subject::Link { from: host.name.clone(), to: to.clone() }, to),
                _ => (Subject::Node(host.name.clone()), NodeName("one of the nodes without an entry".into())),
            };
            let summary = format!(
                "{} sends packets for {} on the network {} to {}, an address of no node; {name} has no forwarding entry",
                host.name, peer.endpoint, overlay.name, peer.node
            );
            let echo = OverlayEcho { overlay, plane, peer };
            let listed: Vec<_> = lacking.iter().map(ToString::to_string).collect();
            out.report(subject, summary, Evidence::value(overlays, echo.describe()))
                .confidence(Confidence::Medium)
                .with(Evidence::value(
                    networks,
                    format!("Peers without a forwarding entry: {}", listed.join(", ")),
                ))
                .remedy(remedy(host));
        }
    }
    Ok(())
}

/// Reports the nodes that gossip lists on the ingress network, that are up, and that have no forwarding entry.
fn missing(
    host: &Host,
    view: &View<'_>,
    plane: &DataPlane,
    lacking: &[IpAddr],
    out: &mut Findings<'_>,
) -> Judged {
    let (overlays, networks, probes) = (host.overlays.get()?, host.networks.get()?, host.probes.get()?);
    let up: BTreeSet<IpAddr> =
        by_peer(probes).iter().filter(|reach| is_up(reach)).map(|reach| reach.peer.addr).collect();
    let lacking: Vec<IpAddr> = lacking.iter().filter(|addr| up.contains(addr)).copied().collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let log = match host.log.get() {
        Ok(log) => log,
        Err(gap) => {
            out.inconclusive(Subject::Node(host.name.clone()), gap);
            return Ok(());
        }
    };
    let joined = Joins::lately(log, view.snapshot.taken, SYNC_SECONDS, SYNC_SECONDS);
    let (early, lacking): (Vec<IpAddr>, Vec<IpAddr>) =
        lacking.into_iter().partition(|addr| joined.ago(*addr).is_some());
    for addr in early {
        let to = view.name_of(addr);
        let seconds = joined.ago(addr).unwrap_or_default();
        out.inconclusive(Subject::Link { from: host.name.clone(), to }, too_early(log, seconds));
    }
    let names: Vec<NodeName> = lacking.iter().map(|addr| view.name_of(*addr)).collect();
    let here = host.name.clone();
    let subject = match names.as_slice() {
        [] => return Ok(()),
        [one] => Subject::Link { from: here, to: one.clone() },
        _ => Subject::Node(here),
    };
    let listed = names.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ");
    let (summary, entries) = match plane.peers.as_slice() {
        [] => {
            let summary = format!(
                "{} has no forwarding entry for {listed} on the network ingress: the entries for other nodes are missing",
                host.name
            );
            (summary, "ingress: no forwarding entries".to_owned())
        }
        some => {
            let have: Vec<_> = some.iter().map(|peer| peer.node.to_string()).collect();
            let summary = format!(
                "{} has no forwarding entry for {listed} on the network ingress: packets for that node are dropped",
                host.name
            );
            (summary, format!("ingress: forwarding entries for {}", have.join(", ")))
        }
    };
    let lacking: Vec<_> = lacking.iter().map(ToString::to_string).collect();
    out.report(subject, summary, Evidence::value(overlays, entries))
        .confidence(Confidence::Medium)
        .with(Evidence::value(networks, format!("Peers without a forwarding entry: {}", lacking.join(", "))))
        .remedy(remedy(host));
    Ok(())
}

fn remedy(host: &Host) -> Remedy {
    Remedy {
        title: format!("Restart the engine of {}", host.name).into(),
        risk: Risk::Disruptive,
        impact: "all tasks on this node restart".into(),
        steps: vec![Step::RestartEngine { node: host.name.clone().into() }],
    }
}
