use crate::model::address_demand::{Demand, NO_ADDRESS};
use crate::model::engine_version::EngineVersion;
use crate::model::task_slots::{seconds_since, slots};
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::service::{Service, Task};
use facts::swarm::Node;

check! {
    /// A task is rejected without a network attachment, although the network has free addresses.
    ///
    /// ## Why it matters
    /// The node reports "node is missing network attachments, ip addresses may be exhausted", which names a lack of
    /// addresses as one possible reason. If the network has free addresses, the reason is another one: engines before 24
    /// lose the attachment when a service reserves generic resources, managers with different versions disagree about
    /// attachments, and the leader may count addresses of removed tasks as used.
    ///
    /// ## How to fix it
    /// If the service reserves generic resources: upgrade the engines, or replace the reservation by a node label and a
    /// placement constraint. Otherwise upgrade all managers to one version, and restart the engine of the leader: the next
    /// leader counts the addresses again.
    ///
    /// ## When it is wrong
    /// If containers outside of services (`docker run --network`) use the addresses.
    ///
    /// Source: moby `daemon/cluster/executor/container/executor.go`; swarmkit `manager/allocator/network.go`; moby#44378;
    /// docker/for-linux#1201.
    "network/attachment-missing": Error, "a task gets no network attachment although addresses are free";
    healthy "every task gets its network attachments";
    needs Networks, Services, Tasks, Nodes;
    caused_by "network/addresses-exhausted";
    for each Host: run
}

/// How many seconds a rejected task counts.
const FRESH_SECONDS: i64 = 120;
/// The first engine release without the bug of generic resources.
const FIXED: u16 = 24;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    let services = view.snapshot.services.get()?;
    let tasks = view.snapshot.tasks.get()?;
    let nodes = view.snapshot.nodes.get()?;
    let fresh = |task: &&Task| seconds_since(task.since, view) <= FRESH_SECONDS;
    let rejected = |task: &&Task| NO_ADDRESS.iter().any(|words| task.error.contains(words));
    for service in services.iter() {
        // A slot that runs a task again has recovered.
        let refused = slots(service, tasks).into_iter().flat_map(|slot| slot.refused(view));
        let Some(task) = refused.filter(fresh).find(rejected) else { continue };
        let count = nodes.len() as u64;
        let overlays = networks.iter().filter(|network| network.driver == "overlay");
        let demands: Vec<_> = overlays.filter_map(|network| Demand::of(network, services, count)).collect();
        let used = |demand: &&Demand<'_>| demand.services.iter().any(|other| other.id == service.id);
        let of_service: Vec<_> = demands.iter().filter(used).collect();
        // A network without free addresses is another finding, and so is one with an unknown number.
        if of_service.is_empty() || of_service.iter().any(|demand| demand.is_full()) {
            continue;
        }
        let node = task.node.as_ref().and_then(|id| nodes.iter().find(|node| node.id == *id));
        let sums: Vec<_> = of_service
            .iter()
            .map(|demand| format!("{}: {}", demand.network.name, demand.describe()))
            .collect();
        let place = node.map(|node| format!(" on {}", node.name)).unwrap_or_default();
        let reason = Reason::of(service, nodes);
        let summary = format!(
            "tasks of {} are rejected{place} without a network attachment, although addresses are free ({}){}",
            service.name,
            sums.join("; "),
            reason.describe()
        );
        let shown = format!("task {} is {}: {}", task.id, task.state, task.error);
        let finding =
            out.report(Subject::Service(service.name.clone()), summary, Evidence::value(tasks, shown));
        for demand in &of_service {
            finding.also_affects(Subject::Network(demand.network.name.clone()));
            let config = format!(
                "{}: IPAM.Config has Subnet {}",
                demand.network.name,
                demand.network.subnets.join(", ")
            );
            finding.with(Evidence::value(networks, config));
        }
        if let Some(node) = node {
            finding.also_affects(Subject::Node(node.name.clone()));
        }
        match &reason {
            Reason::GenericResources { kinds, engines } => {
                let shown = format!("{} reserves the generic resource {}", service.name, kinds.join(", "));
                finding.with(Evidence::value(services, shown));
                finding.with(Evidence::value(nodes, format!("engines: {}", engines.join(", "))));
            }
            Reason::MixedVersions(engines) => {
                finding.with(Evidence::value(nodes, format!("engines: {}", engines.join(", "))));
                finding.confidence(Confidence::Medium);
            }
            Reason::Unknown => drop(finding.confidence(Confidence::Medium)),
        }
        finding.remedy(remedy(host, service, &reason));
    }
    Ok(())
}

