use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::network::Network;
use facts::service::{Service, Task};
use std::collections::BTreeSet;

check! {
    /// A macvlan or ipvlan network of the swarm assigns addresses on several nodes from the same range.
    ///
    /// ## Why it matters
    /// Every node assigns the addresses of such a network by itself and does not know the addresses of the other nodes. With
    /// the same range on each node, two tasks get the same address, and their connections break at random.
    ///
    /// ## How to fix it
    /// Give each node a separate range: create the `--config-only` network on each node with another `--ip-range`.
    ///
    /// ## When it is wrong
    /// If the ranges of the nodes do not overlap, and only this node could be examined. The check needs a manager for the
    /// list of tasks; the ranges of other nodes are only visible in a merged run.
    ///
    /// Source: Docker docs "Macvlan network driver"; moby#49921; moby `daemon/cluster/networks.go`.
    "network/macvlan-shared-range": Warning, "several nodes assign macvlan addresses from the same range";
    healthy "every node has a separate range for macvlan networks";
    needs Networks, Services, Tasks, Nodes;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    let tasks = view.snapshot.tasks.get()?;
    let nodes = view.snapshot.nodes.get()?;
    let mut judged = BTreeSet::new();
    for host in &view.snapshot.hosts {
        let networks = match host.networks.get() {
            Ok(networks) => networks,
            Err(gap) => {
                out.inconclusive(Subject::Node(host.name.clone()), gap);
                continue;
            }
        };
        let swarm_wide = |network: &&Network| {
            network.scope == "swarm" && matches!(network.driver.as_str(), "macvlan" | "ipvlan")
        };
        for network in
            networks.iter().filter(swarm_wide).filter(|network| judged.insert(network.name.clone()))
        {
            let uses = |service: &&Service| {
                service.networks.iter().any(|name| *name == network.name || *name == network.id.0)
            };
            let users: Vec<&Service> = services.iter().filter(uses).collect();
            let runs = |task: &&Task| {
                task.state == "running" && users.iter().any(|service| service.id == task.service)
            };
            let on: BTreeSet<_> = tasks.iter().filter(runs).filter_map(|task| task.node.clone()).collect();
            let ranges = ranges(view, network);
            if on.len() < 2 || is_separate(&ranges) {
                continue;
            }
            let names: Vec<_> =
                nodes.iter().filter(|node| on.contains(&node.id)).map(|node| node.name.to_string()).collect();
            let what = match ranges.first() {
                Some((_, range)) => format!("every node assigns addresses from {range} by itself"),
                None => "every node assigns its addresses by itself".to_owned(),
            };
            let summary = format!(
                "the {} network {} has tasks on {}, and {what}",
                network.driver,
                network.name,
                names.join(", ")
            );
            let shown = format!("{}: driver {}, scope {}", network.name, network.driver, network.scope);
            let finding =
                out.report(Subject::Network(network.name.clone()), summary, Evidence::value(networks, shown));
            for (name, range) in &ranges {
                finding.with(Evidence::value(networks, format!("{name}: {range}")));
            }
            for service in &users {
                finding.also_affects(Subject::Service(service.name.clone()));
            }
            finding.confidence(Confidence::Medium).remedy(remedy(host, network));
        }
    }
    Ok(())
}

/// The range of the network on each examined node: the IP range, otherwise the subnet.
fn ranges(view: &View<'_>, network: &Network) -> Vec<(String, String)> {
    let mut ranges = Vec::new();
    for host in &view.snapshot.hosts {
        let Ok(networks) = host.networks.get() else { continue };
        let own = networks.iter().find(|other| other.name == network.name).unwrap_or(network);
        let config =
            own.config_from.as_ref().and_then(|name| networks.iter().find(|other| other.name == *name));
        let source = config.unwrap_or(own);
        if let Some(range) = source.ip_ranges.first().or(source.subnets.first()) {
            ranges.push((host.name.to_string(), range.clone()));
        }
    }
    ranges
}

/// Whether the examined nodes have different ranges. A single node with a separate range is taken as one of several.
fn is_separate(ranges: &[(String, String)]) -> bool {
    let different: BTreeSet<_> = ranges.iter().map(|(_, range)| range).collect();
    different.len() == ranges.len() && ranges.len() > 1
}

fn remedy(host: &Host, network: &Network) -> Remedy {
    let name = crate::remedy::shell_quote(&network.name);
    Remedy {
        title: format!("Give each node a separate IP range for {}", network.name).into(),
        risk: Risk::Disruptive,
        impact: "the tasks on the network restart with other addresses".into(),
        steps: vec![
            Step::Manual {
                node: host.name.clone().into(),
                text: "on each node: create a config-only network with another range".into(),
                commands: vec![format!(
                    "docker network create --config-only --subnet SUBNET --gateway GATEWAY --ip-range RANGE-OF-THIS-NODE -o \
                     parent=INTERFACE {name}-config"
                )],
            },
            Step::Manual {
                node: host.name.clone().into(),
                text: "on a manager: re-create the network from it".into(),
                commands: vec![
                    format!("docker network rm {name}"),
                    format!(
                        "docker network create --driver {} --scope swarm --config-from {name}-config {name}",
                        network.driver
                    ),
                ],
            },
        ],
    }
}
