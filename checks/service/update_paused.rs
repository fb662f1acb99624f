use super::slot::seconds_since;
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::service::{Service, Task};

check! {
    /// An update of the service stopped half-way, or was taken back.
    ///
    /// ## Why it matters
    /// Swarm stops an update when a new task fails. Old and new versions then run side by side, and nobody drives
    /// the service forward until someone decides. An update that was rolled back leaves the old version running
    /// while everybody believes in the new one.
    ///
    /// ## How to fix it
    /// Mend what made the task fail, then update again; or go back.
    ///
    /// ## When it is wrong
    /// A rollback is only told for a day, and only where tasks of the update failed.
    ///
    /// Source: swarmkit `manager/orchestrator/update/updater.go`; moby#34245, #37493.
    "service/update-paused": Error, "an update of the service failed";
    needs Services, Tasks;
    caused_by "service/unschedulable", "service/image-unavailable", "service/task-rejected", "service/crash-loop";
    for each Cluster: run
}

/// How long an update that was taken back is worth a word.
const DAY: i64 = 86_400;

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    let tasks = view.snapshot.tasks.get()?;
    for service in services.iter() {
        let Some(update) = &service.update else { continue };
        let paused = matches!(update.state.as_str(), "paused" | "rollback_paused");
        let taken_back = matches!(update.state.as_str(), "rollback_started" | "rollback_completed");
        let failed = failed_since(service, tasks, update.started);
        let lately = failed.is_some() && seconds_since(update.started, view) < DAY;
        if !(paused || (taken_back && lately)) {
            continue;
        }
        let what = match update.state.as_str() {
            "paused" => "stopped half-way: old and new tasks run side by side",
            "rollback_paused" => "failed, and so did going back",
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
        let (text, commands) = match paused {
            true => (
                "mend what made the task fail and update again, or go back to what ran before",
                vec![
                    format!("docker service update --force {name}"),
                    format!("docker service rollback {name}"),
                ],
            ),
            false => (
                "mend what made the task fail, and update again",
                vec![format!("docker service ps --no-trunc {name}")],
            ),
        };
        finding.remedy(Remedy {
            title: "Finish the update or take it back".into(),
            risk: Risk::Disruptive,
            impact: "the tasks of the service are replaced, some at a time".into(),
            steps: vec![Step::Manual { node: "a manager".into(), text: text.into(), commands }],
        });
    }
    Ok(())
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
