use crate::model::task_slots::seconds_since;
use crate::placement::{is_open, satisfies};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::service::{Service, Task};
use facts::swarm::Node;

check! {
    /// All tasks of a service run on one node, while another node that could run them has none.
    ///
    /// ## Why it matters
    /// Swarm never moves a running task. After a node was down and came back, its former tasks stay where they were restarted:
    /// the service has no redundancy, and one node has all the load.
    ///
    /// ## How to fix it
    /// `docker service update --force` starts the tasks again, one after the other, and spreads them.
    ///
    /// ## When it is wrong
    /// If the other nodes lack something that swarm does not know, such as the data of a local volume.
    ///
    /// Source: moby#24103; Docker docs "Administer and maintain a swarm", section "Force the swarm to rebalance".
    "service/unbalanced": Info, "all tasks of a service run on one node";
    healthy "the tasks of each service run on more than one node";
    needs Services, Tasks, Nodes;
    caused_by "swarm/node-down", "service/unschedulable";
    for each Cluster: run
}

/// How long the tasks run where they are before it counts, in seconds.
const SETTLED: i64 = 900;

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    let tasks = view.snapshot.tasks.get()?;
    let nodes = view.snapshot.nodes.get()?;
    for service in services.iter().filter(|service| may_spread(service)) {
        let own = || tasks.iter().filter(|task| task.service == service.id);
        let running: Vec<&Task> =
            own().filter(|task| task.state == "running" && task.desired == "running").collect();
        let Some(first) = running.first().filter(|_| running.len() > 1) else { continue };
        let together = running.iter().all(|task| task.node == first.node);
        let settled = running.iter().all(|task| seconds_since(task.since, view) > SETTLED)
            && seconds_since(service.updated, view) > SETTLED;
        if !together || !settled {
            continue;
        }
        let Some(node) = nodes.iter().find(|node| first.node.as_ref() == Some(&node.id)) else { continue };
        let free: Vec<&Node> = nodes
            .iter()
            .filter(|other| {
                other.id != node.id && is_open(other) && satisfies(&service.placement.constraints, other)
            })
            .filter(|other| other.platform == node.platform)
            .collect();
        if free.is_empty() {
            continue;
        }
        let names: Vec<&str> = free.iter().take(8).map(|node| node.name.as_str()).collect();
        let summary = format!("all {} tasks of {} run on {}", running.len(), service.name, node.name);
        let shown = format!("{} running tasks on {}", running.len(), node.name);
        out.report(Subject::Service(service.name.clone()), summary, Evidence::value(tasks, shown))
            .with(Evidence::value(nodes, format!("nodes that could run a task: {}", names.join(", "))))
            .remedy(Remedy {
                title: format!("Spread the tasks of {}", service.name).into(),
                risk: Risk::Disruptive,
                impact: "The tasks of the service restart one after the other.".into(),
                steps: vec![Step::Manual {
                    node: Target::AnyManager,
                    text: "start the tasks again, so that the scheduler spreads them".into(),
                    commands: vec![format!("docker service update --force {}", shell_quote(&service.name))],
                }],
            });
    }
    Ok(())
}

/// Whether swarm would spread the tasks of the service: nothing ties them to a node but its constraints.
fn may_spread(service: &Service) -> bool {
    let reserves = service.reserved.memory_bytes > 0
        || service.reserved.nano_cpus > 0
        || !service.reserved_kinds.is_empty();
    service.replicas.is_some_and(|replicas| replicas > 1)
        && !service.job
        && !reserves
        && service.mounts.is_empty()
        && service.ports.iter().all(|port| port.ingress)
}
