use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::Host;
use facts::network::Network;
use std::collections::BTreeMap;

check! {
    /// Several networks have the same name.
    ///
    /// ## Why it matters
    /// A command or a stack file that refers to the name fails ("network NAME is ambiguous"), or takes one of the networks:
    /// services that should share a network are then on different ones and cannot resolve each other. Two ingress networks
    /// make published ports work on some nodes only.
    ///
    /// ## How to fix it
    /// Find the network that is in use, and remove the other one by its id.
    ///
    /// ## When it is wrong
    /// If services and containers refer to the networks by id only.
    ///
    /// Source: moby `daemon/cluster/networks.go`, `daemon/network.go` (`FindNetwork`); moby#18864.
    "network/duplicate-name": Warning, "several networks have the same name";
    healthy "the names of the networks are unique";
    needs Networks, Services;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    let services = view.snapshot.services.get();
    let mut by_name: BTreeMap<&str, Vec<&Network>> = BTreeMap::new();
    for network in networks.iter().filter(|network| !network.name.is_empty()) {
        let name = if network.ingress { "ingress" } else { network.name.as_str() };
        by_name.entry(name).or_default().push(network);
    }
    for (name, same) in by_name.into_iter().filter(|(_, same)| same.len() > 1) {
        // Two local networks of one name concern this host alone, and swarm does not use them.
        if same.iter().all(|network| network.scope != "swarm") {
            continue;
        }
        let ingress = same.iter().all(|network| network.ingress);
        let ids: Vec<_> =
            same.iter().map(|network| network.id.as_str().get(..12).unwrap_or("").to_owned()).collect();
        let kind = if ingress { "ingress networks" } else { "networks" };
        let summary = format!("{} {kind} have the name {name}: {}", same.len(), ids.join(", "));
        let shown = |network: &&Network| {
            format!(
                "{} {} driver {} scope {}{}",
                network.id,
                network.name,
                network.driver,
                network.scope,
                if network.endpoints.is_empty() { ", no endpoint here" } else { ", in use here" }
            )
        };
        let mut evidence = same.iter().map(|network| Evidence::value(networks, shown(network)));
        let Some(first) = evidence.next() else { continue };
        let finding = out.report(Subject::Network(name.to_owned()), summary, first);
        let finding = evidence.fold(finding, crate::Finding::with);
        finding.also_affects(Subject::Node(host.name.clone()));
        if ingress {
            finding.severity(Severity::Error);
        }
        for service in services.iter().flat_map(|services| services.iter()) {
            if service.networks.iter().any(|used| used == name) {
                finding.also_affects(Subject::Service(service.name.clone()));
            }
        }
        finding.confidence(Confidence::High).remedy(Remedy {
            title: format!("Remove the unused network with the name {name}").into(),
            risk: Risk::Manual,
            impact: "tasks on the network that is kept are not affected".into(),
            steps: vec![Step::Manual {
                node: host.name.clone().into(),
                text: "find the network that no service and no container uses, and remove it by its id"
                    .into(),
                commands: ids
                    .iter()
                    .map(|id| format!("docker network inspect --verbose {}", shell_quote(id)))
                    .chain(["docker network rm ID".to_owned()])
                    .collect(),
            }],
        });
    }
    Ok(())
}
