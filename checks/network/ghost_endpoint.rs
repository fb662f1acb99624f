use crate::model::service_discovery::{Expected, SETTLED_SECONDS, is_live, lasted, settled_overlays};
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::network::{EndpointRecord, Network};
use facts::{Gap, Host, NodeName, Seen, Why};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

check! {
    /// Service discovery of a node still has the endpoint of a task that does not exist any more.
    ///
    /// ## Why it matters
    /// Each node answers DNS questions and balances VIPs from its own copy of NetworkDB. A stale record is one more
    /// backend: DNS returns its address, and IPVS sends it a share of the connections. These connections hang or fail.
    /// If the address was given to a new task, they reach the wrong service. Records become stale when a node crashes,
    /// or when gossip loses the message that deletes them.
    ///
    /// ## How to fix it
    /// Replace the tasks of the service with `docker service update --force`. If the record is still there, restart
    /// the engine of the node that has it: the engine then reads all records from the other nodes.
    ///
    /// ## When it is wrong
    /// For some seconds after a task has ended. Tasks and services that changed within the last minute are not judged.
    ///
    /// Source: moby#35548, moby#28836, moby#47728; moby `daemon/libnetwork/agent.go`, `Services`.
    "network/ghost-endpoint": Error, "service discovery has an endpoint of a task that does not exist";
    healthy "service discovery has only endpoints of existing tasks";
    needs Networks, Tasks, Services, Nodes;
    caused_by "service/task-orphaned", "network/gossip-port-blocked", "network/gossip-join-failed", "network/gossip-partition", "swarm/foreign-gossip";
    for each Cluster: run
}

/// How many records are in the evidence.
const SHOWN: usize = 5;

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let expected = Expected::of(view)?;
    let mut ghosts: BTreeMap<&str, Vec<Ghost<'_>>> = BTreeMap::new();
    for host in &view.snapshot.hosts {
        let networks = match host.networks.get() {
            Ok(networks) => networks,
            Err(gap) => {
                out.inconclusive(Subject::Node(host.name.clone()), gap);
                continue;
            }
        };
        for (network, records) in settled_overlays(host, networks) {
            let nodes = expected.node_addresses(records);
            for record in records {
                match verdict(record, host, network, &nodes, &expected) {
                    Verdict::Live => {}
                    Verdict::Ghost(proof, confidence) => {
                        let ghost = Ghost { host, networks, network, record, proof, confidence };
                        ghosts.entry(&record.service).or_default().push(ghost);
                    }
                    Verdict::TooEarly => out.inconclusive(
                        Subject::Service(record.service.clone()),
                        too_early(&record.service, &expected),
                    ),
                }
            }
        }
    }
    for (service, ghosts) in ghosts {
        report(service, &ghosts, &expected, out);
    }
    Ok(())
}

/// A stale record, and what shows that it is stale.
struct Ghost<'a> {
    host: &'a Host,
    networks: &'a Seen<Vec<Network>>,
    network: &'a Network,
    record: &'a EndpointRecord,
    proof: String,
    confidence: Confidence,
}

enum Verdict {
    Live,
    Ghost(String, Confidence),
    TooEarly,
}

fn verdict(
    record: &EndpointRecord,
    host: &Host,
    network: &Network,
    nodes: &BTreeSet<IpAddr>,
    expected: &Expected<'_>,
) -> Verdict {
    let Some(id) = record.task() else { return Verdict::Live };
    let gone_node = record.host.filter(|addr| !nodes.contains(addr));
    let node = gone_node.map(|addr| format!("; no node has the address {addr}")).unwrap_or_default();
    let service = expected.services.iter().find(|service| service.name == record.service);
    // Where no task of the service runs, a stale record does no additional harm.
    if service.is_some_and(|service| !expected.settled(host).any(|task| task.service == service.id)) {
        return Verdict::Live;
    }
    let confidence = if gone_node.is_some() { Confidence::High } else { Confidence::Medium };
    if let Some(task) = expected.task(&id) {
        // The engine of a node that is not Ready may still run what the managers gave up; a rejected task had no
        // endpoint.
        let is_over = !is_live(task) && task.state != "rejected";
        if !is_over || expected.ready_node(task.node.as_ref()).is_none() {
            return Verdict::Live;
        }
        let seconds = lasted(task.since, host);
        if seconds < SETTLED_SECONDS {
            return Verdict::TooEarly;
        }
        return Verdict::Ghost(
            format!("task {id} has been {} for {seconds} s{node}", task.state),
            confidence,
        );
    }
    match service {
        _ if !expected.covers(host) => Verdict::TooEarly,
        Some(service) if !expected.is_settled(service, host) => Verdict::TooEarly,
        Some(_) => Verdict::Ghost(format!("no task {id} in the task list{node}"), confidence),
        // The time of the removal is not known: the containers may still be stopping.
        None if gone_node.is_none() || is_peer(gone_node, network) => Verdict::TooEarly,
        None => {
            let proof = format!("no service {} and no task {id}{node}", record.service);
            Verdict::Ghost(proof, Confidence::Medium)
        }
    }
}

