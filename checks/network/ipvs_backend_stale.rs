use crate::model::service_discovery::{Expected, is_live};
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::host::{Backend, Sandbox};
use facts::network::Network;
use facts::{Host, Seen};
use std::collections::BTreeSet;
use std::net::IpAddr;

check! {
    /// The IPVS table of a load balancer on a node has a backend without a task, or lacks a running task.
    ///
    /// ## Why it matters
    /// The table decides where connections to a VIP or a published port go. A stale backend gets its share of the connections,
    /// which then hang, fail, or reach another service that has the address now. A task that is missing gets none. It shows as
    /// requests of which every n-th fails, from clients on one node only.
    ///
    /// ## How to fix it
    /// Replace the tasks of the service, which writes its entries again. If that does not help, restart the engine of the node.
    ///
    /// ## When it is wrong
    /// For some seconds after a task started or ended. Networks with services that changed within the last minute are not judged.
    ///
    /// Source: moby#30134, #26772, #28836, #42833; moby `libnetwork/service_linux.go`, `addLBBackend`, `rmLBBackend`.
    "network/ipvs-backend-stale": Error, "a load balancer has backends that differ from the running tasks";
    healthy "the load balancers have the running tasks as their backends";
    needs Sysctls, Networks, Tasks, Services, Nodes;
    caused_by "network/ghost-endpoint", "network/endpoint-missing", "network/duplicate-address", "network/gossip-partition",
        "network/gossip-port-blocked", "host/ipvs-missing";
    for each Cluster: run
}

/// How many addresses are in the evidence.
const SHOWN: usize = 5;

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let expected = Expected::of(view)?;
    for host in &view.snapshot.hosts {
        let subject = || Subject::Node(host.name.clone());
        let (sandboxes, networks) = match (host.sandboxes.get(), host.networks.get()) {
            (Ok(sandboxes), Ok(networks)) => (sandboxes, networks),
            (Err(gap), _) | (_, Err(gap)) => {
                out.inconclusive(subject(), gap);
                continue;
            }
        };
        if !expected.covers(host) {
            continue;
        }
        for sandbox in sandboxes.iter() {
            let Some(backends) = sandbox.backends.as_deref().filter(|backends| !backends.is_empty()) else {
                continue;
            };
            if let Some(network) = networks.iter().find(|network| is_of(sandbox, network)) {
                compare(host, sandbox, network, backends, sandboxes, &expected, out);
            }
        }
    }
    Ok(())
}

/// Whether the namespace balances the services of the network: it is named after the begin of the network's id.
fn is_of(sandbox: &Sandbox, network: &Network) -> bool {
    match sandbox.name.strip_prefix("lb_") {
        Some(begin) => !begin.is_empty() && network.id.as_str().starts_with(begin),
        None => network.ingress && sandbox.name == "ingress_sbox",
    }
}

fn compare(
    host: &Host,
    sandbox: &Sandbox,
    network: &Network,
    backends: &[Backend],
    sandboxes: &Seen<Vec<Sandbox>>,
    expected: &Expected<'_>,
    out: &mut Findings<'_>,
) {
    let balanced: Vec<_> = expected
        .services
        .iter()
        .filter(|service| service.vips.iter().any(|(of, _)| *of == network.id))
        .collect();
    // What changes is compared by the next run.
    if !balanced.iter().all(|service| expected.is_settled(service, host)) {
        return;
    }
    let live: BTreeSet<IpAddr> = expected
        .tasks
        .iter()
        .filter(|task| is_live(task))
        .flat_map(|task| task.addresses_on(&network.id))
        .collect();
    let stale: BTreeSet<IpAddr> = backends
        .iter()
        .filter(|backend| backend.weight > 0 && !live.contains(&backend.addr))
        .map(|backend| backend.addr)
        .collect();
    let known: BTreeSet<IpAddr> = backends.iter().map(|backend| backend.addr).collect();
    let lacking: Vec<(&str, IpAddr)> = expected
        .running_on(network, host)
        .filter_map(|task| balanced.iter().find(|service| service.id == task.service).map(|it| (task, it)))
        .flat_map(|(task, service)| task.addresses_on(&network.id).map(|addr| (service.name.as_str(), addr)))
        .filter(|(_, addr)| !known.contains(addr))
        .collect();
    let shown = |addrs: &mut dyn Iterator<Item = IpAddr>| {
        addrs.take(SHOWN).map(|addr| addr.to_string()).collect::<Vec<_>>().join(", ")
    };
    let place = &sandbox.name;
    let (summary, first) = if !stale.is_empty() {
        let addrs = shown(&mut stale.iter().copied());
        let count = stale.len();
        let summary = format!(
            "the load balancer of {} on {} has {count} backends without a task: {addrs}",
            network.name, host.name
        );
        (summary, Evidence::value(sandboxes, format!("{place}: real servers {addrs}")))
    } else if !lacking.is_empty() {
        let addrs = shown(&mut lacking.iter().map(|(_, addr)| *addr));
        let summary = format!(
            "the load balancer of {} on {} lacks {} running tasks: {addrs}",
            network.name,
            host.name,
            lacking.len()
        );
        (summary, Evidence::absent(sandboxes, format!("real servers {addrs} in {place}")))
    } else {
        return;
    };
    let named: BTreeSet<&str> = lacking.iter().map(|(service, _)| *service).collect();
    let services: Vec<String> = match named.is_empty() {
        true => balanced.iter().map(|service| shell_quote(&service.name)).collect(),
        false => named.into_iter().map(shell_quote).collect(),
    };
    let update = services.iter().take(SHOWN).map(|name| format!("docker service update --force {name}"));
    out.report(Subject::Network(network.name.clone()), summary, first)
        .with(Evidence::value(
            expected.tasks,
            format!("addresses of live tasks on {}: {}", network.name, shown(&mut live.iter().copied())),
        ))
        .confidence(Confidence::Medium)
        .on_nodes([host.name.clone()])
        .remedy(Remedy {
            title: format!("Write the load balancer entries of {} again", network.name).into(),
            risk: Risk::Disruptive,
            impact: "The tasks of the services restart one after the other; a restart of the engine restarts all tasks on the node."
                .into(),
            steps: vec![
                Step::Manual {
                    node: Target::AnyManager,
                    text: "replace the tasks of the services".into(),
                    commands: update.collect(),
                },
                Step::Manual {
                    node: host.name.clone().into(),
                    text: "if the entries are still wrong, restart the engine".into(),
                    commands: vec![host.engine_service().command("restart")],
                },
            ],
        });
}
