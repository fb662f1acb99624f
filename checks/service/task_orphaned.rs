use crate::model::service_discovery::taken_at_once;
use crate::model::task_slots::{nodes_of, seconds_since};
use crate::placement::is_open;
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::container::Container;
use facts::service::{Service, Task};
use facts::{Host, Seen};

check! {
    /// A container still runs for a task that the managers stopped, replaced or do not know.
    ///
    /// ## Why it matters
    /// The program runs once more than wanted, without the service knowing it: two databases write to one volume, a scheduler runs
    /// each job twice, and the host port stays taken. It happens when an agent lost its task database or could not stop a
    /// container while its node was cut off.
    ///
    /// ## How to fix it
    /// Check that the task is not in `docker service ps`, then remove the container on its node.
    ///
    /// ## When it is wrong
    /// While the container takes longer to stop than its grace period.
    ///
    /// Source: moby#35107, #42723, #31999; swarmkit `agent/worker.go`.
    "service/task-orphaned": Warning, "a container runs for a task that the managers do not want";
    healthy "every container of a task belongs to a task that is wanted";
    needs Services, Tasks, Nodes, Containers;
    caused_by "swarm/node-down", "swarm/session-failed", "engine/containerd-unresponsive";
    for each Cluster: run
}

/// How old a container is before a missing task counts: the managers list a new task before its node starts it, in seconds.
const SETTLED: i64 = 120;
/// How long a task may run beside its replacement, besides its grace period, in seconds.
const REPLACED: i64 = 600;

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let tasks = view.snapshot.tasks.get()?;
    let services = view.snapshot.services.get()?;
    let nodes = view.snapshot.nodes.get()?;
    for service in services.iter().filter(|service| service.replicas.is_some() && !service.job) {
        for old in tasks.iter().filter(|task| task.service == service.id && is_unwanted(task)) {
            let on_open_node = nodes.iter().any(|node| old.node.as_ref() == Some(&node.id) && is_open(node));
            let Some(new) = tasks.iter().find(|new| replaces(new, old, service, view)) else { continue };
            if on_open_node {
                report_replaced(service, old, new, tasks, view, out);
            }
        }
    }
    // A node that was examined earlier or later may have run tasks that the managers did not know then.
    for host in view.snapshot.hosts.iter().filter(|host| taken_at_once(host, view)) {
        let containers = match host.containers.get() {
            Ok(containers) => containers,
            Err(gap) => {
                out.inconclusive(Subject::Node(host.name.clone()), gap);
                continue;
            }
        };
        let unknown = |container: &&Container| {
            container.pid != 0
                && !container.task.as_str().is_empty()
                && seconds_since(container.created, view) > SETTLED
                && !tasks.iter().any(|task| task.id == container.task)
        };
        for container in containers.iter().filter(unknown) {
            report_unknown(host, container, containers, tasks, out);
        }
    }
    Ok(())
}

/// Whether a task runs that the managers want to stop.
fn is_unwanted(task: &Task) -> bool {
    task.state == "running" && task.desired == "shutdown" && task.slot != 0
}

/// Whether `new` has replaced `old` for so long that `old` must have stopped.
fn replaces(new: &Task, old: &Task, service: &Service, view: &View<'_>) -> bool {
    let grace = i64::try_from(service.stop_grace.unwrap_or(10)).unwrap_or(REPLACED);
    (&new.service, new.slot) == (&old.service, old.slot)
        && new.id != old.id
        && new.state == "running"
        && new.desired == "running"
        && seconds_since(new.since, view) > REPLACED.saturating_add(grace)
}

fn report_replaced(
    service: &Service,
    old: &Task,
    new: &Task,
    tasks: &Seen<Vec<Task>>,
    view: &View<'_>,
    out: &mut Findings<'_>,
) {
    let place = |task: &Task| nodes_of([task], view).into_iter().next().unwrap_or_else(|| "a node".into());
    let (old_node, new_node) = (place(old), place(new));
    let summary = format!(
        "slot {} of {} runs twice: its old task on {old_node} did not stop, and its new one runs on {new_node}",
        old.slot, service.name
    );
    let shown = |task: &Task| {
        format!("task {} on {}: {}, desired {}", task.id, place(task), task.state, task.desired)
    };
    out.report(Subject::Service(service.name.clone()), summary, Evidence::value(tasks, shown(old)))
        .with(Evidence::value(tasks, shown(new)))
        .confidence(Confidence::Medium)
        .on_nodes([old_node.clone()])
        .remedy(Remedy {
            title: format!("Stop the old task of {} on {old_node}", service.name).into(),
            risk: Risk::Disruptive,
            impact: "All tasks on the node restart if its engine has to be restarted.".into(),
            steps: vec![Step::Manual {
                node: old_node.into(),
                text: "stop the container of the task; if it does not stop, restart the engine".into(),
                commands: vec![
                    format!(
                        "docker ps --filter label=com.docker.swarm.task.id={}",
                        shell_quote(old.id.as_str())
                    ),
                    "docker stop CONTAINER".into(),
                ],
            }],
        });
}

fn report_unknown(
    host: &Host,
    container: &Container,
    containers: &Seen<Vec<Container>>,
    tasks: &Seen<Vec<Task>>,
    out: &mut Findings<'_>,
) {
    let summary = format!(
        "container {} on {} runs for the task {} of {}, which the managers do not know",
        container.name, host.name, container.task, container.service_name
    );
    let id: String = container.id.as_str().chars().take(12).collect();
    let shown = format!("container {id}: task {}, running", container.task);
    out.report(Subject::Node(host.name.clone()), summary, Evidence::value(containers, shown))
        .with(Evidence::absent(tasks, format!("task {}", container.task)))
        .also_affects(Subject::Service(container.service_name.clone()))
        .severity(Severity::Warning)
        .remedy(Remedy {
            title: format!("Remove the container {id} on {}", host.name).into(),
            risk: Risk::Disruptive,
            impact: "The program in the container stops. The tasks that the managers know are not affected."
                .into(),
            steps: vec![Step::Manual {
                node: host.name.clone().into(),
                text: "check that no task of the service has this id, then remove the container".into(),
                commands: vec![
                    format!("docker service ps --no-trunc {}", shell_quote(&container.service_name)),
                    format!("docker rm --force {id}"),
                ],
            }],
        });
}
