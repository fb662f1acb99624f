use crate::model::network_names::network_name;
use crate::model::service_discovery::is_live;
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::network::Network;
use facts::service::{Service, Task};
use facts::{NetworkId, NodeName, Seen};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

check! {
    /// Two tasks, or a task and a VIP, have the same address on one network.
    ///
    /// ## Why it matters
    /// Connections to the address reach one of the two by chance. On an overlay the managers assign addresses; after a
    /// change of the leader or a restored backup they can assign one twice. On a swarm-scoped macvlan or ipvlan network
    /// each node assigns addresses by itself: with the same IP range on all nodes, the first task on every node gets the
    /// same address.
    ///
    /// ## How to fix it
    /// On an overlay, replace the tasks of one service, or give it a new VIP. On macvlan or ipvlan, create the
    /// config-only network of each node again, each with a separate `--ip-range`.
    ///
    /// ## When it is wrong
    /// If one of the two tasks has ended since the facts were collected. Tasks that have ended are not counted.
    ///
    /// Source: moby#33795, moby#33402, moby#41576, moby#49921; swarmkit `manager/allocator`.
    "network/duplicate-address": Error, "two endpoints have the same address on one network";
    healthy "every endpoint has a unique address on its network";
    needs Tasks, Services, Nodes, Networks, Containers;
    caused_by "network/macvlan-shared-range";
    for each Cluster: run
}

/// What has an address.
enum Holder<'a> {
    Task(&'a Task, Option<&'a Service>),
    Vip(&'a Service),
    Container {
        service: &'a str,
        name: &'a str,
        node: &'a NodeName,
        network: &'a Network,
        seen: &'a Seen<Vec<Network>>,
    },
}

impl Holder<'_> {
    fn service(&self) -> Option<&str> {
        match self {
            Self::Task(_, service) => service.map(|service| service.name.as_str()),
            Self::Vip(service) => Some(&service.name),
            Self::Container { service, .. } => Some(*service).filter(|service| !service.is_empty()),
        }
    }

    fn text(&self, view: &View<'_>) -> String {
        match self {
            Self::Task(task, service) => {
                let node = task.node.as_ref().and_then(|id| view.node(id).ok().flatten());
                let node = node.map(|node| format!(" on {}", node.name)).unwrap_or_default();
                let service = service.map_or("an unknown service", |service| service.name.as_str());
                format!("task {} of {service}{node}", task.id)
            }
            Self::Vip(service) => format!("the VIP of {}", service.name),
            Self::Container { name, node, .. } => format!("container {name} on {node}"),
        }
    }
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let mut holders: BTreeMap<(NetworkId, IpAddr), Vec<Holder<'_>>> = BTreeMap::new();
    assigned_by_managers(view, &mut holders, out);
    assigned_by_nodes(view, &mut holders, out);
    for ((network, addr), holders) in &holders {
        if let [first, second, ..] = holders.as_slice() {
            report(network, *addr, holders, (first, second), view, out);
        }
    }
    Ok(())
}

type Holders<'a> = BTreeMap<(NetworkId, IpAddr), Vec<Holder<'a>>>;

/// Addresses on overlays, of live tasks and VIPs.
fn assigned_by_managers<'a>(view: &View<'a>, holders: &mut Holders<'a>, out: &mut Findings<'_>) {
    let (tasks, services) = match (view.snapshot.tasks.get(), view.snapshot.services.get()) {
        (Ok(tasks), Ok(services)) => (tasks, services),
        (Err(gap), _) | (_, Err(gap)) => return out.inconclusive(Subject::Cluster, gap),
    };
    for task in tasks.value.iter().filter(|task| is_live(task)) {
        let service = services.value.iter().find(|service| service.id == task.service);
        for attachment in &task.attachments {
            for addr in &attachment.addresses {
                let key = (attachment.network.clone(), *addr);
                holders.entry(key).or_default().push(Holder::Task(task, service));
            }
        }
    }
    for service in &services.value {
        for (network, vip) in &service.vips {
            holders.entry((network.clone(), *vip)).or_default().push(Holder::Vip(service));
        }
    }
}

/// Addresses on swarm-scoped networks of other drivers, of the containers on the examined nodes.
fn assigned_by_nodes<'a>(view: &View<'a>, holders: &mut Holders<'a>, out: &mut Findings<'_>) {
    for host in &view.snapshot.hosts {
        let (containers, networks) = match (host.containers.get(), host.networks.get()) {
            (Ok(containers), Ok(networks)) => (containers, networks),
            (Err(gap), _) | (_, Err(gap)) => {
                out.inconclusive(Subject::Node(host.name.clone()), gap);
                continue;
            }
        };
        for container in containers.value.iter().filter(|container| container.pid != 0) {
            for attachment in &container.attachments {
                let by_node = |it: &&Network| {
                    it.id == attachment.network
                        && it.scope == "swarm"
                        && !matches!(it.driver.as_str(), "" | "overlay")
                };
                let (Some(network), Some(addr)) = (networks.value.iter().find(by_node), attachment.addr)
                else {
                    continue;
                };
                let holders = holders.entry((network.id.clone(), addr)).or_default();
                let is_same =
                    |it: &Holder<'_>| matches!(it, Holder::Task(task, _) if task.id == container.task);
                if holders.iter().any(is_same) {
                    continue;
                }
                holders.push(Holder::Container {
                    service: &container.service_name,
                    name: &container.name,
                    node: &host.name,
                    network,
                    seen: networks,
                });
            }
        }
    }
}

