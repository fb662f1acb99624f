use crate::model::blocked_port::{Direction, open_port};
use crate::model::overlay_echo::{
    Joins, NodeEchoes, OverlayEcho, by_node, data_path_addr, gaps, is_up, too_early,
};
use crate::model::reachability::{Reach, by_peer};
use crate::{Confidence, Evidence, Finding, Findings, Flow, Judged, Subject, View};
use facts::overlay::EchoPath;
use facts::{Host, NodeName};

check! {
    /// Overlay packets do not pass between this node and another node, although the other host is reachable.
    ///
    /// ## Why it matters
    /// The packets of every overlay travel between nodes inside UDP, to port 4789 or to the port of `docker swarm init
    /// --data-path-port`. If a firewall drops them, all nodes are Ready, services start and names resolve, but tasks on
    /// different nodes cannot connect, and a published port answers only on nodes that run a task. No engine detects
    /// this and nothing is logged. The doctor sends an ICMP echo over the overlay, from this node's endpoint to an
    /// endpoint on the other node. The echo takes the same path as the packets of tasks, there and back.
    ///
    /// ## How to fix it
    /// Open the UDP port in both directions between all nodes: in the firewall of each host and in the cloud's security
    /// groups. Opening the port for TCP has no effect. Some hypervisors (VMware NSX) reserve 4789; then create the swarm
    /// with another data-path port.
    ///
    /// ## When it is wrong
    /// If the other node sends from an address that it does not advertise, this node drops its packets; run the doctor on
    /// that node as well. An echo covers both directions; which one is blocked is reported only if packets were captured.
    /// A node that joined gossip within the last ten seconds is reported as unknown.
    ///
    /// Source: Docker docs "Use Swarm mode routing mesh" and `docker swarm init --data-path-port`.
    "network/vxlan-blocked": Error, "overlay packets do not pass between nodes";
    healthy "overlay packets pass between nodes";
    needs Overlays, Probes, SwarmState, Nodes, EngineLog;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "network/duplicate-ip", "host/firewall-drops-swarm", "network/asymmetric", "swarm/duplicate-node-identity", "swarm/local-advertise-addr", "swarm/stale-advertise-addr", "network/vxlan-source-mismatch", "network/fdb-stale", "swarm/node-down", "network/port-taken", "network/gossip-port-blocked", "network/peer-unreachable";
    for each Host: run
}

/// The VXLAN port of a swarm that was created without `--data-path-port`.
const DEFAULT_PORT: u16 = 4789;
/// How many node names a summary lists.
const LISTED: usize = 5;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let overlays = host.overlays.get()?;
    gaps(overlays).for_each(|gap| out.inconclusive(Subject::Node(host.name.clone()), gap));
    let nodes = by_node(overlays);
    if !nodes.iter().any(NodeEchoes::is_silent) {
        return Ok(());
    }
    let probes = host.probes.get()?;
    let reaches = by_peer(probes);
    let separate = data_path_addr(host)?.is_some();
    // A host that is down has a separate finding, and so has an address that belongs to no node. Over a separate data
    // path network the VTEP addresses are unknown to the swarm; there an echo on the underlay is enough.
    let up = |node: &&NodeEchoes<'_>| match reach_of(&reaches, node) {
        Some(reach) => is_up(reach),
        None => separate && (node.answers_on_underlay() || !node.is_silent()),
    };
    let up: Vec<&NodeEchoes<'_>> = nodes.iter().filter(up).collect();
    let log = host.log.get();
    let joined = log.as_ref().map(|log| Joins::unsettled(log, view.snapshot.taken)).unwrap_or_default();
    let mut silent = Vec::new();
    for node in up.iter().filter(|node| node.is_silent()) {
        let reach = reach_of(&reaches, node);
        let to = reach.map_or_else(|| view.name_of(node.node), |reach| view.name_of_peer(reach.peer));
        match (&log, joined.ago(node.node)) {
            (Ok(log), Some(seconds)) => {
                out.inconclusive(Subject::Link { from: host.name.clone(), to }, too_early(log, seconds));
            }
            _ => silent.push((node, reach, to)),
        }
    }
    let names: Vec<NodeName> = silent.iter().map(|(_, _, to)| to.clone()).collect();
    let extent = match names.as_slice() {
        [] => return Ok(()),
        [one] => Extent::One(one),
        all if all.len() == up.len() => Extent::All,
        several => Extent::Several(several),
    };
    // The summary states a path only if it is the same for every silent node.
    let mut paths = silent.iter().map(|(node, ..)| node.path(false));
    let path = paths.next().flatten().filter(|first| paths.all(|other| other == Some(*first)));
    let mut reported: Option<&mut Finding> = None;
    for (node, reach, _) in silent {
        let Some(first) = node.echoes.first() else { continue };
        let evidence = node
            .echoes
            .iter()
            .map(|echo| Evidence::value(overlays, echo.describe()))
            .chain(reach.map(|reach| Evidence::value(probes, reach.describe())));
        match reported.take() {
            Some(finding) => reported = Some(evidence.fold(finding, Finding::with)),
            None => {
                let proof = Evidence::value(overlays, first.describe());
                let finding = report(host, first, (extent, path), proof, out);
                // A single silent endpoint may be at fault itself; two overlays or two nodes are not.
                let certain = names.len() > 1 || node.echoes.len() > 1;
                finding.confidence(if certain { Confidence::High } else { Confidence::Medium });
                finding.about(Flow::udp(first.plane.port));
                reported = Some(evidence.skip(1).fold(finding, Finding::with));
            }
        }
    }
    Ok(())
}

