use super::blocked::{Blocked, Port, report};
use super::reach::by_peer;
use crate::{Certainty, Findings, Judged, View};
use facts::Host;
use facts::link::{Outcome, Peer};
use std::collections::BTreeMap;

check! {
    /// The manager port of another node cannot be reached from here, though its machine can.
    ///
    /// ## Why it matters
    /// Nodes join, beat and fetch their tasks over 2377/tcp of the managers, and managers speak raft over it. A
    /// worker cut off from it goes Down; a manager cut off from it drops out of raft.
    ///
    /// ## How to fix it
    /// Open 2377/tcp on the managers for all nodes, in the machine's firewall and in the cloud's.
    ///
    /// ## When it is wrong
    /// When the other node is no manager any more and this one has not yet heard.
    ///
    /// Source: Docker docs "Swarm tutorial, open protocols and ports"; moby#34996.
    "network/manager-port-blocked": Error, "a manager's port is blocked";
    needs Probes, Nodes;
    caused_by "network/no-route", "network/neighbour-pinned", "network/hardware-address-shared", "network/address-taken", "swarm/local-advertise-addr", "host/firewall-drops-swarm";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let probes = host.probes.get()?;
    let reaches = by_peer(probes);
    let managers: Vec<_> = reaches.iter().filter(|reach| reach.manager().is_some()).collect();
    let mut blocked: BTreeMap<u16, Vec<Blocked<'_>>> = BTreeMap::new();
    for reach in &managers {
        let (Some(outcome), Some(port)) = (reach.manager(), reach.peer.manager_port) else { continue };
        let certainty = match outcome {
            Outcome::Open => continue,
            Outcome::NotSent { .. } => Certainty::Proven,
            Outcome::Filtered | Outcome::Unreachable { .. } if reach.machine_answers() => Certainty::Proven,
            // Its engine is there, and takes no connection on this port.
            Outcome::Refused { .. } if reach.engine_answers() && !is_becoming(view, reach.peer) => {
                Certainty::Likely
            }
            _ => continue,
        };
        blocked.entry(port).or_default().push(Blocked { reach, outcome, certainty });
    }
    for (number, blocked) in blocked {
        report(host, view, probes, Port { number, probed: managers.len() }, blocked, out);
    }
    Ok(())
}

/// Whether it is to become a manager and is none yet, so that nobody listens there for a moment.
fn is_becoming(view: &View<'_>, peer: &Peer) -> bool {
    let Some(Ok(Some(node))) = peer.node_id.as_ref().map(|id| view.node(id)) else { return false };
    node.wants_manager && node.manager.is_none()
}
