use crate::model::task_slots::{is_on_down_node, listed, nodes_of, seconds_since, slots};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, Target, View};
use facts::service::{Service, Task};

check! {
    /// An update of a service makes no progress.
    ///
    /// ## Why it matters
    /// The update state stays `updating`, and tasks of the old version keep running. A task on a node that is down cannot
    /// confirm that it stopped, and older managers wait for it.
    ///
    /// ## How to fix it
    /// Bring the node back, or remove its entry if it is lost. Then update again with `--force`.
    ///
    /// ## When it is wrong
    /// The pause between two rounds (`--update-delay`) or the pull of an image takes longer than ten minutes.
    ///
    /// Source: swarmkit `manager/orchestrator/update/updater.go`; moby#37493.
    "service/update-stalled": Warning, "an update of the service makes no progress";
    healthy "every update makes progress";
    needs Services, Tasks, Nodes;
    caused_by "swarm/node-down", "service/unschedulable", "service/image-unavailable", "service/task-rejected",
        "service/crash-loop", "service/replicas-missing";
    for each Cluster: run
}

/// From this time without a change of any task an update counts as stalled, in seconds.
const STALLED: i64 = 600;

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    let tasks = view.snapshot.tasks.get()?;
    let nodes = view.snapshot.nodes.get()?;
    for service in services.iter() {
        let Some(update) = &service.update else { continue };
        if !matches!(update.state.as_str(), "updating" | "rollback_started") {
            continue;
        }
        let limit = STALLED + i64::try_from(service.update_config.delay).unwrap_or(STALLED);
        let own: Vec<&Task> = tasks.iter().filter(|task| task.service == service.id).collect();
        let quiet = own.iter().map(|task| seconds_since(task.since, view)).min().unwrap_or(0);
        let old: Vec<&Task> = slots(service, tasks)
            .iter()
            .filter_map(|slot| slot.running())
            .filter(|task| is_old(service, task))
            .collect();
        if quiet < limit || seconds_since(update.started, view) < limit || old.is_empty() {
            continue;
        }
        let stuck: Vec<&Task> = own
            .iter()
            .copied()
            .filter(|task| {
                task.desired == "shutdown" && task.state == "running" && is_on_down_node(task, nodes)
            })
            .collect();
        let down = nodes_of(stuck.iter().copied(), view);
        let why = match down.as_slice() {
            [] => String::new(),
            down => format!("; tasks on {} cannot confirm that they stopped", listed(down)),
        };
        let summary = format!(
            "the update of {} has changed no task for {} min, and {} of its tasks are of the old version{why}",
            service.name,
            quiet / 60,
            old.len()
        );
        let shown = format!("{}: UpdateStatus: {}: {}", service.name, update.state, update.message);
        let finding =
            out.report(Subject::Service(service.name.clone()), summary, Evidence::value(services, shown));
        for task in stuck.iter().take(3) {
            let shown = format!("task {}: running, desired state shutdown, on a down node", task.id);
            finding.with(Evidence::value(tasks, shown));
        }
        finding.on_nodes(down.iter().cloned()).severity(Severity::Warning);
        finding.remedy(Remedy {
            title: format!("Continue the update of {}", service.name).into(),
            risk: Risk::Disruptive,
            impact: "The tasks of the service are replaced, a few at a time.".into(),
            steps: vec![Step::Manual {
                node: Target::AnyManager,
                text: "bring the down nodes back or remove their entries, then update again".into(),
                commands: vec![
                    "docker node ls".into(),
                    format!("docker service update --force {}", shell_quote(&service.name)),
                ],
            }],
        });
    }
    Ok(())
}

/// Whether the task is known to be of an older version.
fn is_old(service: &Service, task: &Task) -> bool {
    task.template.is_some() && service.template.is_some() && task.template != service.template
}
