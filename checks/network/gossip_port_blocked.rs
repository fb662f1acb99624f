use crate::model::blocked_port::{Blocked, Port, report};
use crate::model::gossip_datagrams;
use crate::model::reachability::{GOSSIP_PORT, by_peer, engine_runs};
use crate::{Confidence, Findings, Judged, Subject, View};
use facts::link::{Outcome, Probe};
use facts::{Host, Seen, Why};

check! {
    /// The gossip port of another node is not reachable from this node, by TCP or by UDP.
    ///
    /// ## Why it matters
    /// Over 7946/tcp and 7946/udp the nodes exchange which task runs where. Without gossip, service names do not resolve,
    /// overlays do not learn their peers and the ingress routing mesh does not know its backends, while `docker node ls`
    /// shows Ready.
    ///
    /// ## How to fix it
    /// Open 7946 for TCP and UDP between all nodes, workers included.
    ///
    /// ## When it is wrong
    /// If the other engine is starting or is stopped by a signal.
    ///
    /// The engine logs blocked UDP only if no other node relays the gossip. UDP that is blocked between two nodes alone is
    /// not logged anywhere; `swarm-doctor run --listen 5s` captures packets and detects it.
    ///
    /// Source: memberlist `state.go` (the line about UDP probes); Docker docs "Open protocols and ports".
    "network/gossip-port-blocked": Error, "the gossip port of a node is blocked";
    healthy "the gossip ports of the other nodes are reachable";
    needs Info, Probes, Nodes, Networks, EngineLog, GossipCapture;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "network/duplicate-ip", "host/firewall-drops-swarm", "network/asymmetric", "swarm/duplicate-node-identity", "swarm/local-advertise-addr", "swarm/stale-advertise-addr", "engine/unreachable";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let probes = host.probes.get();
    if let Ok(probes) = &probes {
        tcp(host, view, probes, out);
    }
    let log = host.log.get();
    let capture = host.gossip_capture.get();
    gossip_datagrams::report(host, view, log.as_ref().ok().copied(), capture.as_ref().ok().copied(), out);
    probes?;
    log?;
    match capture {
        Err(gap) if !matches!(gap.why, Why::NotAsked { .. }) => Err(gap),
        _ => Ok(()),
    }
}

fn tcp(host: &Host, view: &View<'_>, probes: &Seen<Vec<Probe>>, out: &mut Findings<'_>) {
    let reaches = by_peer(probes);
    let mut blocked = Vec::new();
    for reach in &reaches {
        let Some(outcome) = reach.gossip() else { continue };
        let confidence = match outcome {
            Outcome::Open => continue,
            Outcome::NotSent { .. } => Confidence::High,
            Outcome::Filtered | Outcome::Unreachable { .. } if reach.host_answers() => Confidence::High,
            // A host without a running engine refuses as well; that is another finding.
            Outcome::Refused { .. } => match engine_runs(host, reach) {
                Ok(true) => Confidence::Medium,
                Ok(false) => continue,
                Err(gap) => {
                    out.inconclusive(Subject::Node(host.name.clone()), gap);
                    continue;
                }
            },
            _ => continue,
        };
        blocked.push(Blocked { reach, outcome, confidence });
    }
    report(host, view, probes, Port { number: GOSSIP_PORT, probed: reaches.len() }, blocked, out);
}
