use crate::model::blocked_port::{Blocked, Port, report};
use crate::model::node_entries::replacement;
use crate::model::reachability::{Reach, by_peer};
use crate::{Confidence, Findings, Judged, View};
use facts::Host;
use facts::link::{Outcome, Peer};
use facts::swarm::Node;
use std::collections::BTreeMap;

check! {
    /// The manager port of another node is not reachable from this node, although its host is.
    ///
    /// ## Why it matters
    /// Nodes join, send heartbeats and receive their tasks over 2377/tcp of the managers, and managers use it for raft. A
    /// worker that cannot reach it goes Down; a manager that cannot reach it drops out of raft.
    ///
    /// ## How to fix it
    /// Open 2377/tcp on the managers for all nodes, in the host firewall and in the cloud's security group.
    ///
    /// ## When it is wrong
    /// If the other node is no longer a manager and this node has not received the change yet.
    ///
    /// Source: Docker docs "Swarm tutorial, open protocols and ports"; moby#34996.
    "network/manager-port-blocked": Error, "the port of a manager is blocked";
    healthy "the ports of the managers are reachable";
    needs Probes, Nodes;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "network/duplicate-ip", "swarm/local-advertise-addr", "host/firewall-drops-swarm";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let probes = host.probes.get()?;
    let reaches = by_peer(probes);
    let is_manager = |reach: &&Reach<'_>| reach.manager().is_some() && !is_stale_entry(view, reach.peer);
    let managers: Vec<_> = reaches.iter().filter(is_manager).collect();
    let mut blocked: BTreeMap<u16, Vec<Blocked<'_>>> = BTreeMap::new();
    for reach in &managers {
        let (Some(outcome), Some(port)) = (reach.manager(), reach.peer.manager_port) else { continue };
        let confidence = match outcome {
            Outcome::Open => continue,
            Outcome::NotSent { .. } => Confidence::High,
            Outcome::Filtered | Outcome::Unreachable { .. } if reach.host_answers() => Confidence::High,
            // The engine runs, and this port alone takes no connection.
            Outcome::Refused { .. } if reach.engine_answers() && !is_being_promoted(view, reach.peer) => {
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

/// Whether a promotion is under way, so that nothing listens on the port for a moment.
fn is_being_promoted(view: &View<'_>, peer: &Peer) -> bool {
    let Some(Ok(Some(node))) = peer.node_id.as_ref().map(|id| view.node(id)) else { return false };
    node.wants_manager && node.manager.is_none()
}

/// Whether the host left as a manager and joined again as a worker, so that nothing has to listen on the port.
fn is_stale_entry(view: &View<'_>, peer: &Peer) -> bool {
    let Ok(nodes) = view.snapshot.nodes.get() else { return false };
    let addr = |node: &Node| Some(node.manager.as_ref()?.addr?.ip());
    let mut there = nodes.iter().filter(|node| addr(node) == Some(peer.addr)).peekable();
    there.peek().is_some() && there.all(|node| replacement(node, nodes).is_some())
}
