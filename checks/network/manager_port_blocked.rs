use super::blocked::{Blocked, Port, report};
use super::reach::{Reach, by_peer};
use crate::model::node_entries::replacement;
use crate::{Confidence, Findings, Judged, View};
use facts::Host;
use facts::link::{Outcome, Peer};
use facts::swarm::Node;
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
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "network/duplicate-ip", "swarm/local-advertise-addr", "host/firewall-drops-swarm";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let probes = host.probes.get()?;
    let reaches = by_peer(probes);
    let is_one = |reach: &&Reach<'_>| reach.manager().is_some() && !is_left_over(view, reach.peer);
    let managers: Vec<_> = reaches.iter().filter(is_one).collect();
    let mut blocked: BTreeMap<u16, Vec<Blocked<'_>>> = BTreeMap::new();
    for reach in &managers {
        let (Some(outcome), Some(port)) = (reach.manager(), reach.peer.manager_port) else { continue };
        let confidence = match outcome {
            Outcome::Open => continue,
            Outcome::NotSent { .. } => Confidence::High,
            Outcome::Filtered | Outcome::Unreachable { .. } if reach.machine_answers() => Confidence::High,
            // Its engine is there, and takes no connection on this port.
            Outcome::Refused { .. } if reach.engine_answers() && !is_becoming(view, reach.peer) => {
                Confidence::Medium
            }
            _ => continue,
        };
        blocked.entry(port).or_default().push(Blocked { reach, outcome, confidence });
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

/// Whether its machine left as a manager and came back as a worker, so that nobody has to listen there.
fn is_left_over(view: &View<'_>, peer: &Peer) -> bool {
    let Ok(nodes) = view.snapshot.nodes.get() else { return false };
    let addr = |node: &Node| Some(node.manager.as_ref()?.addr?.ip());
    let mut there = nodes.iter().filter(|node| addr(node) == Some(peer.addr)).peekable();
    there.peek().is_some() && there.all(|node| replacement(node, nodes).is_some())
}
