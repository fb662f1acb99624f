use crate::model::overlay_echo::{OverlayEcho, by_node};
use crate::model::reachability::by_peer;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::link::Burst;
use facts::{Host, NodeName, Source};

check! {
    /// Packets between this node and another node are lost.
    ///
    /// ## Why it matters
    /// TCP retransmits lost packets, so that connections become slow instead of failing. Gossip and raft run into
    /// timeouts: nodes change between Ready and Down, leaders change, and service discovery loses updates. The doctor
    /// sends ten small echoes to each node within a second, over the ingress network and on the underlay.
    ///
    /// ## How to fix it
    /// Loss on the underlay: check the interface counters (`ip -s link`), duplex and cabling, the load of the hypervisor and
    /// the bandwidth of the link. Loss on the overlay alone: check rate limits for UDP and the receive buffers of the node.
    ///
    /// ## When it is wrong
    /// If the other host limits the rate of ICMP replies. The threshold is configurable (`network/packet-loss = "20%"`).
    ///
    /// Source: Linux `icmp(7)` (icmp_ratelimit does not cover echo replies by default); memberlist `config.go` (timeouts).
    "network/packet-loss": Warning, "packets between nodes are lost";
    healthy "no packets between the nodes are lost";
    needs Probes, Overlays, Nodes;
    caused_by "network/duplicate-mac", "network/duplicate-ip", "network/no-route", "host/firewall-drops-swarm";
    for each Host: run
}

/// The loss in percent from which it is reported, unless configured.
const DEFAULT_PERCENT: u8 = 20;
/// The loss in percent from which it is an error.
const SEVERE_PERCENT: u32 = 50;

/// The node, the evidence with its sources, and the worst burst.
type Loss = (NodeName, Vec<(Source, String)>, Burst);

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let probes = host.probes.get()?;
    let threshold = u32::from(view.thresholds.packet_loss_percent.unwrap_or(DEFAULT_PERCENT));
    let mut losses: Vec<Loss> = Vec::new();
    let overlays = host.overlays.get();
    let nodes = overlays.as_ref().map(|overlays| by_node(overlays)).unwrap_or_default();
    for reach in by_peer(probes) {
        let echo = nodes.iter().find(|node| node.node == reach.peer.addr);
        let over = echo.and_then(|node| {
            let echo = node.echoes.iter().find(|echo| echo.peer.burst.is_some())?;
            Some((echo, echo.peer.burst?))
        });
        let below = reach.burst();
        let worst =
            [over.map(|(_, burst)| burst), below].into_iter().flatten().max_by_key(Burst::loss_percent);
        let Some(worst) = worst.filter(|burst| burst.loss_percent() >= threshold) else { continue };
        let mut shown = Vec::new();
        if let (Some((OverlayEcho { overlay, .. }, burst)), Ok(overlays)) = (over, &overlays) {
            shown.push((
                overlays.source.clone(),
                format!("{} over {}: {burst}", reach.peer.addr, overlay.name),
            ));
        }
        if let Some(burst) = below {
            shown.push((probes.source.clone(), format!("{} on the underlay: {burst}", reach.peer.addr)));
        }
        losses.push((view.name_of_peer(reach.peer), shown, worst));
    }
    let probed = by_peer(probes).len();
    let all = losses.len() > 1 && losses.len() == probed;
    let mut reported: Option<&mut crate::Finding> = None;
    for (to, shown, burst) in losses {
        let mut evidence = shown.into_iter().map(|(source, shown)| Evidence::Value { source, shown });
        let finding = match reported.take().filter(|_| all) {
            Some(finding) => finding,
            None => {
                let Some(first) = evidence.next() else { continue };
                let (subject, peers) = if all {
                    (Subject::Node(host.name.clone()), "every other node".to_owned())
                } else {
                    (Subject::Link { from: host.name.clone(), to: to.clone() }, to.to_string())
                };
                let summary = format!("packets between {} and {peers} are lost: {burst}", host.name);
                let finding = out.report(subject, summary, first);
                finding.remedy(remedy(host, &to, all))
            }
        };
        if burst.loss_percent() >= SEVERE_PERCENT {
            finding.severity(Severity::Error);
        }
        reported = Some(evidence.fold(finding, crate::Finding::with));
    }
    overlays.map(drop)
}

fn remedy(host: &Host, to: &NodeName, all: bool) -> Remedy {
    let step = |node: &NodeName| Step::Manual {
        node: node.clone().into(),
        text: "check the counters for errors and drops of the interface, and the load of the host".into(),
        commands: vec![
            "ip -s -s link".into(),
            "nstat -az UdpRcvbufErrors UdpInErrors".into(),
            "uptime".into(),
        ],
    };
    let mut steps = vec![step(&host.name)];
    if !all {
        steps.push(step(to));
    }
    Remedy {
        title: if all {
            format!("Find the cause of the packet loss of {}", host.name).into()
        } else {
            format!("Find the cause of the packet loss between {} and {to}", host.name).into()
        },
        risk: Risk::Manual,
        impact: "checking changes nothing".into(),
        steps,
    }
}
