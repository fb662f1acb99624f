//! The places of a service, and the tasks that filled each, the newest first.

use crate::View;
use facts::service::{Service, Task};
use facts::{NodeId, NodeName, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// One place of a service: a number for a replicated one, a node for a global one.
pub(super) struct Slot<'a> {
    tasks: Vec<&'a Task>,
}

/// The places of a service that something is wanted in, or was until it failed.
pub(super) fn slots<'a>(service: &Service, tasks: &'a [Task]) -> Vec<Slot<'a>> {
    if service.replicas == Some(0) || service.job {
        return Vec::new();
    }
    let mut places: BTreeMap<(u64, Option<&NodeId>), Vec<&Task>> = BTreeMap::new();
    for task in tasks.iter().filter(|task| task.service == service.id) {
        let node = task.node.as_ref().filter(|_| task.slot == 0);
        places.entry((task.slot, node)).or_default().push(task);
    }
    let mut slots: Vec<Slot<'_>> = places.into_values().map(|tasks| Slot { tasks }).collect();
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

    /// The task that is meant to run now.
    pub(super) fn current(&self) -> Option<&'a Task> {
        self.tasks.iter().copied().find(|task| is_current(task))
    }

    /// The task that runs.
    pub(super) fn running(&self) -> Option<&'a Task> {
        self.tasks.iter().copied().find(|task| task.state == "running" && task.desired == "running")
    }

    /// The tasks that ended by themselves, the newest first.
    pub(super) fn ended(&self) -> impl Iterator<Item = &'a Task> {
        self.tasks.iter().copied().filter(|task| has_failed(task) || task.state == "complete")
    }

    /// The tasks that no container could be started for, where that is what keeps the place empty now.
    pub(super) fn refused(&self, view: &View<'_>) -> Vec<&'a Task> {
        let (refused, ran): (Vec<_>, Vec<_>) = self.ended().partition(|task| never_started(task));
        let in_a_row = self.ended().take_while(|task| never_started(task)).count();
        // The next try may well succeed; twice is a pattern, and so is a place that stays empty.
        let lasting = refused.first().is_some_and(|task| seconds_since(task.since, view) > 15);
        let speaks = in_a_row > 1 || (in_a_row > 0 && lasting) || refused.len() > ran.len();
        match self.running().is_none() && speaks {
            true => refused,
            false => Vec::new(),
        }
    }
}

fn is_current(task: &Task) -> bool {
    matches!(task.desired.as_str(), "running" | "ready") && !has_failed(task)
}

fn has_failed(task: &Task) -> bool {
    matches!(task.state.as_str(), "failed" | "rejected")
}

/// Whether no container could be made or started for the task. One whose container was lost with its engine did run.
pub(super) fn never_started(task: &Task) -> bool {
    let exited = task.error.starts_with("task: ") || task.error.starts_with("No such container");
    task.state == "rejected" || (task.state == "failed" && !exited)
}

/// Whether the node lacks the image of a task, and could not pull it.
pub(super) fn lacks_image(task: &Task) -> bool {
    ["No such image", "pull access denied", "manifest unknown"].iter().any(|words| task.error.contains(words))
}

/// Seconds from a time to now; none from a time that is not known.
pub(super) fn seconds_since(at: Option<Timestamp>, view: &View<'_>) -> i64 {
    at.map_or(0, |at| view.snapshot.taken.as_second() - at.as_second())
}

/// The nodes of these tasks, by name where the list has them.
pub(super) fn nodes_of<'a>(tasks: impl IntoIterator<Item = &'a Task>, view: &View<'_>) -> Vec<NodeName> {
    let ids: BTreeSet<&NodeId> = tasks.into_iter().filter_map(|task| task.node.as_ref()).collect();
    let name = |id: &NodeId| match view.node(id) {
        Ok(Some(node)) => node.name.clone(),
        _ => NodeName(id.to_string()),
    };
    let names: BTreeSet<NodeName> = ids.into_iter().map(name).collect();
    names.into_iter().collect()
}

/// `a, b and c`.
pub(super) fn listed<T: ToString>(names: &[T]) -> String {
    let names: Vec<String> = names.iter().map(T::to_string).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}
