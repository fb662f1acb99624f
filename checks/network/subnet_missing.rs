use crate::model::free_subnet::free_subnet;
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::network::Network;

check! {
    /// The swarm assigned no subnet to a network, so that no task on the network ever starts.
    ///
    /// ## Why it matters
    /// `docker network create` succeeds with any subnet. If the subnet overlaps the subnet of another overlay, or if the
    /// address pool of the swarm is exhausted, the leader cannot allocate the network: its tasks stay New permanently,
    /// without an error.
    ///
    /// ## How to fix it
    /// Remove the network and create it again with a subnet that no other network uses.
    ///
    /// ## When it is wrong
    /// While the swarm has no leader, or in the first seconds after the network was created.
    ///
    /// Source: swarmkit `manager/allocator/network.go`.
    "network/subnet-missing": Error, "the swarm assigned no subnet to a network";
    healthy "every overlay has a subnet";
    needs Networks, Services, EngineLog;
    caused_by "swarm/lost-quorum";
    for each Host: run
}

/// How many seconds the allocation may take.
const ALLOCATION_SECONDS: i64 = 10;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    let young = |network: &Network| {
        let now = view.snapshot.taken.as_second();
        network.created.is_some_and(|created| now - created.as_second() < ALLOCATION_SECONDS)
    };
    // A network that was not allocated has neither a subnet nor a driver.
    let lacks = |network: &&Network| {
        network.scope == "swarm"
            && matches!(network.driver.as_str(), "overlay" | "")
            && network.subnets.is_empty()
    };
    for network in networks.iter().filter(lacks).filter(|network| !young(network)) {
        let services = view.snapshot.services.get();
        let asks = |name: &String| *name == network.name || *name == network.id.0;
        let waiting: Vec<_> = services
            .iter()
            .flat_map(|services| services.iter())
            .filter(|service| service.networks.iter().any(asks))
            .map(|service| service.name.as_str())
            .collect();
        let log = host.log.get();
        let logged = log.iter().find_map(|log| {
            let of_network =
                |line: &&facts::log::Line| line.message.contains(&format!("for network {}", network.id));
            Some((log, log.lines.iter().rev().find(of_network)?))
        });
        let reason = match logged.and_then(|(_, line)| line.fields.get("error")) {
            Some(error) => format!(": {error}"),
            None => ": its subnet overlaps the subnet of another network, or the address pool is exhausted"
                .to_owned(),
        };
        let stay = if waiting.is_empty() {
            String::new()
        } else {
            format!("; tasks of {} stay New", waiting.join(", "))
        };
        let summary = format!("the swarm assigned no subnet to the network {}{reason}{stay}", network.name);
        let first = Evidence::absent(networks, format!("{}: IPAM.Config is empty", network.name));
        let finding = out.report(Subject::Network(network.name.clone()), summary, first);
        match logged {
            Some((log, line)) => drop(finding.with(Evidence::log(log, line))),
            None => drop(finding.confidence(Confidence::Medium)),
        }
        for service in waiting {
            finding.also_affects(Subject::Service(service.to_owned()));
        }
        finding.remedy(remedy(host, network, networks));
    }
    Ok(())
}

fn remedy(host: &Host, network: &Network, all: &[Network]) -> Remedy {
    let name = shell_quote(&network.name);
    let text = "on a manager: remove the services that use the network, then re-create the network with a free subnet, such as \
                this one";
    let commands = vec![
        format!("docker network rm {name}"),
        format!("docker network create --driver overlay --subnet {} {name}", free_subnet(all, &[], 24)),
    ];
    Remedy {
        title: format!("Re-create {} with a free subnet", network.name).into(),
        risk: Risk::Safe,
        impact: "no task runs on the network".into(),
        steps: vec![Step::Manual { node: host.name.clone().into(), text: text.into(), commands }],
    }
}
