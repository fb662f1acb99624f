use super::slot::{Slot, listed, nodes_of, seconds_since, slots};
use crate::placement::{fits_platform, is_open, satisfies};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::service::{Service, Task};
use facts::swarm::{Node, NodeState};

check! {
    /// Fewer tasks of a service run than it wants.
    ///
    /// ## Why it matters
    /// The service has less strength than it was given, or none. Mostly another finding says why; where none does,
    /// the tasks are stuck on their way: not allocated, not taken by their node, or preparing without an end.
    ///
    /// ## How to fix it
    /// Look where the tasks stand: `new` waits for addresses of a network, `assigned` for the node, `preparing` for
    /// an image, a volume or a network, `starting` for the health check.
    ///
    /// ## When it is wrong
    /// A large image may take longer than the minutes that the doctor grants it.
    ///
    /// Source: swarmkit `api/types.proto`, the states of a task; `manager/orchestrator/`.
    "service/replicas-missing": Error, "fewer tasks run than the service wants";
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
        // A task on a node that is down counts as running for swarm, and serves nobody.
        let running =
            slots.iter().filter(|slot| slot.running().is_some_and(|task| !on_dead_node(task, nodes))).count();
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
                    "its last task ended, and the next starts {delay} s after it{place}: {}",
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

fn on_dead_node(task: &Task, nodes: &[Node]) -> bool {
    nodes.iter().any(|node| task.node.as_ref() == Some(&node.id) && node.state == NodeState::Down)
}

/// The task that a place has been waiting for longer than its state may take.
fn stuck<'a>(service: &Service, slot: &Slot<'a>, view: &View<'_>) -> Option<&'a Task> {
    if slot.running().is_some() {
        return None;
    }
    let Some(task) = slot.current() else {
        // It failed, and its restart policy starts no other.
        return slot
            .ended()
            .next()
            .filter(|task| seconds_since(task.since, view) > 30 && service.restart != "any");
    };
    let patience = match (task.desired.as_str(), task.state.as_str()) {
        // It waits out the delay between two tries, of which only one that was chosen is long.
        ("ready", _) | (_, "ready") => {
            let failed = slot.ended().next().is_some_and(|last| last.state != "complete");
            return (failed && service.restart_delay > Some(60) && seconds_since(task.since, view) > 15)
                .then_some(task);
        }
        (_, "new" | "pending" | "assigned" | "accepted") => 30,
        (_, "preparing") => 180,
        _ => 300,
    };
    (seconds_since(task.since, view) > patience).then_some(task)
}

/// Where the tasks that are missing stand.
fn standing(task: &Task, missing: usize, place: &str) -> String {
    let error = &task.error;
    let (is, has) = if missing == 1 { ("is", "has") } else { ("are", "have") };
    match task.state.as_str() {
        "new" => format!("{missing} {is} new: the managers have found no network address"),
        "pending" => format!("{missing} {is} pending{place}: {error}"),
        "assigned" | "accepted" => format!("{missing} {is} given{place} and not taken up there"),
        "preparing" => format!("{missing} {is} being prepared{place}, without an end"),
        "starting" => format!("{missing} {has} started{place}, and no health check passes"),
        "failed" | "rejected" => format!("{missing} {has} ended{place}, and nothing starts another: {error}"),
        other => format!("{missing} {is} {other}{place}"),
    }
}

fn remedy(service: &Service, task: &Task, node: Option<facts::NodeName>) -> Remedy {
    let name = shell_quote(&service.name);
    let (text, command) = match task.state.as_str() {
        "new" => (
            "see whether the service's networks have free addresses",
            format!("docker service inspect {name}"),
        ),
        "assigned" | "accepted" | "preparing" => (
            "see what the engine of that node does: its log, its disk, its way to the registry",
            "swarm-doctor run".into(),
        ),
        "ready" => (
            "read what the program said last, and let it be tried again sooner",
            format!("docker service update --restart-delay 5s {name}"),
        ),
        "starting" => ("see what the health check says", format!("docker service logs --tail 50 {name}")),
        "failed" | "rejected" => {
            ("mend what made it end, and start it again", format!("docker service update --force {name}"))
        }
        _ => ("see where the tasks stand", format!("docker service ps --no-trunc {name}")),
    };
    let node = match task.state.as_str() {
        "assigned" | "accepted" | "preparing" => node,
        _ => None,
    };
    Remedy {
        title: format!("Get the tasks of {} going", service.name).into(),
        risk: Risk::Manual,
        impact: "looking changes nothing".into(),
        steps: vec![Step::Manual {
            node: node.unwrap_or_else(|| "a manager".into()),
            text: text.into(),
            commands: vec![command],
        }],
    }
}
