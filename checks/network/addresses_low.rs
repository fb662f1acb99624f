use crate::model::address_demand::{Demand, larger_subnet};
use crate::{Evidence, Findings, Judged, Subject, View};
use facts::Host;

check! {
    /// An overlay has only a few free addresses.
    ///
    /// ## Why it matters
    /// Each task, each VIP and each load balancer on the overlay needs an address. A rolling update with `start-first` needs
    /// more addresses for a time, and addresses of removed tasks are released later. When none is free, tasks are rejected.
    ///
    /// ## How to fix it
    /// Plan a larger subnet: create a second network with a larger subnet and move the services to it, or use
    /// `endpoint_mode: dnsrr`, which needs no VIPs.
    ///
    /// ## When it is wrong
    /// If the services on the network never grow. The threshold is configurable (`network/addresses-low = "80%"`).
    ///
    /// Source: swarmkit `manager/allocator/cnmallocator`; Docker docs "Manage swarm service networks".
    "network/addresses-low": Warning, "an overlay has few free addresses";
    healthy "every overlay has enough free addresses";
    needs Networks, Services, Nodes;
    caused_by "network/addresses-exhausted";
    for each Host: run
}

/// The used part in percent from which it is reported, unless configured.
const DEFAULT_PERCENT: u8 = 80;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    let services = view.snapshot.services.get()?;
    let nodes = view.snapshot.nodes.get()?.len() as u64;
    let threshold = u64::from(view.thresholds.addresses_used_percent.unwrap_or(DEFAULT_PERCENT));
    let overlays = networks.iter().filter(|network| network.driver == "overlay");
    for demand in overlays.filter_map(|network| Demand::of(network, services, nodes)) {
        // A network whose addresses are exhausted has a separate finding once a task is rejected.
        if demand.tasks == 0
            || demand.needed().saturating_mul(100) < demand.capacity.saturating_mul(threshold)
        {
            continue;
        }
        let network = demand.network;
        let summary = format!(
            "network {} ({}) has {} free addresses: {}",
            network.name,
            network.subnets.join(", "),
            demand.free().max(0),
            demand.describe()
        );
        let config = format!("{}: IPAM.Config has Subnet {}", network.name, network.subnets.join(", "));
        let names: Vec<_> = demand.services.iter().map(|service| service.name.as_str()).collect();
        out.report(Subject::Network(network.name.clone()), summary, Evidence::value(networks, config))
            .with(Evidence::value(services, format!("services on {}: {}", network.name, names.join(", "))))
            .remedy(larger_subnet(host, network, networks));
    }
    Ok(())
}