/// Why a task gets no attachment.
enum Reason {
    /// An engine with the bug, and a service with a reservation.
    GenericResources {
        kinds: Vec<String>,
        engines: Vec<String>,
    },
    /// The managers have different engine versions.
    MixedVersions(Vec<String>),
    Unknown,
}

impl Reason {
    fn of(service: &Service, nodes: &[Node]) -> Self {
        let mut engines: Vec<String> = nodes.iter().map(|node| node.engine.clone()).collect();
        engines.sort();
        engines.dedup();
        let old = engines.iter().any(|engine| major(engine).is_some_and(|major| major < FIXED));
        if old && !service.reserved_kinds.is_empty() {
            return Self::GenericResources {
                kinds: service.reserved_kinds.keys().cloned().collect(),
                engines,
            };
        }
        let mut majors: Vec<_> = engines.iter().filter_map(|engine| major(engine)).collect();
        majors.dedup();
        if majors.len() > 1 { Self::MixedVersions(engines) } else { Self::Unknown }
    }

    fn describe(&self) -> String {
        match self {
            Self::GenericResources { kinds, .. } => {
                format!(
                    ": engines before {FIXED} lose it for services with generic resources ({})",
                    kinds.join(", ")
                )
            }
            Self::MixedVersions(engines) => {
                format!(": the engines have different versions ({})", engines.join(", "))
            }
            Self::Unknown => String::new(),
        }
    }
}

fn major(version: &str) -> Option<u16> {
    EngineVersion::parse(version).map(|version| version.0)
}

fn remedy(host: &Host, service: &Service, reason: &Reason) -> Remedy {
    let name = crate::remedy::shell_quote(&service.name);
    match reason {
        Reason::GenericResources { kinds, .. } => {
            let kind = kinds.first().map(String::as_str).unwrap_or("KIND");
            Remedy {
                title: format!("Replace the generic resource of {} by a node label", service.name).into(),
                risk: Risk::Disruptive,
                impact: "the tasks of the service restart".into(),
                steps: vec![Step::Manual {
                    node: host.name.clone().into(),
                    text: format!(
                        "on a manager: label the nodes that have the resource, and use a placement constraint; or upgrade \
                         all engines to {FIXED} or later"
                    ),
                    commands: vec![
                        format!("docker node update --label-add {}=true NODE", crate::remedy::shell_quote(kind)),
                        format!(
                            "docker service update --generic-resource-rm {} --constraint-add node.labels.{kind}==true {name}",
                            crate::remedy::shell_quote(kind)
                        ),
                    ],
                }],
            }
        }
        Reason::MixedVersions(_) | Reason::Unknown => Remedy {
            title: "Let the swarm count its addresses again".into(),
            risk: Risk::Disruptive,
            impact: "all tasks on the leader restart, and another manager becomes leader".into(),
            steps: vec![Step::Manual {
                node: host.name.clone().into(),
                text: "upgrade all managers to one version; then restart the engine of the leader, which releases the \
                       addresses of removed tasks"
                    .into(),
                commands: vec![
                    "docker node ls".into(),
                    "systemctl restart docker".into(),
                    format!("docker service update --force {name}"),
                ],
            }],
        },
    }
}
