use super::endpoint_missing::{forgets_failed_nodes, has_record};
use crate::model::service_discovery::{Expected, addresses, settled_overlays};
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::network::Network;
use facts::service::Task;
use facts::swarm::Node;
use facts::{Host, Seen};
use std::collections::BTreeMap;

check! {
    /// Gossip of a node does not know another node that is Ready and runs tasks on the same network.
    ///
    /// ## Why it matters
    /// Gossip (7946/tcp and 7946/udp) carries service discovery. If it splits into groups, names and VIPs of each group
    /// lack the tasks of the other nodes, while `docker node ls` shows all nodes as Ready: the managers are reached over
    /// 2377/tcp. Gossip can stay split after a network failure, or after all managers restarted at the same time.
    ///
    /// ## How to fix it
    /// Open 7946/tcp and 7946/udp between the nodes. If they are open, restart the engine of the node that is not known:
    /// it then joins gossip again.
    ///
    /// ## When it is wrong
    /// For about a minute after a node came back. If a node gossips under another address than the managers list, it is
    /// recognised by the records of its tasks.
    ///
    /// Source: moby#33589, moby#47728; moby `daemon/libnetwork/networkdb/cluster.go`, `rejoinClusterBootstrap`.
    "network/gossip-partition": Error, "gossip of a node does not know another node that is Ready";
    healthy "gossip knows every Ready node with tasks on a common network";
    needs Networks, Tasks, Services, Nodes, Info, Version;
    caused_by "network/gossip-port-blocked", "network/gossip-join-failed", "network/peer-unreachable", "network/no-route",
        "host/firewall-drops-swarm", "network/port-taken", "swarm/stale-advertise-addr", "swarm/local-advertise-addr";
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let expected = Expected::of(view)?;
    for host in &view.snapshot.hosts {
        if let Err(gap) = judge(host, &expected, out) {
            out.inconclusive(Subject::Node(host.name.clone()), gap);
        }
    }
    Ok(())
}

/// A node that gossip should know.
#[derive(Default)]
struct Seeing<'a> {
    /// Networks on which gossip knows the node, or a record of one of its tasks.
    known: usize,
    /// Networks on which it knows neither, with the tasks of the node there.
    unknown: Vec<(&'a Network, Vec<&'a Task>)>,
}

fn judge(host: &Host, expected: &Expected<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    let own = &host.info.get()?.swarm.node_id;
    let version = host.version.get()?;
    // Such an engine forgets the networks of a node, and not the node; that has a finding with a better remedy.
    if forgets_failed_nodes(&version.engine) || !expected.covers(host) {
        return Ok(());
    }
    let mut nodes: BTreeMap<&str, (&Node, Seeing<'_>)> = BTreeMap::new();
    for (network, records) in settled_overlays(host, networks) {
        let peers = network.peers.as_deref().unwrap_or_default();
        if peers.is_empty() {
            continue;
        }
        let mut tasks: BTreeMap<&str, (&Node, Vec<&Task>)> = BTreeMap::new();
        for task in expected.running_on(network, host) {
            if let Some(node) = expected.ready_node(task.node.as_ref()).filter(|node| node.id != *own) {
                tasks.entry(node.id.as_str()).or_insert((node, Vec::new())).1.push(task);
            }
        }
        for (id, (node, tasks)) in tasks {
            let seeing = &mut nodes.entry(id).or_insert((node, Seeing::default())).1;
            let is_peer = addresses(node).any(|addr| peers.iter().any(|peer| peer.addr == addr));
            if is_peer || tasks.iter().any(|task| has_record(task, records)) {
                seeing.known += 1;
            } else {
                seeing.unknown.push((network, tasks));
            }
        }
    }
    for (node, seeing) in nodes.into_values() {
        if seeing.known == 0 && !seeing.unknown.is_empty() {
            report(host, networks, node, &seeing.unknown, out);
        }
    }
    Ok(())
}

fn report(
    host: &Host,
    networks: &Seen<Vec<Network>>,
    node: &Node,
    unknown: &[(&Network, Vec<&Task>)],
    out: &mut Findings<'_>,
) {
    let names: Vec<&str> = unknown.iter().map(|(network, _)| network.name.as_str()).collect();
    let addr = addresses(node).next().map(|addr| format!(" ({addr})")).unwrap_or_default();
    let summary = format!(
        "gossip of {} does not know {}{addr} on {}, and the node is Ready and runs tasks there",
        host.name,
        node.name,
        names.join(", ")
    );
    let evidence = |(network, tasks): &(&Network, Vec<&Task>)| {
        let peers: Vec<String> = network.peers.iter().flatten().map(|peer| peer.addr.to_string()).collect();
        let text = format!(
            "{}: Peers of {}: {}; no record of any running task of {} ({})",
            host.name,
            network.name,
            peers.join(", "),
            node.name,
            tasks.len()
        );
        Evidence::value(networks, text)
    };
    let mut shown = unknown.iter().map(evidence);
    let Some(first) = shown.next() else { return };
    let subject = Subject::Link { from: host.name.clone(), to: node.name.clone() };
    let finding = out.report(subject, summary, first);
    for more in shown {
        finding.with(more);
    }
    finding.remedy(Remedy {
        title: format!("Restart the engine of {}", node.name).into(),
        risk: Risk::Disruptive,
        impact: format!("The tasks of {} restart.", node.name).into(),
        steps: vec![
            Step::Manual {
                node: host.name.clone().into(),
                text: format!(
                    "check that 7946/tcp and 7946/udp are open between {} and {}",
                    host.name, node.name
                ),
                commands: Vec::new(),
            },
            Step::Manual {
                node: node.name.clone().into(),
                text: "if they are open, restart the engine: it joins gossip again".into(),
                commands: vec!["systemctl restart docker".into()],
            },
        ],
    });
}
