use super::crossing::{Asked, apart, gaps};
use crate::{Certainty, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::{Host, NodeName};
use std::collections::BTreeSet;
use std::net::IpAddr;

check! {
    /// This node's kernel sends packets of an overlay to an address that is no node's.
    ///
    /// ## Why it matters
    /// For each endpoint on another node the engine puts an entry into the kernel, with the address of that node. One
    /// that is wrong, after a node changed its address or an update of the entries went astray, makes tasks there
    /// unreachable from this node alone, while all nodes are Ready and names resolve.
    ///
    /// ## How to fix it
    /// Restart the engine of this node: it makes its tables anew.
    ///
    /// ## When it is wrong
    /// Where nodes send the overlays' packets over a network of its own, with `--data-path-addr`, and the managers do
    /// not know that address. The doctor says nothing where this node does so.
    ///
    /// Source: moby#33721; moby `libnetwork/drivers/overlay/peerdb.go`.
    "network/fdb-stale": Error, "the overlays' packets are sent to an address that is no node's";
    needs Overlays, Probes, Networks, SwarmState, Nodes;
    caused_by "swarm/stale-advertise-addr";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let overlays = host.overlays.get()?;
    gaps(overlays).for_each(|gap| out.lacking(Subject::Node(host.name.clone()), gap));
    let planes: Vec<_> =
        overlays.iter().filter_map(|overlay| Some((overlay, overlay.plane.as_ref().ok()?))).collect();
    if planes.iter().all(|(_, plane)| plane.peers.iter().all(|peer| peer.small.answered())) {
        return Ok(());
    }
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
            let asked = Asked { overlay, plane, peer };
            let listed: Vec<_> = lacking.iter().map(ToString::to_string).collect();
            out.report(subject, summary, Evidence::value(overlays, asked.shown()))
                .certainty(Certainty::Likely)
                .and(Evidence::value(networks, format!("Peers without an entry: {}", listed.join(", "))))
                .remedy(Remedy {
                    title: "Let the engine make its tables anew".into(),
                    risk: Risk::RestartsTasks,
                    impact: "the tasks of this node restart".into(),
                    steps: vec![Step::RestartEngine { node: host.name.clone() }],
                });
        }
    }
    Ok(())
}
