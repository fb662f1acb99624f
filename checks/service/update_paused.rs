use crate::model::task_slots::{seconds_since, slots};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, Target, View};
use facts::service::{Service, Task};

check! {
    /// An update of the service is paused or was rolled back.
    ///
    /// ## Why it matters
    /// Swarm pauses an update when a new task fails. Tasks of the old and the new version then run side by side, and
    /// swarm does not continue until an operator decides. After a rollback the old version runs, although the update
    /// was ordered.
    ///
    /// ## How to fix it
    /// Fix the reason why the new task failed and update again, or roll back.
    ///
    /// ## When it is wrong
    /// A rollback is reported for one day, and only where tasks of the update failed. A paused update is not reported
    /// once every task runs the current version.
    ///
    /// Source: swarmkit `manager/orchestrator/update/updater.go`; moby#34245, #37493.
    "service/update-paused": Error, "an update of the service is paused or was rolled back";
    healthy "no update is paused or was rolled back";
    needs Services, Tasks;
    caused_by "service/unschedulable", "service/image-unavailable", "service/task-rejected", "service/crash-loop";
    for each Cluster: run
}

/// How long a rollback is reported, in seconds.
const DAY: i64 = 86_400;

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    let tasks = view.snapshot.tasks.get()?;
    for service in services.iter() {
        let Some(update) = &service.update else { continue };
        let paused = matches!(update.state.as_str(), "paused" | "rollback_paused");
        let rolled_back = matches!(update.state.as_str(), "rollback_started" | "rollback_completed");
        let failed = failed_since(service, tasks, update.started);
        let lately = failed.is_some() && seconds_since(update.started, view) < DAY;
        if !(paused && !is_complete(service, tasks) || rolled_back && lately) {
            continue;
        }
        let what = match update.state.as_str() {
            "paused" => "is paused: old and new tasks run side by side",
            "rollback_paused" => "failed, and its rollback is paused",
            _ => "failed and was rolled back",
        };
        let why = failed.map(|task| format!("; {}", task.error)).unwrap_or_default();
        let summary = format!("the update of {} {what}{why}", service.name);
        let shown = format!("{}: UpdateStatus: {}: {}", service.name, update.state, update.message);
        let subject = Subject::Service(service.name.clone());
        let finding = out.report(subject, summary, Evidence::value(services, shown));
        if !paused {
            finding.severity(Severity::Warning);
        }
        if let Some(task) = failed {
            finding.with(Evidence::value(tasks, format!("task {}: {}: {}", task.id, task.state, task.error)));
        }
        let name = shell_quote(&service.name);
        let (text, commands) = if paused {
            (
                "fix the reason why the task failed and update again, or roll back",
                vec![
                    format!("docker service update --force {name}"),
                    format!("docker service rollback {name}"),
                ],
            )
        } else {
            (
                "fix the reason why the task failed, and update again",
                vec![format!("docker service ps --no-trunc {name}")],
            )
        };
        finding.remedy(Remedy {
            title: format!("Finish or roll back the update of {}", service.name).into(),
            risk: Risk::Disruptive,
            impact: "The tasks of the service are replaced, a few at a time.".into(),
            steps: vec![Step::Manual { node: Target::AnyManager, text: text.into(), commands }],
        });
    }
    Ok(())
}

/// Whether every slot runs a task of the service's current specification, so that nothing is left to update.
fn is_complete(service: &Service, tasks: &[Task]) -> bool {
    let current = |task: &Task| task.template.is_some() && task.template == service.template;
    let slots = slots(service, tasks);
    !slots.is_empty() && slots.iter().all(|slot| slot.running().is_some_and(current))
}

/// The newest task of the service that failed after the update began.
fn failed_since<'a>(
    service: &Service,
    tasks: &'a [Task],
    began: Option<facts::Timestamp>,
) -> Option<&'a Task> {
    let failed = tasks.iter().filter(|task| {
        task.service == service.id
            && matches!(task.state.as_str(), "failed" | "rejected")
            && task.since >= began
    });
    failed.max_by_key(|task| (task.since, &task.id))
}
