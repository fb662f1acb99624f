//! How an entry that a node left behind is removed from the node list.

use crate::{Step, Target};
use facts::swarm::Node;

/// Removes `old`, which `present` replaced. Two different addresses may belong to two hosts with one hostname, so a person
/// has to decide then.
pub(crate) fn remove_node(on: Target, old: &Node, present: &Node) -> Step {
    let (id, manager) = (old.id.to_string(), old.manager.is_some());
    let step = Step::RemoveNode { node: on.clone(), id, manager };
    match (old.addr, present.addr) {
        (Some(was), Some(is)) if was != is => Step::Manual {
            node: on,
            text: format!("remove the entry by its ID, unless {was} is another host with the same hostname"),
            commands: step.commands(),
        },
        _ => step,
    }
}