/// The probes of a node, if its VTEP address is one that the swarm lists.
fn reach_of<'r>(reaches: &'r [Reach<'r>], node: &NodeEchoes<'_>) -> Option<&'r Reach<'r>> {
    reaches.iter().find(|reach| reach.peer.addr == node.node)
}

/// The nodes that no packet reaches.
#[derive(Clone, Copy)]
enum Extent<'a> {
    One(&'a NodeName),
    /// These, while others are reached.
    Several(&'a [NodeName]),
    All,
}

fn report<'f>(
    host: &Host,
    echo: &OverlayEcho<'_>,
    (extent, path): (Extent<'_>, Option<EchoPath>),
    first: Evidence,
    out: &'f mut Findings<'_>,
) -> &'f mut Finding {
    let port = echo.port();
    let custom = match echo.plane.port {
        DEFAULT_PORT => String::new(),
        _ => format!(" (data-path port of this swarm, default {DEFAULT_PORT})"),
    };
    let here = host.name.clone();
    let mut remedy = open_port(here.clone(), &port, Direction::In);
    let between = format!("{port} (VXLAN){custom} is blocked between {here} and");
    let to = match extent {
        Extent::All => {
            let why = match path {
                Some(EchoPath::NotSent) => format!(": packets from {here} do not leave it"),
                Some(EchoPath::ReplyDropped) => format!(": replies arrive at {here} and are dropped there"),
                Some(EchoPath::OneWay) => {
                    format!(": their packets arrive at {here}, and packets from {here} do not arrive there")
                }
                Some(EchoPath::Lost) | None => String::new(),
            };
            let summary = format!("{between} every other node, while the hosts answer other probes{why}");
            let finding = out.report(Subject::Node(here.clone()), summary, first).remedy(remedy);
            return if why.is_empty() {
                finding.suspect(format!("the firewall of {here} is the first suspect"))
            } else {
                finding
            };
        }
        Extent::Several(nodes) => {
            let mut listed: Vec<_> = nodes.iter().take(LISTED).map(ToString::to_string).collect();
            if let more @ 1.. = nodes.len().saturating_sub(LISTED) {
                listed.push(format!("{more} more"));
            }
            let summary = format!(
                "{between} {}, while their hosts answer other probes and VXLAN passes to the other nodes",
                listed.join(", ")
            );
            remedy.title = format!("Open {port} between {here} and {}", listed.join(", ")).into();
            let theirs =
                nodes.iter().flat_map(|node| open_port(node.clone(), &port, Direction::InOnPeer).steps);
            remedy.steps = theirs.chain(remedy.steps).collect();
            return out.report(Subject::Node(here), summary, first).remedy(remedy).suspect(
                "either these nodes block it, or the network is partitioned into two halves".to_owned(),
            );
        }
        Extent::One(to) => to.clone(),
    };
    let why = match path {
        Some(EchoPath::NotSent) => format!(": packets from {here} do not leave it"),
        Some(EchoPath::ReplyDropped) => format!(": replies arrive at {here} and are dropped there"),
        Some(EchoPath::OneWay) => {
            format!(": packets from {to} arrive at {here}, and packets from {here} do not arrive there")
        }
        Some(EchoPath::Lost) | None => String::new(),
    };
    let summary = format!("{between} {to}, while the host answers other probes{why}");
    let mut steps = open_port(to.clone(), &port, Direction::InOnPeer).steps;
    steps.append(&mut remedy.steps);
    remedy.steps = steps;
    remedy.title = format!("Open {port} between {here} and {to}").into();
    out.report(Subject::Link { from: here, to }, summary, first).remedy(remedy)
}
