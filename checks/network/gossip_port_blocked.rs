use super::blocked::{Blocked, Port, report};
use super::gossip_udp;
use super::reach::{GOSSIP_PORT, by_peer, engine_lives};
use crate::{Confidence, Findings, Judged, Subject, View};
use facts::link::{Outcome, Probe};
use facts::{Host, Seen, Why};

check! {
    /// The gossip port of another node cannot be reached from here, by TCP or by UDP.
    ///
    /// ## Why it matters
    /// Over 7946/tcp and 7946/udp the nodes tell one another which tasks are where. Without it names do not
    /// resolve, overlays do not learn their peers and the routing mesh does not know its backends, while `docker
    /// node ls` says Ready.
    ///
    /// ## How to fix it
    /// Open 7946 for TCP and UDP between all nodes, workers included.
    ///
    /// ## When it is wrong
    /// When the engine over there is just starting, or stands still.
    ///
    /// Of UDP the engine's log tells where a node is heard by no other. Between two nodes alone it may be blocked without a
    /// word anywhere, for others pass their gossip on; `swarm-doctor run --listen 5s` hears that on the wire.
    ///
    /// Source: memberlist `state.go` (the line about UDP probes); Docker docs "Open protocols and ports".
    "network/gossip-port-blocked": Error, "a node's gossip port is blocked";
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
    let overheard = host.gossip_capture.get();
    gossip_udp::report(host, view, log.as_ref().ok().copied(), overheard.as_ref().ok().copied(), out);
    probes?;
    log?;
    match overheard {
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
            Outcome::Filtered | Outcome::Unreachable { .. } if reach.machine_answers() => Confidence::High,
            // A machine whose engine is off refuses too, and that is another ailment.
            Outcome::Refused { .. } => match engine_lives(host, reach) {
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
