use super::crossing::{Asked, apart, gaps, is_up, newcomers, too_early};
use super::reach::by_peer;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::overlay::DataPlane;
use facts::{Host, NodeName};
use std::collections::BTreeSet;
use std::net::IpAddr;

check! {
    /// This node's kernel has no entry for another node on an overlay, or sends its packets to an address that is no node's.
    ///
    /// ## Why it matters
    /// For each endpoint on another node the engine puts an entry into the kernel, with the address of that node. One
    /// that is wrong or missing, after a node changed its address, an update of the entries went astray, or somebody set
    /// the VXLAN device down, makes tasks there unreachable from this node alone, while all nodes are Ready and names
    /// resolve.
    ///
    /// ## How to fix it
    /// Restart the engine of this node: it makes its tables anew.
    ///
    /// ## When it is wrong
    /// Where nodes send the overlays' packets over a network of its own, with `--data-path-addr`, and the managers do
    /// not know that address. The doctor says nothing where this node does so. That an entry is missing is told of the
    /// routing mesh's network alone, and of no node that has joined within the last two minutes.
    ///
    /// Source: moby#33721; moby `libnetwork/drivers/overlay/peerdb.go`.
    "network/fdb-stale": Error, "the kernel's entries of an overlay do not lead to each node";
    needs Overlays, Probes, Networks, SwarmState, Nodes, EngineLog;
    caused_by "swarm/stale-advertise-addr";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let overlays = host.overlays.get()?;
    gaps(overlays).for_each(|gap| out.inconclusive(Subject::Node(host.name.clone()), gap));
    let planes: Vec<_> =
        overlays.iter().filter_map(|overlay| Some((overlay, overlay.data_plane.as_ref().ok()?))).collect();
    if apart(host)?.is_some() {
        return Ok(());
    }
    let networks = host.networks.get()?;
    let probes = host.probes.get()?;
    let known: BTreeSet<IpAddr> = probes.iter().map(|probe| probe.peer.addr).collect();
    for (overlay, plane) in planes {
        let network = networks.iter().find(|network| network.id == overlay.id);
        let entered: BTreeSet<IpAddr> = plane.peers.iter().map(|peer| peer.node).collect();
        // Nodes that gossip has on this network and the kernel does not. Where each has its entry, an address
        // that is unknown is one more of some node's.
        let lacking: Vec<IpAddr> = network
            .and_then(|network| network.peers.as_ref())
            .into_iter()
            .flatten()
            .map(|peer| peer.addr)
            .filter(|addr| known.contains(addr) && !entered.contains(addr))
            .collect();
        let Some(meant) = lacking.first() else { continue };
        // Over a data-path network of the other's own its entry bears an address that no one tells of.
        if overlay.ingress && plane.not_probed == 0 && entered.is_subset(&known) {
            missing(host, view, plane, &lacking, out)?;
        }
        for peer in plane.peers.iter().filter(|peer| !peer.small.answered() && !known.contains(&peer.node)) {
            let to = view.name_of(*meant);
            let (subject, whose) = match lacking.as_slice() {
                [_] => (Subject::Link { from: host.name.clone(), to: to.clone() }, to),
                _ => (Subject::Node(host.name.clone()), NodeName("one of several nodes".into())),
            };
            let summary = format!(
                "{} sends what is for {} on the network {} to {}, the address of no node; {whose} is meant, and has no \
                 entry",
                host.name, peer.endpoint, overlay.name, peer.node
            );
            let asked = Asked { overlay, data_plane: plane, peer };
            let listed: Vec<_> = lacking.iter().map(ToString::to_string).collect();
            out.report(subject, summary, Evidence::value(overlays, asked.shown()))
                .confidence(Confidence::Medium)
                .with(Evidence::value(networks, format!("Peers without an entry: {}", listed.join(", "))))
                .remedy(remedy(host));
        }
    }
    Ok(())
}

/// After how many seconds each node has heard of each endpoint. What gossip loses is made good when two nodes compare
/// all they have, which each does with one other every thirty seconds.
const SPREAD: i64 = 120;

/// Says for which nodes, of those that gossip has on the routing mesh's network and that are well, the kernel has no entry.
fn missing(
    host: &Host,
    view: &View<'_>,
    plane: &DataPlane,
    lacking: &[IpAddr],
    out: &mut Findings<'_>,
) -> Judged {
    let (overlays, networks, probes) = (host.overlays.get()?, host.networks.get()?, host.probes.get()?);
    let well: BTreeSet<IpAddr> =
        by_peer(probes).iter().filter(|reach| is_up(reach)).map(|reach| reach.peer.addr).collect();
    let lacking: Vec<IpAddr> = lacking.iter().filter(|addr| well.contains(addr)).copied().collect();
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
    let newcomers = newcomers(log, view.snapshot.taken, SPREAD);
    let (early, lacking): (Vec<IpAddr>, Vec<IpAddr>) =
        lacking.into_iter().partition(|addr| newcomers.contains_key(addr));
    for addr in early {
        let to = view.name_of(addr);
        let seconds = newcomers.get(&addr).copied().unwrap_or_default();
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
            let what = "its entries for other nodes are gone, or its own place on it is";
            let summary =
                format!("nothing on {} leads over the network ingress to {listed}: {what}", host.name);
            (summary, "ingress: entries for no node".to_owned())
        }
        some => {
            let have: Vec<_> = some.iter().map(|peer| peer.node.to_string()).collect();
            let summary = format!(
                "the kernel of {} has no entry for {listed} on the network ingress: what is meant for there does not get there",
                host.name
            );
            (summary, format!("ingress: entries for {}", have.join(", ")))
        }
    };
    let lacking: Vec<_> = lacking.iter().map(ToString::to_string).collect();
    out.report(subject, summary, Evidence::value(overlays, entries))
        .confidence(Confidence::Medium)
        .with(Evidence::value(networks, format!("Peers without an entry: {}", lacking.join(", "))))
        .remedy(remedy(host));
    Ok(())
}

fn remedy(host: &Host) -> Remedy {
    Remedy {
        title: "Let the engine make its tables anew".into(),
        risk: Risk::Disruptive,
        impact: "the tasks of this node restart".into(),
        steps: vec![Step::RestartEngine { node: host.name.clone() }],
    }
}