fn report(
    id: &NetworkId,
    addr: IpAddr,
    holders: &[Holder<'_>],
    (first, second): (&Holder<'_>, &Holder<'_>),
    view: &View<'_>,
    out: &mut Findings<'_>,
) {
    let network = network_name(id.as_str(), view);
    let texts: Vec<String> = holders.iter().map(|holder| holder.text(view)).collect();
    let summary =
        format!("{addr} on {network} is assigned {} times: to {}", holders.len(), texts.join(" and "));
    let evidence = |holder: &Holder<'_>| match holder {
        Holder::Task(..) => {
            let tasks = view.snapshot.tasks.get().ok()?;
            Some(Evidence::value(tasks, format!("{}: {addr} on {network}", holder.text(view))))
        }
        Holder::Vip(_) => {
            let services = view.snapshot.services.get().ok()?;
            Some(Evidence::value(services, format!("{}: {addr} on {network}", holder.text(view))))
        }
        Holder::Container { network, node, seen, .. } => {
            let (subnets, ranges) = assigned_from(network, seen);
            let range = if ranges.is_empty() { "none".into() } else { ranges.join(", ") };
            let text = format!(
                "{}: {addr}; {} on {node}: driver {}, subnet {}, IP range {range}",
                holder.text(view),
                network.name,
                network.driver,
                subnets.join(", ")
            );
            Some(Evidence::value(seen, text))
        }
    };
    let mut shown = holders.iter().filter_map(evidence);
    let Some(proof) = shown.next() else { return };
    let finding = out.report(Subject::Network(network.clone()), summary, proof);
    for more in shown {
        finding.with(more);
    }
    let services: BTreeSet<&str> = holders.iter().filter_map(Holder::service).collect();
    for service in services {
        finding.also_affects(Subject::Service(service.to_owned()));
    }
    finding.remedy(match (first, second) {
        (Holder::Container { network, seen, .. }, _) => {
            separate_ranges(network, assigned_from(network, seen).0)
        }
        (Holder::Vip(service), Holder::Vip(_)) => new_vip(service),
        (Holder::Task(_, service), _) | (_, Holder::Task(_, service)) => {
            new_tasks(service.map_or("SERVICE", |service| service.name.as_str()))
        }
        (Holder::Vip(service), _) => new_vip(service),
    });
}

fn new_tasks(service: &str) -> Remedy {
    Remedy {
        title: format!("Replace the tasks of {service}").into(),
        risk: Risk::Disruptive,
        impact: format!("The tasks of {service} restart, one after the other.").into(),
        steps: vec![Step::Manual {
            node: Target::AnyManager,
            text: format!("start new tasks of {service}: they get new addresses"),
            commands: vec![format!("docker service update --force {}", shell_quote(service))],
        }],
    }
}

fn new_vip(service: &Service) -> Remedy {
    let update =
        |mode: &str| format!("docker service update --endpoint-mode {mode} {}", shell_quote(&service.name));
    Remedy {
        title: format!("Give {} a new VIP", service.name).into(),
        risk: Risk::Disruptive,
        impact: format!("The tasks of {} restart twice.", service.name).into(),
        steps: vec![Step::Manual {
            node: Target::AnyManager,
            text: "release the VIP, and allocate a new one; this is not possible while the service publishes ports \
                   through the routing mesh"
                .into(),
            commands: vec![update("dnsrr"), update("vip")],
        }],
    }
}

/// The subnets and IP ranges from which a node assigns addresses: those of its config-only network, if it has one.
fn assigned_from<'a>(network: &'a Network, networks: &'a [Network]) -> (&'a [String], &'a [String]) {
    let config = network.config_from.as_ref().and_then(|name| networks.iter().find(|it| it.name == *name));
    let source = config.unwrap_or(network);
    (&source.subnets, &source.ip_ranges)
}

fn separate_ranges(network: &Network, subnets: &[String]) -> Remedy {
    let config = network.config_from.clone().unwrap_or_else(|| "CONFIG_NETWORK".into());
    let subnet = subnets.first().map_or("SUBNET", String::as_str);
    let create = format!(
        "docker network create --config-only --subnet {} --ip-range RANGE_OF_THIS_NODE -o parent=INTERFACE {}",
        shell_quote(subnet),
        shell_quote(&config)
    );
    Remedy {
        title: format!("Give each node a separate IP range on {}", network.name).into(),
        risk: Risk::Disruptive,
        impact: format!("The tasks on {} stop until the network is created again.", network.name).into(),
        steps: vec![
            Step::Manual {
                node: Target::AnyManager,
                text: format!("remove the services on {} and the network", network.name),
                commands: vec![format!("docker network rm {}", shell_quote(&network.name))],
            },
            Step::Manual {
                node: Target::EachNode,
                text: "create the config-only network again, with an IP range that no other node has".into(),
                commands: vec![format!("docker network rm {}", shell_quote(&config)), create],
            },
            Step::Manual {
                node: Target::AnyManager,
                text: "create the network and the services again".into(),
                commands: vec![format!(
                    "docker network create --scope swarm --driver {} --config-from {} {}",
                    network.driver,
                    shell_quote(&config),
                    shell_quote(&network.name)
                )],
            },
        ],
    }
}
