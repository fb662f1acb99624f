//! How a node comes back into the swarm under the address that it has now.

use crate::remedy::shell_quote;
use crate::{Remedy, Risk, Step, View};
use facts::{Host, NodeName};

/// What a worker does whose address changed.
pub(super) fn rejoin_worker(node: &NodeName, new: &str) -> Remedy {
    Remedy {
        title: "Join again from the present address".into(),
        risk: Risk::Disruptive,
        impact: "the tasks of this node are started elsewhere; it gets a new id, and its labels have to be given again"
            .into(),
        steps: vec![
            Step::Leave { node: node.clone(), force: false },
            Step::Join { node: node.clone(), advertise: Some(new.to_owned()), manager: false },
            forget(node),
        ],
    }
}

/// What a manager does whose address changed.
pub(super) fn rejoin_manager(node: &NodeName, new: &str, view: &View<'_>) -> Remedy {
    let count = quorum(node, view).unwrap_or_else(|| "the swarm has one manager fewer".to_owned());
    Remedy {
        title: "Rejoin the manager from its present address".into(),
        risk: Risk::Destructive,
        impact: format!("{count} until it has joined; its tasks restart").into(),
        steps: vec![
            demote(node, view),
            Step::Leave { node: node.clone(), force: true },
            Step::Join { node: node.clone(), advertise: Some(new.to_owned()), manager: true },
            forget(node),
        ],
    }
}

/// From another manager: from the one that is looked from, where it knows the others.
pub(super) fn demote(node: &NodeName, view: &View<'_>) -> Step {
    let listed = view.snapshot.nodes.get().ok().and_then(|nodes| {
        let mut managers = nodes.iter().filter(|other| other.name == *node && other.manager.is_some());
        // By a name that two have, nobody is meant.
        managers.next().filter(|_| managers.next().is_none())
    });
    let here = view.snapshot.hosts.first().map(|host: &Host| host.name.clone());
    let here = here.filter(|here| listed.is_some() && here != node);
    Step::DemoteManager {
        node: here.unwrap_or_else(|| "another manager".into()),
        name: node.clone(),
        id: listed.map(|node| node.id.to_string()),
    }
}

/// How many managers answer without this one, and how many are needed then.
fn quorum(node: &NodeName, view: &View<'_>) -> Option<String> {
    let nodes = view.snapshot.nodes.get().ok()?;
    let others: Vec<_> =
        nodes.iter().filter(|other| other.name != *node).filter_map(|other| other.manager.as_ref()).collect();
    let present = others.iter().filter(|manager| manager.leader || manager.reachable).count();
    let needed = others.len() / 2 + 1;
    Some(format!("{present} of {} managers answer without it, and {needed} are needed", others.len()))
}

/// The entry that the node leaves behind.
fn forget(node: &NodeName) -> Step {
    Step::Manual {
        node: "a manager".into(),
        text: "once the old entry is down, remove it by its id".into(),
        commands: vec![
            format!("docker node ls --filter name={}", shell_quote(node.as_str())),
            "docker node rm OLD-ID".into(),
        ],
    }
}
