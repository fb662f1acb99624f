use super::crossing::{Crossing, by_node};
use super::reach::{GOSSIP_PORT, Reach, by_peer};
use crate::{Evidence, Finding, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::gossip_capture::{Gossip, GossipCapture, PeerCapture};
use facts::overlay::Course;
use facts::{Host, Seen, Why};
use std::net::IpAddr;

check! {
    /// What another node sends comes to this one, and nothing that this one sends gets there.
    ///
    /// ## Why it matters
    /// A path that works one way looks like a dead node from one end and like nothing at all from the other: gossip
    /// goes on by way of third nodes, and connections hang. The doctor hears on the wire, before this machine's own
    /// packet filter, what comes from a node that answers nothing.
    ///
    /// ## How to fix it
    /// Look at the other end first, for it drops what comes from here: its packet filter, its security group. Then
    /// at the way from here to there: a router or a firewall that has only seen one direction of a connection drops it
    /// (asymmetric routes), and so does the other machine's reverse path filter.
    ///
    /// ## When it is wrong
    /// Where an engine over there stands still while its kernel sends.
    ///
    /// Source: Linux `Documentation/networking/ip-sysctl.rst` (rp_filter); memberlist `state.go`.
    "network/asymmetric": Error, "packets pass between two nodes one way only";
    needs Probes, Overlays, GossipCapture;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "host/firewall-drops-swarm", "swarm/duplicate-node-identity", "swarm/local-advertise-addr", "swarm/stale-advertise-addr", "network/vxlan-source-mismatch";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let probes = host.probes.get()?;
    let overlays = host.overlays.get();
    let overheard = host.gossip_capture.get();
    let crossings = overlays.as_ref().map(|overlays| by_node(overlays)).unwrap_or_default();
    for reach in by_peer(probes) {
        let addr = reach.peer.addr;
        let heard = overheard.as_ref().ok().copied().and_then(|seen| one_way_gossip(seen, addr));
        let crossing = crossings.iter().find(|crossing| crossing.node == addr);
        let crossing = crossing.filter(|crossing| crossing.silent() && one_way(crossing));
        let shut = is_shut(&reach);
        // One layer alone has a finding of its own, which says the same.
        let layers = usize::from(heard.is_some()) + usize::from(crossing.is_some()) + usize::from(shut);
        if layers < 2 || heard.is_none() && crossing.is_none() {
            continue;
        }
        let (here, to) = (host.name.clone(), view.name_of_peer(reach.peer));
        let mut comes = Vec::new();
        let mut evidence = Vec::new();
        if let Some((seen, heard)) = heard {
            comes.push("gossip");
            let seconds = format!("{}.{}", seen.listened_ms / 1000, seen.listened_ms % 1000 / 100);
            let shown = format!(
                "{GOSSIP_PORT}/udp with {addr}, in {seconds} s: {} came, {} went and {} of those were not answered",
                heard.received, heard.sent, heard.unanswered
            );
            evidence.push(Evidence::value(seen, shown));
        }
        if let (Some(crossing), Ok(overlays)) = (crossing, &overlays) {
            comes.push("packets of overlays");
            evidence.extend(crossing.asked.iter().map(|asked| Evidence::value(overlays, asked.shown())));
        }
        evidence.push(Evidence::value(probes, reach.shown()));
        let lost = if shut {
            "nothing that it sends there is answered"
        } else {
            "UDP that it sends there gets lost"
        };
        let summary = format!(
            "the path between {here} and {to} works one way only: {} from {to} come{} to {here}, and {lost}",
            comes.join(" and "),
            if comes == ["gossip"] { "s" } else { "" },
        );
        let mut evidence = evidence.into_iter();
        let Some(first) = evidence.next() else { continue };
        let text =
            "see what drops packets from the other node: packet filter, security group, reverse path filter";
        let commands =
            ["nft list ruleset", "iptables -S", "sysctl net.ipv4.conf.all.rp_filter"].map(str::to_owned);
        let finding = out.report(Subject::Link { from: here.clone(), to: to.clone() }, summary, first);
        evidence.fold(finding, Finding::with).remedy(Remedy {
            title: format!("Let what {here} sends get to {to}").into(),
            risk: Risk::Manual,
            impact: "nothing that runs is touched by looking".into(),
            steps: vec![
                Step::Manual { node: to, text: text.into(), commands: commands.into() },
                Step::Manual {
                    node: here,
                    text: "see which way the packets take, for a router may know another one back".to_owned(),
                    commands: vec![format!("ip route get {addr}")],
                },
            ],
        });
    }
    match (overlays, overheard) {
        (Err(gap), _) => Err(gap),
        (_, Err(gap)) if !matches!(gap.why, Why::NotAsked { .. }) => Err(gap),
        _ => Ok(()),
    }
}

/// Whether nothing at all is answered, were it with a no.
fn is_shut(reach: &Reach<'_>) -> bool {
    reach.gossip().is_some() && !reach.machine_answers()
}

fn one_way(crossing: &Crossing<'_>) -> bool {
    [false, true].iter().any(|encrypted| crossing.course(*encrypted) == Some(Course::OneWay))
}

fn one_way_gossip(seen: &Seen<GossipCapture>, addr: IpAddr) -> Option<(&Seen<GossipCapture>, &PeerCapture)> {
    let heard = seen.with(addr)?;
    (seen.gossip(heard) == Gossip::Deaf).then_some((seen, heard))
}
