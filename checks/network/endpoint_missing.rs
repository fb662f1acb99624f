use crate::model::engine_version::EngineVersion;
use crate::model::service_discovery::{Expected, addresses, by_service, lasted, settled_overlays};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::network::{EndpointRecord, Network};
use facts::service::Task;
use facts::{Host, NodeName, Seen};
use std::collections::{BTreeMap, BTreeSet};

check! {
    /// A running task is missing in the service discovery of a node.
    ///
    /// ## Why it matters
    /// Each node answers DNS questions and balances VIPs from its own copy of NetworkDB. A task that is missing there
    /// gets no connections from this node. If all tasks of a service are missing, its name ends with NXDOMAIN, although
    /// the tasks run, are healthy and answer at their addresses. Engines 29.0 to 29.7.2 forget the records of a node
    /// that gossip lost for some seconds, and do not accept them again after the node came back.
    ///
    /// ## How to fix it
    /// Replace the tasks of the service with `docker service update --force`: new tasks get new records. Upgrade the
    /// engine if its version has this fault.
    ///
    /// ## When it is wrong
    /// While a task starts. Only tasks that have been running for a minute, on nodes that are Ready, are expected.
    ///
    /// Source: moby#53141, moby#53142, moby#50129; moby `daemon/libnetwork/agent.go`, `Services`.
    "network/endpoint-missing": Error, "a running task is missing in the service discovery of a node";
    healthy "service discovery has every running task";
    needs Networks, Tasks, Services, Nodes, Version;
    caused_by "network/gossip-port-blocked", "network/gossip-join-failed", "network/gossip-partition", "network/peer-unreachable",
        "swarm/session-failed", "swarm/foreign-gossip";
    for each Cluster: run
}

/// How many tasks are in the evidence.
const SHOWN: usize = 5;

/// A task without a record on a node.
struct Missing<'a> {
    host: &'a Host,
    networks: &'a Seen<Vec<Network>>,
    network: &'a Network,
    task: &'a Task,
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let expected = Expected::of(view)?;
    let mut missing: BTreeMap<&str, Vec<Missing<'_>>> = BTreeMap::new();
    for host in &view.snapshot.hosts {
        let networks = match host.networks.get() {
            Ok(networks) => networks,
            Err(gap) => {
                out.inconclusive(Subject::Node(host.name.clone()), gap);
                continue;
            }
        };
        if !expected.covers(host) {
            continue;
        }
        for (network, records) in settled_overlays(host, networks) {
            // Without peers this node has left the network, or has not joined it yet.
            if network.peers.iter().flatten().next().is_none() {
                continue;
            }
            let absent = expected.running_on(network, host).filter(|task| !has_record(task, records));
            for (service, tasks) in by_service(absent, &expected) {
                let found = tasks.into_iter().map(|task| Missing { host, networks, network, task });
                missing.entry(service).or_default().extend(found);
            }
        }
    }
    for (service, missing) in missing {
        report(service, &missing, &expected, view, out);
    }
    Ok(())
}

pub(super) fn has_record(task: &Task, records: &[EndpointRecord]) -> bool {
    records
        .iter()
        .any(|record| record.task().as_ref() == Some(&task.id) || task.addresses.contains(&record.addr))
}

