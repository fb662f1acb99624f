use crate::model::address_demand::{Demand, NO_ADDRESS, larger_subnet, uses};
use crate::{Evidence, Findings, Judged, Subject, View};
use facts::Host;
use facts::service::{Service, Task};

check! {
    /// An overlay has fewer addresses than its tasks, services and nodes need.
    ///
    /// ## Why it matters
    /// On an overlay each task needs an address, each service a VIP, and each node with such a task one for its load
    /// balancer. If none is free, tasks are rejected or stay New, and the messages hardly mention addresses.
    ///
    /// ## How to fix it
    /// Re-create the network with a larger subnet, or use `endpoint_mode: dnsrr`, which needs no VIPs. Scaling down helps
    /// only after some time.
    ///
    /// ## When it is wrong
    /// Directly after tasks were scaled down, until their addresses are released.
    ///
    /// Source: swarmkit `manager/allocator`; moby `daemon/cluster/executor/container/executor.go`.
    "network/addresses-exhausted": Error, "an overlay has no free address";
    healthy "every overlay has a free address for each task";
    needs Networks, Services, Tasks, Nodes;
    for each Host: run
}

/// A rejected task is replaced every few seconds, until so many addresses are reserved for rejected tasks that the next
/// ones stay New without a message.
const FRESH_SECONDS: i64 = 120;

/// How many seconds a task may be New.
const NEW_SECONDS: i64 = 10;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    let services = view.snapshot.services.get()?;
    let tasks = view.snapshot.tasks.get()?;
    let nodes = view.snapshot.nodes.get()?.len() as u64;
    let now = view.snapshot.taken.as_second();
    let age = |task: &Task| task.since.map_or(i64::MAX, |at| now - at.as_second());
    let failed = |task: &&Task| {
        age(task) <= FRESH_SECONDS && NO_ADDRESS.iter().any(|words| task.error.contains(words))
    };
    let waits = |task: &&Task| task.state == "new" && task.desired == "running" && age(task) >= NEW_SECONDS;
    let running = |service: &Service| {
        tasks.iter().filter(|task| task.service == service.id && task.state == "running").count() as u64
    };
    let overlays = networks.iter().filter(|network| network.driver == "overlay");
    let demands: Vec<_> = overlays.filter_map(|network| Demand::of(network, services, nodes)).collect();
    for demand in demands.iter().filter(|demand| demand.is_full()) {
        let network = demand.network;
        let lacks = |service: &&&Service| running(service) < service.replicas.unwrap_or(nodes);
        let short: Vec<_> = demand.services.iter().filter(lacks).collect();
        let of_short = |task: &&Task| short.iter().any(|service| service.id == task.service);
        let shares = |other: &Demand<'_>| short.iter().any(|service| uses(service, other.network));
        let is_tightest = !demands.iter().any(|other| other.free() < demand.free() && shares(other));
        let rejected = tasks.iter().filter(of_short).find(failed).filter(|_| is_tightest);
        let Some(task) = rejected.or(tasks.iter().filter(of_short).find(waits)) else { continue };
        let names: Vec<_> = short.iter().map(|service| service.name.as_str()).collect();
        let summary = format!(
            "network {} ({}) has no free address for tasks of {}: {}",
            network.name,
            network.subnets.join(", "),
            names.join(", "),
            demand.describe(),
        );
        let error = if task.error.is_empty() { "no error" } else { task.error.as_str() };
        let shown = format!("task {} is {}: {error}", task.id, task.state);
        let finding =
            out.report(Subject::Network(network.name.clone()), summary, Evidence::value(tasks, shown));
        let config = format!("{}: IPAM.Config has Subnet {}", network.name, network.subnets.join(", "));
        finding.with(Evidence::value(networks, config));
        for service in &short {
            finding.also_affects(Subject::Service(service.name.clone()));
        }
        finding.remedy(larger_subnet(host, network, networks));
    }
    Ok(())
}
