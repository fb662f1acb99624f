//! The slots of a service, and the tasks that filled each, the newest first.

use crate::View;
use facts::service::{Service, Task};
use facts::swarm::NodeState;
use facts::{NodeId, NodeName, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How long a single rejection counts as a retry and not yet as a failure, in seconds.
const RETRY_SECONDS: i64 = 15;

/// One slot of a service: a number for a replicated service, a node for a global one.
pub(crate) struct Slot<'a> {
    tasks: Vec<&'a Task>,
}

/// The slots of a service that should run a task, or should have until it failed.
pub(crate) fn slots<'a>(service: &Service, tasks: &'a [Task]) -> Vec<Slot<'a>> {
    if service.replicas == Some(0) || service.job {
        return Vec::new();
    }
    let mut slots: BTreeMap<(u64, Option<&NodeId>), Vec<&Task>> = BTreeMap::new();
    for task in tasks.iter().filter(|task| task.service == service.id) {
        let node = task.node.as_ref().filter(|_| task.slot == 0);
        slots.entry((task.slot, node)).or_default().push(task);
    }
    let mut slots: Vec<Slot<'_>> = slots.into_values().map(|tasks| Slot { tasks }).collect();
    for slot in &mut slots {
        slot.tasks.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
    }
    slots.retain(Slot::is_wanted);
    slots
}

impl<'a> Slot<'a> {
    fn is_wanted(&self) -> bool {
        self.tasks.iter().any(|task| is_current(task))
            || self.tasks.first().is_some_and(|task| has_failed(task))
    }

    /// The task that should run now.
    pub(crate) fn current(&self) -> Option<&'a Task> {
        self.tasks.iter().copied().find(|task| is_current(task))
    }

    /// The task that runs.
    pub(crate) fn running(&self) -> Option<&'a Task> {
        self.tasks.iter().copied().find(|task| task.state == "running" && task.desired == "running")
    }

    /// The tasks of the slot that were created before this one, the newest first.
    pub(crate) fn before(&self, task: &Task) -> impl Iterator<Item = &'a Task> + use<'a> {
        let at =
            self.tasks.iter().position(|other| other.id == task.id).map_or(self.tasks.len(), |at| at + 1);
        self.tasks.iter().copied().skip(at).collect::<Vec<_>>().into_iter()
    }

    /// The tasks since swarm last stopped one that ran: what came before is no longer true of the slot.
    fn episode(&self) -> impl Iterator<Item = &'a Task> {
        self.tasks.iter().copied().take_while(|task| !was_stopped(task))
    }

    /// The tasks that ended by themselves in this episode, the newest first.
    pub(crate) fn ended(&self) -> impl Iterator<Item = &'a Task> {
        self.episode().filter(|task| has_failed(task) || task.state == "complete")
    }

    /// The tasks that no container could be started for, where that is what keeps the slot empty now.
    pub(crate) fn refused(&self, view: &View<'_>) -> Vec<&'a Task> {
        let (refused, ran): (Vec<_>, Vec<_>) = self.ended().partition(|task| never_started(task));
        let in_a_row = self.ended().take_while(|task| never_started(task)).count();
        // One retry may well succeed. Two rejections are a pattern, and so is a slot that stays empty.
        let lasting = refused.first().is_some_and(|task| seconds_since(task.since, view) > RETRY_SECONDS)
            && !self.current().is_some_and(makes_progress);
        let fails = in_a_row > 1 || (in_a_row > 0 && lasting) || refused.len() > ran.len();
        // A container that starts has left behind what the rejections were about.
        let starts = self.current().is_some_and(|task| task.state == "starting");
        if self.running().is_none() && !starts && fails { refused } else { Vec::new() }
    }
}

fn is_current(task: &Task) -> bool {
    matches!(task.desired.as_str(), "running" | "ready") && !has_failed(task)
}

fn has_failed(task: &Task) -> bool {
    matches!(task.state.as_str(), "failed" | "rejected")
}

/// Whether a node works on the task, so that its outcome is still open.
fn makes_progress(task: &Task) -> bool {
    matches!(task.state.as_str(), "assigned" | "accepted" | "preparing" | "ready" | "starting")
}

/// Whether the task ran and swarm stopped it, or is stopping it: by an update, a drain or a scale-down.
fn was_stopped(task: &Task) -> bool {
    let stopping = matches!(task.desired.as_str(), "shutdown" | "remove");
    stopping && (task.state == "running" || (task.state == "shutdown" && task.exit_code.is_some()))
}

/// Whether no container could be created or started for the task. A container that was lost with its engine did run.
pub(crate) fn never_started(task: &Task) -> bool {
    let exited = task.error.starts_with("task: ") || task.error.starts_with("No such container");
    task.state == "rejected" || (task.state == "failed" && !exited)
}

/// Whether the node lacks the image of a task and could not pull it.
pub(crate) fn lacks_image(task: &Task) -> bool {
    ["No such image", "pull access denied", "manifest unknown", "no matching manifest"]
        .iter()
        .any(|words| task.error.contains(words))
}

/// Seconds from a time to now; 0 where the time is not known.
pub(crate) fn seconds_since(at: Option<Timestamp>, view: &View<'_>) -> i64 {
    at.map_or(0, |at| view.snapshot.taken.as_second() - at.as_second())
}

/// Whether a task is on a node that is down: swarm counts it as running, and it is unreachable.
pub(crate) fn is_on_down_node(task: &Task, nodes: &[facts::swarm::Node]) -> bool {
    nodes.iter().any(|node| task.node.as_ref() == Some(&node.id) && node.state == NodeState::Down)
}

/// The nodes of these tasks, by name where the node list has them.
pub(crate) fn nodes_of<'a>(tasks: impl IntoIterator<Item = &'a Task>, view: &View<'_>) -> Vec<NodeName> {
    let ids: BTreeSet<&NodeId> = tasks.into_iter().filter_map(|task| task.node.as_ref()).collect();
    let name = |id: &NodeId| match view.node(id) {
        Ok(Some(node)) => node.name.clone(),
        _ => NodeName(id.to_string()),
    };
    let names: BTreeSet<NodeName> = ids.into_iter().map(name).collect();
    names.into_iter().collect()
}

/// `a, b and c`.
pub(crate) fn listed<T: ToString>(names: &[T]) -> String {
    let names: Vec<String> = names.iter().map(T::to_string).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}
