use crate::model::task_slots::{Slot, is_on_down_node, listed, nodes_of, seconds_since, slots};
use crate::placement::{fits_platform, is_open, satisfies};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::service::{Service, Task};
use facts::swarm::Node;

check! {
    /// Fewer tasks of a service run than it wants.
    ///
    /// ## Why it matters
    /// The service has less capacity than configured, or none. Usually another finding names the cause. Where none
    /// does, the tasks are stuck: not allocated, not accepted by their node, or preparing without end.
    ///
    /// ## How to fix it
    /// The state of the tasks shows what they wait for: `new` for addresses of a network, `assigned` for the node,
    /// `preparing` for an image, a volume or a network, `starting` for the health check.
    ///
    /// ## When it is wrong
    /// Pulling a large image may take longer than the three minutes that this check allows.
    ///
    /// Source: swarmkit `api/types.proto`, the states of a task; `manager/orchestrator/`.
    "service/replicas-missing": Error, "fewer tasks run than the service wants";
    healthy "every service runs as many tasks as it wants";
    needs Services, Tasks, Nodes;
    caused_by "dns/health-check-deadlock", "network/addresses-exhausted", "network/subnet-missing", "service/unschedulable",
        "service/image-unavailable", "service/task-rejected", "service/crash-loop",
        "service/update-paused", "apps/setting-malformed", "apps/binds-foreign-address", "apps/advertises-foreign-address", "apps/shared-identity",
        "swarm/stale-advertise-addr", "swarm/node-down", "network/port-taken",
        "network/manager-port-blocked", "network/gossip-port-blocked", "network/peer-unreachable",
        "network/ingress-missing";
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    let tasks = view.snapshot.tasks.get()?;
    let nodes = view.snapshot.nodes.get()?;
    for service in services.iter().filter(|service| !service.job) {
        let slots = slots(service, tasks);
        let wanted = match service.replicas {
            Some(wanted) => usize::try_from(wanted).unwrap_or(usize::MAX),
            None => nodes.iter().filter(|node| has_to_run(service, node)).count(),
        };
        // Swarm counts a task on a down node as running, and it is unreachable.
        let running = slots
            .iter()
            .filter(|slot| slot.running().is_some_and(|task| !is_on_down_node(task, nodes)))
            .count();
        let stuck: Vec<&Task> = slots.iter().filter_map(|slot| stuck(service, slot, view)).collect();
        let failed =
            || slots.iter().filter(|slot| slot.running().is_none()).find_map(|slot| slot.ended().next());
        let Some(first) = stuck.first() else { continue };
        if running >= wanted {
            continue;
        }
        let at = nodes_of(stuck.iter().copied(), view);
        let place = if at.is_empty() { String::new() } else { format!(" on {}", listed(&at)) };
        let summary = format!(
            "{} runs {running} of {wanted} tasks; {}",
            service.name,
            match (first.state.as_str(), failed(), service.restart_delay) {
                ("ready", Some(last), Some(delay)) => format!(
                    "its last task exited, and the next starts after a restart delay of {delay} s{place}: {}",
                    last.error
                ),
                _ => standing(first, wanted - running, &place),
            }
        );
        let shown = |task: &Task| {
            let error = if task.error.is_empty() { &task.message } else { &task.error };
            format!("task {}: {} for {} s: {error}", task.id, task.state, seconds_since(task.since, view))
        };
        let subject = Subject::Service(service.name.clone());
        let finding = out.report(subject, summary, Evidence::value(tasks, shown(first)));
        for other in stuck.iter().skip(1).take(3) {
            finding.with(Evidence::value(tasks, shown(other)));
        }
        finding.on_nodes(at.iter().cloned());
        finding.remedy(remedy(service, first, at.first().cloned()));
    }
    Ok(())
}

/// Whether a task of a global service has to be on the node.
fn has_to_run(service: &Service, node: &Node) -> bool {
    is_open(node)
        && satisfies(&service.placement.constraints, node)
        && fits_platform(&service.placement.platforms, node)
}

/// The task that a slot has been waiting for longer than its state should take.
fn stuck<'a>(service: &Service, slot: &Slot<'a>, view: &View<'_>) -> Option<&'a Task> {
    if slot.running().is_some() {
        return None;
    }
    let Some(task) = slot.current() else {
        // It failed, and the restart policy starts no other.
        return slot
            .ended()
            .next()
            .filter(|task| seconds_since(task.since, view) > 30 && service.restart != "any");
    };
    let limit = match (task.desired.as_str(), task.state.as_str()) {
        // It waits for the restart delay, which is only long where it was set.
        ("ready", _) | (_, "ready") => {
            let failed = slot.ended().next().is_some_and(|last| last.state != "complete");
            return (failed && service.restart_delay > Some(60) && seconds_since(task.since, view) > 15)
                .then_some(task);
        }
        (_, "new" | "pending" | "assigned" | "accepted") => 30,
        (_, "preparing") => 180,
        _ => 300,
    };
    (seconds_since(task.since, view) > limit).then_some(task)
}

/// In which state the missing tasks are.
fn standing(task: &Task, missing: usize, place: &str) -> String {
    let error = &task.error;
    let (is, has) = if missing == 1 { ("is", "has") } else { ("are", "have") };
    match task.state.as_str() {
        "new" => format!("{missing} {is} new: the managers have not allocated a network address"),
        "pending" => format!("{missing} {is} pending{place}: {error}"),
        "assigned" | "accepted" => format!("{missing} {is} assigned{place} and not accepted there"),
        "preparing" => format!("{missing} {is} preparing{place} without progress"),
        "starting" => format!("{missing} {has} started{place}, and the health check does not pass"),
        "failed" | "rejected" => {
            format!("{missing} {has} exited{place}, and the restart policy starts no other: {error}")
        }
        other => format!("{missing} {is} {other}{place}"),
    }
}

fn remedy(service: &Service, task: &Task, node: Option<facts::NodeName>) -> Remedy {
    let name = shell_quote(&service.name);
    let (text, command) = match task.state.as_str() {
        "new" => (
            "check that the networks of the service have free addresses",
            format!("docker service inspect {name}"),
        ),
        "assigned" | "accepted" | "preparing" => (
            "check the engine of that node: its log, its disk, its connection to the registry",
            "swarm-doctor run".into(),
        ),
        "ready" => (
            "read the last lines that the program wrote, and shorten the restart delay",
            format!("docker service update --restart-delay 5s {name}"),
        ),
        "starting" => {
            ("read the output of the health check", format!("docker service logs --tail 50 {name}"))
        }
        "failed" | "rejected" => (
            "fix the reason why it exited, and start it again",
            format!("docker service update --force {name}"),
        ),
        _ => ("list the tasks with their errors", format!("docker service ps --no-trunc {name}")),
    };
    let node = match task.state.as_str() {
        "assigned" | "accepted" | "preparing" => node,
        _ => None,
    };
    Remedy {
        title: format!("Start the missing tasks of {}", service.name).into(),
        risk: Risk::Manual,
        impact: "Listing tasks changes nothing. An update restarts the tasks of the service.".into(),
        steps: vec![Step::Manual {
            node: node.map_or(Target::AnyManager, Target::Node),
            text: text.into(),
            commands: vec![command],
        }],
    }
}
