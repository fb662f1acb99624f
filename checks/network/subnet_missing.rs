use super::free_subnet::free_subnet;
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::network::Network;

check! {
    /// The swarm gave a network no subnet, so no task on it ever starts.
    ///
    /// ## Why it matters
    /// `docker network create` succeeds whatever subnet it is given. If the subnet overlaps that of another overlay,
    /// or the swarm's address pool has none left, the leader cannot make the network: tasks on it stay New for ever,
    /// without an error.
    ///
    /// ## How to fix it
    /// Remove the network and make it anew with a subnet that no other network has.
    ///
    /// ## When it is wrong
    /// While the swarm is without a leader, or in the very second in which the network is made.
    ///
    /// Source: swarmkit `manager/allocator/network.go`.
    "network/subnet-missing": Error, "the swarm gave a network no subnet";
    needs Networks, Services, EngineLog;
    caused_by "swarm/lost-quorum";
    for each Host: run
}

/// How long the leader may take.
const ALLOCATION_SECONDS: i64 = 10;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    let young = |network: &Network| {
        let now = view.snapshot.taken.as_second();
        network.created.is_some_and(|created| now - created.as_second() < ALLOCATION_SECONDS)
    };
    // An overlay that was made has a subnet; one that was not has not even a driver.
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
        let said = log.iter().find_map(|log| {
            let of_it =
                |line: &&facts::log::Line| line.message.contains(&format!("for network {}", network.id));
            Some((log, log.lines.iter().rev().find(of_it)?))
        });
        let reason = match said.and_then(|(_, line)| line.fields.get("error")) {
            Some(error) => format!(": {error}"),
            None => ": its subnet overlaps that of another, or the address pool has none left".to_owned(),
        };
        let stay = match waiting.is_empty() {
            true => String::new(),
            false => format!("; tasks of {} stay New", waiting.join(", ")),
        };
        let summary = format!("the swarm could give the network {} no subnet{reason}{stay}", network.name);
        let first = Evidence::absent(networks, format!("{}: IPAM.Config is empty", network.name));
        let finding = out.report(Subject::Network(network.name.clone()), summary, first);
        match said {
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
    let text = "on a manager: take down what uses the network, and make it anew with a subnet that nobody has, such as \
                this one";
    let commands = vec![
        format!("docker network rm {name}"),
        format!("docker network create --driver overlay --subnet {} {name}", free_subnet(all, &[], 24)),
    ];
    Remedy {
        title: format!("Give {} a subnet that is free", network.name).into(),
        risk: Risk::Safe,
        impact: "nothing runs on the network yet".into(),
        steps: vec![Step::Manual { node: host.name.clone(), text: text.into(), commands }],
    }
}
