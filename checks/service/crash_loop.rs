use crate::model::task_slots::{Slot, listed, never_started, nodes_of, seconds_since, slots};
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::service::{Service, Task};

check! {
    /// The program of a service exits again and again.
    ///
    /// ## Why it matters
    /// Swarm starts a new task after each exit, so the service is available for seconds at a time and does no
    /// lasting work. Exit code 137 together with a memory limit points to the kernel's OOM killer. The error
    /// `unhealthy container` means that the service's own health check failed and the engine killed the container.
    ///
    /// ## How to fix it
    /// Read the last lines that the program wrote. For a failing health check, compare its `start_period` with the
    /// time that the program needs to start.
    ///
    /// ## When it is wrong
    /// A program that is meant to exit belongs into a job, or into a service with `--restart-condition none`.
    ///
    /// Source: swarmkit `agent/exec/controller.go`, moby `daemon/cluster/executor/container/errors.go`.
    "service/crash-loop": Error, "the program of the service exits again and again";
    healthy "no service restarts its tasks in a loop";
    needs Services, Tasks, Nodes, Apps;
    caused_by "dns/health-check-deadlock", "dns/embedded-resolver-unreachable", "dns/resolver-bypassed", "dns/no-common-network", "dns/server-unreachable", "apps/setting-malformed", "apps/binds-foreign-address", "apps/advertises-wildcard", "apps/advertises-foreign-address", "apps/shared-identity";
    for each Cluster: run
}

/// The longest time from creation to exit, in seconds, of a task that counts as crashed.
const YOUNG: i64 = 90;
/// The same where the task itself names the cause: a failed health check, or the memory limit.
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
        let slots = match looping.len() {
            1 => String::new(),
            many => format!(" in each of {many} slots"),
        };
        let nodes = nodes_of(looping.iter().flatten().copied(), view);
        let summary = format!(
            "{} exited {} times in {span} s{slots}, on {}: {}",
            service.name,
            worst.len(),
            listed(&nodes),
            how(service, last)
        );
        let shown = |task: &Task| {
            let life = seconds_since(task.created, view) - seconds_since(task.since, view);
            let error = if task.error.is_empty() { "exit code 0" } else { &task.error };
            format!("task {}: {} {life} s after it was created: {error}", task.id, task.state)
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
        for line in last_lines(service, worst, view) {
            finding.with(line);
        }
        finding.on_nodes(nodes);
        finding.remedy(remedy(service, last));
    }
    Ok(())
}

/// The last lines that the newest crashed container wrote, where its node was examined.
fn last_lines(service: &Service, deaths: &[&Task], view: &View<'_>) -> Vec<Evidence> {
    for host in &view.snapshot.hosts {
        // Without the containers of this node the tasks alone are the proof.
        let Ok(apps) = host.apps.get() else { continue };
        let exited = apps
            .exited
            .iter()
            .find(|exited| exited.service == service.id && deaths.iter().any(|task| task.id == exited.task));
        let Some(exited) = exited else { continue };
        let memory =
            exited.oom_killed.then(|| Evidence::value(apps, format!("{}: OOMKilled is true", exited.name)));
        let lines = exited.lines.iter().map(|line| Evidence::value(apps, format!("its log: {line}")));
        return memory.into_iter().chain(lines).collect();
    }
    Vec::new()
}

/// The exits in a row that make a loop, the newest first.
fn deaths<'a>(service: &Service, slot: &Slot<'a>, view: &View<'_>) -> Option<Vec<&'a Task>> {
    let life = |task: &Task| seconds_since(task.created, view) - seconds_since(task.since, view);
    let explained =
        |task: &Task| unhealthy(task) || (task.exit_code == Some(137) && service.limits.memory_bytes > 0);
    let young = |task: &&Task| {
        let most = if explained(task) { YOUNG_AND_EXPLAINED } else { YOUNG };
        exited(service, task) && life(task) <= most
    };
    // Between two exits a container may fail to start at all, for example when memory is short.
    let deaths: Vec<&Task> = slot.ended().filter(|task| !never_started(task)).take_while(young).collect();
    if !slot.refused(view).is_empty() {
        return None;
    }
    let enough = if deaths.first().is_some_and(|task| explained(task)) { 2 } else { 3 };
    if deaths.len() < enough {
        return None;
    }
    let longest = deaths.iter().map(|task| life(task)).max().unwrap_or(0);
    // A task that outlived all before it has recovered.
    let recovered =
        slot.running().is_some_and(|task| seconds_since(task.since, view) > longest + longest / 2 + 10);
    (!recovered).then_some(deaths)
}

/// Whether the program itself exited, and is meant to run.
fn exited(service: &Service, task: &Task) -> bool {
    let always = !matches!(service.restart.as_str(), "none" | "on-failure");
    task.error.starts_with("task: ") || (task.state == "complete" && always)
}

fn unhealthy(task: &Task) -> bool {
    task.error.contains("unhealthy container")
}

fn how(service: &Service, task: &Task) -> String {
    match task.exit_code {
        _ if unhealthy(task) => "its health check fails and the engine kills it".into(),
        Some(137) if service.limits.memory_bytes > 0 => {
            let limit = service.limits.memory_bytes / (1 << 20);
            format!("killed (exit code 137), probably by the OOM killer at its memory limit of {limit} MiB")
        }
        Some(137) => "killed (exit code 137)".into(),
        Some(0) => "it exits by itself with exit code 0".into(),
        Some(code) => format!("exit code {code}"),
        None => task.error.clone(),
    }
}

fn remedy(service: &Service, task: &Task) -> Remedy {
    let name = shell_quote(&service.name);
    let logs = format!("docker service logs --tail 50 {name}");
    let (text, commands) = match task.exit_code {
        _ if unhealthy(task) => (
            "read the output of the health check; if the program only needs long to start, set a start period",
            vec![logs, format!("docker service update --health-start-period 2m {name}")],
        ),
        Some(137) if service.limits.memory_bytes > 0 => (
            "look for the OOM killer in the kernel log of that node, then raise the limit or lower the program's memory use",
            vec![
                "dmesg | grep -i 'out of memory'".into(),
                format!("docker service update --limit-memory SIZE {name}"),
            ],
        ),
        Some(0) => (
            "if the program is meant to exit, change the restart condition; if it is not, keep it in the foreground",
            vec![logs, format!("docker service update --restart-condition on-failure {name}")],
        ),
        _ => (
            "read the last lines that the program wrote",
            vec![logs, format!("docker service ps --no-trunc {name}")],
        ),
    };
    Remedy {
        title: format!("Fix the exit of {}", service.name).into(),
        risk: Risk::Manual,
        impact: "Reading logs changes nothing. An update restarts the tasks of the service.".into(),
        steps: vec![Step::Manual { node: Target::AnyManager, text: text.into(), commands }],
    }
}