fn report(
    service: &str,
    missing: &[Missing<'_>],
    expected: &Expected<'_>,
    view: &View<'_>,
    out: &mut Findings<'_>,
) {
    let hosts: BTreeSet<&NodeName> = missing.iter().map(|it| &it.host.name).collect();
    let hosts: Vec<&str> = hosts.into_iter().map(NodeName::as_str).collect();
    let tasks: BTreeSet<_> = missing.iter().map(|it| &it.task.id).collect();
    let of_service = |task: &&Task| {
        task.state == "running" && expected.service_of(task).is_some_and(|it| it.name == service)
    };
    let running = expected.tasks.iter().filter(of_service).count();
    let nodes: BTreeSet<NodeName> =
        missing.iter().filter_map(|it| Some(node(it, expected)?.name.clone())).collect();
    let on: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
    let summary = format!(
        "service discovery of {} lacks {} of {running} running tasks of {service}, on {}",
        hosts.join(", "),
        tasks.len(),
        on.join(", ")
    );
    let absent = |it: &Missing<'_>| {
        let addrs: Vec<String> = it.task.addresses_on(&it.network.id).map(|addr| addr.to_string()).collect();
        let node = node(it, expected).map(|node| format!(" on {}", node.name)).unwrap_or_default();
        let what = format!(
            "{}: record of task {}{node}, {}, in Services.{service}.Tasks of {}",
            it.host.name,
            it.task.id,
            addrs.join(", "),
            it.network.name
        );
        Evidence::absent(it.networks, what)
    };
    let mut shown = missing.iter().take(SHOWN).map(absent);
    let Some(first) = shown.next() else { return };
    let finding = out.report(Subject::Service(service.to_owned()), summary, first);
    for more in shown {
        finding.with(more);
    }
    if let Some(Missing { host, task, .. }) = missing.first() {
        let text = format!("task {}: running for {} s", task.id, lasted(task.since, host));
        finding.with(Evidence::value(expected.tasks, text));
    }
    for it in missing.iter().take(1) {
        let Some(node) = node(it, expected) else { continue };
        let known =
            it.network.peers.iter().flatten().any(|peer| addresses(node).any(|addr| addr == peer.addr));
        if !known {
            let what = format!("{}: {} in Peers of {}", it.host.name, node.name, it.network.name);
            finding.with(Evidence::absent(it.networks, what));
        }
    }
    let affected = view.snapshot.hosts.iter().find_map(|host| {
        let version = host.version.get().ok()?;
        forgets_failed_nodes(&version.engine).then_some(version)
    });
    if let Some(version) = affected {
        finding.with(Evidence::value(
            version,
            format!("engine {}: has the fault of moby#53141", version.engine),
        ));
    }
    finding.on_nodes(missing.iter().map(|it| it.host.name.clone()).chain(nodes));
    let upgrade = affected.map(|version| Step::Manual {
        node: Target::EachNode,
        text: format!(
            "upgrade the engine: {} loses records of a node that gossip does not reach for some seconds",
            version.engine
        ),
        commands: Vec::new(),
    });
    let replace = Step::Manual {
        node: Target::AnyManager,
        text: format!("replace the tasks of {service}: each new task is announced to all nodes"),
        commands: vec![format!("docker service update --force {}", shell_quote(service))],
    };
    finding.remedy(Remedy {
        title: format!("Replace the tasks of {service}").into(),
        risk: Risk::Disruptive,
        impact: format!("The tasks of {service} restart, one after the other.").into(),
        steps: std::iter::once(replace).chain(upgrade).collect(),
    });
}

fn node<'a>(missing: &Missing<'_>, expected: &Expected<'a>) -> Option<&'a facts::swarm::Node> {
    expected.ready_node(missing.task.node.as_ref())
}

/// Whether NetworkDB of this engine forgets the networks of a node that failed for a moment (moby#53141).
pub(super) fn forgets_failed_nodes(version: &str) -> bool {
    let affected = EngineVersion(29, 0, 0)..=EngineVersion(29, 7, 2);
    EngineVersion::parse(version).is_some_and(|version| affected.contains(&version))
}

#[cfg(test)]
mod tests {
    use super::forgets_failed_nodes;

    #[test]
    fn the_versions_with_the_fault_are_recognised() {
        for version in ["29.0.0", "29.6.2", "29.7.2", "29.0.0-rc.1"] {
            assert!(forgets_failed_nodes(version), "{version}");
        }
        for version in ["28.5.2", "20.10.24+dfsg1", "29.8.0", "30.0.0", ""] {
            assert!(!forgets_failed_nodes(version), "{version}");
        }
    }
}
