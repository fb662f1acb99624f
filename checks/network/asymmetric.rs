use crate::model::blocked_port::run_on_peer;
use crate::model::overlay_echo::{NodeEchoes, by_node};
use crate::model::reachability::{GOSSIP_PORT, Reach, by_peer};
use crate::{Evidence, Finding, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::gossip_capture::{Gossip, GossipCapture, PeerCapture};
use facts::overlay::EchoPath;
use facts::{Host, Seen, Why};
use std::net::IpAddr;

check! {
    /// Packets from another node arrive at this node, and packets from this node do not arrive there.
    ///
    /// ## Why it matters
    /// A path that works in one direction looks like a dead node from one end and healthy from the other: gossip is
    /// relayed by third nodes, and connections hang. The doctor captures the packets of a node that answers nothing,
    /// before the firewall of this node.
    ///
    /// ## How to fix it
    /// Check the other node first, because it drops the packets of this node: its firewall, its security group. Then
    /// check the path from here to there: a router or a firewall that sees only one direction of a connection drops it
    /// (asymmetric routes), and so does the reverse path filter of the other host.
    ///
    /// ## When it is wrong
    /// If the engine on the other node is stopped by a signal while its kernel sends.
    ///
    /// Source: Linux `Documentation/networking/ip-sysctl.rst` (rp_filter); memberlist `state.go`.
    "network/asymmetric": Error, "packets pass between two nodes in one direction only";
    healthy "packets pass between the nodes in both directions";
    needs Probes, Overlays, GossipCapture;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "host/firewall-drops-swarm", "swarm/duplicate-node-identity", "swarm/local-advertise-addr", "swarm/stale-advertise-addr", "network/vxlan-source-mismatch";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let probes = host.probes.get()?;
    let overlays = host.overlays.get();
    let capture = host.gossip_capture.get();
    let nodes = overlays.as_ref().map(|overlays| by_node(overlays)).unwrap_or_default();
    for reach in by_peer(probes) {
        let addr = reach.peer.addr;
        let heard = capture.as_ref().ok().copied().and_then(|seen| one_way_gossip(seen, addr));
        let echoes = nodes.iter().find(|node| node.node == addr);
        let echoes = echoes.filter(|node| node.is_silent() && one_way(node));
        let shut = is_shut(&reach);
        // A single layer has a separate finding.
        let layers = usize::from(heard.is_some()) + usize::from(echoes.is_some()) + usize::from(shut);
        if layers < 2 || heard.is_none() && echoes.is_none() {
            continue;
        }
        let (here, to) = (host.name.clone(), view.name_of_peer(reach.peer));
        let mut arriving = Vec::new();
        let mut evidence = Vec::new();
        if let Some((seen, heard)) = heard {
            arriving.push("gossip datagrams");
            let seconds = format!("{}.{}", seen.listened_ms / 1000, seen.listened_ms % 1000 / 100);
            let shown = format!(
                "{GOSSIP_PORT}/udp with {addr}, captured for {seconds} s: {} received, {} sent ({} got no reply)",
                heard.received, heard.sent, heard.unanswered
            );
            evidence.push(Evidence::value(seen, shown));
        }
        if let (Some(node), Ok(overlays)) = (echoes, &overlays) {
            arriving.push("overlay packets");
            evidence.extend(node.echoes.iter().map(|echo| Evidence::value(overlays, echo.describe())));
        }
        evidence.push(Evidence::value(probes, reach.describe()));
        let lost = if shut { "no packet" } else { "no UDP packet" };
        let summary = format!(
            "the path between {here} and {to} works one way only: {} from {to} arrive at {here}, and {lost} from {here} \
             is answered",
            arriving.join(" and "),
        );
        let mut evidence = evidence.into_iter();
        let Some(first) = evidence.next() else { continue };
        let text =
            "find what drops packets from the other node: firewall, security group, reverse path filter";
        let commands =
            ["nft list ruleset", "iptables -S", "sysctl net.ipv4.conf.all.rp_filter"].map(str::to_owned);
        let finding = out.report(Subject::Link { from: here.clone(), to: to.clone() }, summary, first);
        evidence.fold(finding, Finding::with).remedy(Remedy {
            title: format!("Allow packets from {here} on {to}").into(),
            risk: Risk::Manual,
            impact: "checking changes nothing".into(),
            steps: vec![
                run_on_peer(to.clone()),
                Step::Manual { node: to.into(), text: text.into(), commands: commands.into() },
                Step::Manual {
                    node: here.into(),
                    text: "compare the route to the other node with its route back".to_owned(),
                    commands: vec![format!("ip route get {addr}")],
                },
            ],
        });
    }
    match (overlays, capture) {
        (Err(gap), _) => Err(gap),
        (_, Err(gap)) if !matches!(gap.why, Why::NotAsked { .. }) => Err(gap),
        _ => Ok(()),
    }
}

/// Whether no probe is answered, not even with a refusal.
fn is_shut(reach: &Reach<'_>) -> bool {
    reach.gossip().is_some() && !reach.host_answers()
}

fn one_way(node: &NodeEchoes<'_>) -> bool {
    [false, true].iter().any(|encrypted| node.path(*encrypted) == Some(EchoPath::OneWay))
}

fn one_way_gossip(seen: &Seen<GossipCapture>, addr: IpAddr) -> Option<(&Seen<GossipCapture>, &PeerCapture)> {
    let heard = seen.with(addr)?;
    (seen.gossip(heard) == Gossip::Deaf).then_some((seen, heard))
}
