use super::slot::{Slot, listed, never_started, nodes_of, seconds_since, slots};
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::service::{Service, Task};

check! {
    /// The service's program ends again and again.
    ///
    /// ## Why it matters
    /// Swarm starts a new task each time, so that the service seems to be there now and then, and does its work at
    /// no time. Exit code 137 with a memory limit means that the kernel killed it; "unhealthy container" that its
    /// own health check did.
    ///
    /// ## How to fix it
    /// Read what the program said last. For a health check see how long the program takes to start.
    ///
    /// ## When it is wrong
    /// A program that is meant to end belongs into a job, or a service with `--restart-condition none`.
    ///
    /// Source: swarmkit `agent/exec/controller.go`, moby `daemon/cluster/executor/container/errors.go`.
    "service/crash-loop": Error, "the service's program ends again and again";
    needs Services, Tasks, Nodes;
    caused_by "dns/health-check-deadlock", "dns/embedded-resolver-unreachable", "dns/resolver-bypassed", "dns/no-common-network", "dns/server-unreachable", "apps/setting-malformed", "apps/binds-foreign-address", "apps/advertises-wildcard", "apps/advertises-foreign-address", "apps/shared-identity";
    for each Cluster: run
}

/// The longest life, from being made to its end, of a task that died young.
const YOUNG: i64 = 90;
/// The same where the cause is written beside the end: a failed health check, or memory.
const YOUNG_AND_EXPLAINED: i64 = 600;

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    let tasks = view.snapshot.tasks.get()?;
    view.snapshot.nodes.get()?;
    for service in services.iter() {
        let slots = slots(service, tasks);
        let looping: Vec<Vec<&Task>> = slots.iter().filter_map(|slot| deaths(service, slot, view)).collect();
        let Some(worst) = looping.iter().max_by_key(|deaths| deaths.len()) else { continue };
        let (Some(last), Some(first)) = (worst.first(), worst.last()) else { continue };
        let span = seconds_since(first.created, view) - seconds_since(last.since, view);
        let places = match looping.len() {
            1 => String::new(),
            many => format!(" in each of {many} places"),
        };
        let nodes = nodes_of(looping.iter().flatten().copied(), view);
        let summary = format!(
            "{} ended {} times in {span} s{places}, on {}: {}",
            service.name,
            worst.len(),
            listed(&nodes),
            how(service, last)
        );
        let shown = |task: &Task| {
            let life = seconds_since(task.created, view) - seconds_since(task.since, view);
            let error = if task.error.is_empty() { "exit code 0" } else { &task.error };
            format!("task {}: {} {life} s after it was made: {error}", task.id, task.state)
        };
        let subject = Subject::Service(service.name.clone());
        let finding = out.report(subject, summary, Evidence::value(tasks, shown(last)));
        for earlier in worst.iter().skip(1).take(2) {
            finding.with(Evidence::value(tasks, shown(earlier)));
        }
        if service.limits.memory_bytes > 0 && last.exit_code == Some(137) && !unhealthy(last) {
            let shown =
                format!("{}: memory limit {} MiB", service.name, service.limits.memory_bytes / (1 << 20));
            finding.with(Evidence::value(services, shown)).confidence(Confidence::Medium);
        }
        finding.on_nodes(nodes);
        finding.remedy(remedy(service, last));
    }
    Ok(())
}

/// The ends in a row that make a loop, the newest first.
fn deaths<'a>(service: &Service, slot: &Slot<'a>, view: &View<'_>) -> Option<Vec<&'a Task>> {
    let life = |task: &Task| seconds_since(task.created, view) - seconds_since(task.since, view);
    let explained =
        |task: &Task| unhealthy(task) || (task.exit_code == Some(137) && service.limits.memory_bytes > 0);
    let young = |task: &&Task| {
        let most = if explained(task) { YOUNG_AND_EXPLAINED } else { YOUNG };
        exited(service, task) && life(task) <= most
    };
    // Between two ends a container may not start at all, as where memory is short; that is told elsewhere or not.
    let deaths: Vec<&Task> = slot.ended().filter(|task| !never_started(task)).take_while(young).collect();
    if !slot.refused(view).is_empty() {
        return None;
    }
    let enough = if deaths.first().is_some_and(|task| explained(task)) { 2 } else { 3 };
    if deaths.len() < enough {
        return None;
    }
    let longest = deaths.iter().map(|task| life(task)).max().unwrap_or(0);
    // One that has outlived all before it is well again.
    let well =
        slot.running().is_some_and(|task| seconds_since(task.since, view) > longest + longest / 2 + 10);
    (!well).then_some(deaths)
}

/// Whether the program itself ended, and is not meant to.
fn exited(service: &Service, task: &Task) -> bool {
    let always = !matches!(service.restart.as_str(), "none" | "on-failure");
    task.error.starts_with("task: ") || (task.state == "complete" && always)
}

fn unhealthy(task: &Task) -> bool {
    task.error.contains("unhealthy container")
}

fn how(service: &Service, task: &Task) -> String {
    match task.exit_code {
        _ if unhealthy(task) => "its health check fails, and the engine kills it".into(),
        Some(137) if service.limits.memory_bytes > 0 => {
            let limit = service.limits.memory_bytes / (1 << 20);
            format!(
                "killed (exit code 137), as by the kernel when it needs more than its limit of {limit} MiB"
            )
        }
        Some(137) => "killed (exit code 137)".into(),
        Some(0) => "it ends by itself, with exit code 0".into(),
        Some(code) => format!("exit code {code}"),
        None => task.error.clone(),
    }
}

fn remedy(service: &Service, task: &Task) -> Remedy {
    let name = shell_quote(&service.name);
    let logs = format!("docker service logs --tail 50 {name}");
    let (text, commands) = match task.exit_code {
        _ if unhealthy(task) => (
            "see what the health check says; if the program only takes long to start, give it a start period",
            vec![logs, format!("docker service update --health-start-period 2m {name}")],
        ),
        Some(137) if service.limits.memory_bytes > 0 => (
            "look for the kernel's word on that node, and raise the limit or lower what the program takes",
            vec![
                "dmesg | grep -i 'out of memory'".into(),
                format!("docker service update --limit-memory SIZE {name}"),
            ],
        ),
        Some(0) => (
            "a program that is meant to end needs no restart; one that is not runs in the background here",
            vec![logs, format!("docker service update --restart-condition on-failure {name}")],
        ),
        _ => ("read what the program said last", vec![logs, format!("docker service ps --no-trunc {name}")]),
    };
    Remedy {
        title: format!("Find out why {} ends", service.name).into(),
        risk: Risk::Manual,
        impact: "reading changes nothing; an update restarts the tasks".into(),
        steps: vec![Step::Manual { node: "a manager".into(), text: text.into(), commands }],
    }
}