fn is_peer(addr: Option<IpAddr>, network: &Network) -> bool {
    network.peers.iter().flatten().any(|peer| Some(peer.addr) == addr)
}

fn too_early(service: &str, expected: &Expected<'_>) -> Gap {
    let reason = format!(
        "{service} changed less than {SETTLED_SECONDS} s ago, or the time of its change is not known"
    );
    Gap { source: expected.tasks.source.clone(), why: Why::NotAsked { reason } }
}

fn report(service: &str, ghosts: &[Ghost<'_>], expected: &Expected<'_>, out: &mut Findings<'_>) {
    let hosts: BTreeSet<&NodeName> = ghosts.iter().map(|ghost| &ghost.host.name).collect();
    let hosts: Vec<&str> = hosts.into_iter().map(NodeName::as_str).collect();
    let addrs: BTreeSet<String> =
        ghosts.iter().map(|ghost| format!("{} on {}", ghost.record.addr, ghost.network.name)).collect();
    let what = match addrs.len() {
        1 => format!("an endpoint of {service} that does not exist any more"),
        many => format!("{many} endpoints of {service} that do not exist any more"),
    };
    let addrs: Vec<String> = addrs.into_iter().collect();
    let summary = format!("service discovery of {} has {what}: {}", hosts.join(", "), addrs.join(", "));
    let record = |ghost: &Ghost<'_>| {
        let Ghost { host, network, record, proof, .. } = ghost;
        let on = record.host.map(|addr| format!(", Host IP {addr}")).unwrap_or_default();
        let text =
            format!("{}: {} on {}: {}{on}: {proof}", host.name, record.name, network.name, record.addr);
        Evidence::value(ghost.networks, text)
    };
    let mut shown = ghosts.iter().take(SHOWN).map(record);
    let Some(first) = shown.next() else { return };
    let finding = out.report(Subject::Service(service.to_owned()), summary, first);
    for more in shown {
        finding.with(more);
    }
    let confidence = ghosts.iter().map(|ghost| ghost.confidence).max().unwrap_or(Confidence::Medium);
    finding.confidence(confidence).on_nodes(ghosts.iter().map(|ghost| ghost.host.name.clone()));
    let network = ghosts.first().map_or("", |ghost| ghost.network.name.as_str());
    // The owner of a record deletes it. Without an owner each node that has the record reads it again from the others.
    let owner =
        ghosts.iter().find_map(|ghost| expected.ready_node_at(ghost.record.host?)).map(|node| &node.name);
    let holders: Vec<NodeName> = match owner {
        Some(owner) => vec![owner.clone()],
        None => hosts.iter().map(|host| NodeName((*host).to_owned())).collect(),
    };
    let restarted = holders.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ");
    let restart = holders.iter().map(|node| Step::Manual {
        node: node.clone().into(),
        text: format!("if the record is still there, restart the engine; the tasks of {node} restart"),
        commands: vec![
            format!("docker network inspect --verbose {}", shell_quote(network)),
            "systemctl restart docker".into(),
        ],
    });
    let exists = expected.services.iter().any(|it| it.name == service);
    let replace = exists.then(|| Step::Manual {
        node: Target::AnyManager,
        text: format!("replace the tasks of {service}, so that the nodes exchange its records again"),
        commands: vec![format!("docker service update --force {}", shell_quote(service))],
    });
    let (title, impact) = if exists {
        (
            format!("Replace the tasks of {service}"),
            format!("The tasks of {service} restart, one after the other."),
        )
    } else {
        (format!("Restart the engine of {restarted}"), format!("The tasks of {restarted} restart."))
    };
    finding.remedy(Remedy {
        title: title.into(),
        risk: Risk::Disruptive,
        impact: impact.into(),
        steps: replace.into_iter().chain(restart).collect(),
    });
}
