//! How a node comes back into the swarm under a new address or with a new identity.

use crate::remedy::shell_quote;
use crate::{Remedy, Risk, Step, Target, View};
use facts::{Host, NodeName};
use std::net::{IpAddr, SocketAddr};

/// The remedy for a worker whose address changed.
pub(crate) fn rejoin_worker(node: &NodeName, new: &str, view: &View<'_>) -> Remedy {
    Remedy {
        title: format!("Rejoin {node} with its present address {new}").into(),
        risk: Risk::Disruptive,
        impact: format!(
            "The tasks of {node} move to other nodes. {node} gets a new node ID and loses its labels."
        )
        .into(),
        steps: vec![
            Step::Leave { node: node.clone().into(), force: false },
            Step::Join {
                node: node.clone().into(),
                advertise: Some(new.to_owned()),
                manager: false,
                through: join_target(node, view),
            },
            remove_old_entry(node, view),
        ],
    }
}

/// The remedy for a manager whose address changed.
pub(crate) fn rejoin_manager(node: &NodeName, new: &str, view: &View<'_>) -> Remedy {
    let count = quorum_without(node, view).unwrap_or_else(|| "the swarm has one manager less".to_owned());
    Remedy {
        title: format!("Rejoin manager {node} with its present address {new}").into(),
        risk: Risk::Destructive,
        impact: format!("Until {node} has rejoined, {count}. The tasks of {node} restart.").into(),
        steps: vec![
            demote(node, view),
            Step::Leave { node: node.clone().into(), force: true },
            Step::Join {
                node: node.clone().into(),
                advertise: Some(new.to_owned()),
                manager: true,
                through: join_target(node, view),
            },
            remove_old_entry(node, view),
        ],
    }
}

/// The manager through which `node` can join: one that the node list shows as reachable, else one that `node` knows.
pub(crate) fn join_target(node: &NodeName, view: &View<'_>) -> Option<SocketAddr> {
    let usable = |addr: IpAddr| !addr.is_loopback() && !addr.is_unspecified();
    let listed = view.snapshot.nodes.get().ok().and_then(|nodes| {
        let mut managers: Vec<_> = nodes
            .iter()
            .filter(|other| other.name != *node)
            .filter_map(|other| other.manager.as_ref())
            .filter(|manager| manager.leader || manager.reachable)
            .filter_map(|manager| Some((!manager.leader, manager.addr?)))
            .collect();
        managers.sort_unstable();
        managers.first().map(|(_, addr)| *addr)
    });
    let known = || {
        let host = view.snapshot.hosts.iter().find(|host| host.name == *node)?;
        let info = host.info.get().ok();
        let own = info.map(|info| info.swarm.node_id.clone());
        let engine = info.iter().flat_map(|info| info.swarm.managers.iter());
        let saved = host.remembered_managers.get().ok();
        let file = saved.iter().flat_map(|managers| managers.iter());
        engine.chain(file).find(|manager| Some(&manager.node_id) != own.as_ref()).map(|manager| manager.addr)
    };
    listed.or_else(known).filter(|addr| usable(addr.ip()))
}

/// The command to join through a manager, with placeholders for what is not known.
pub(crate) fn join_command(advertise: Option<&str>, through: Option<SocketAddr>) -> String {
    let advertise = advertise.map(|addr| format!(" --advertise-addr {addr}")).unwrap_or_default();
    let manager = through.map_or_else(|| "MANAGER:2377".to_owned(), |addr| addr.to_string());
    format!("docker swarm join{advertise} --token TOKEN {manager}")
}

/// Demotes a manager from another one: from the manager that was examined, where it lists the nodes.
pub(crate) fn demote(node: &NodeName, view: &View<'_>) -> Step {
    let listed = view.snapshot.nodes.get().ok().and_then(|nodes| {
        let mut managers = nodes.iter().filter(|other| other.name == *node && other.manager.is_some());
        // A hostname that two managers have identifies neither.
        managers.next().filter(|_| managers.next().is_none())
    });
    let here = view.snapshot.hosts.first().map(|host: &Host| host.name.clone());
    let here = here.filter(|here| listed.is_some() && here != node);
    Step::DemoteManager {
        node: here.map_or(Target::OtherManager, Target::Node),
        name: node.clone(),
        id: listed.map(|node| node.id.to_string()),
    }
}

/// The quorum of the managers without `node`, as a clause.
fn quorum_without(node: &NodeName, view: &View<'_>) -> Option<String> {
    let nodes = view.snapshot.nodes.get().ok()?;
    let others: Vec<_> = nodes
        .iter()
        .filter(|other| other.name != *node)
        .filter_map(|other| Some((other, other.manager.as_ref()?)))
        .collect();
    let present = others.iter().filter(|(_, manager)| manager.leader || manager.reachable).count();
    match others.as_slice() {
        [] => None,
        [(only, manager)] if manager.leader || manager.reachable => {
            Some(format!("{} is the only manager and tolerates no failure", only.name))
        }
        [(only, _)] => Some(format!("{} is the only manager, and it is unreachable", only.name)),
        all => Some(format!(
            "{present} of the {} other managers answer and {} are needed",
            all.len(),
            all.len() / 2 + 1
        )),
    }
}

/// Removes the entry that the node leaves behind in the node list.
pub(crate) fn remove_old_entry(node: &NodeName, view: &View<'_>) -> Step {
    let listed = view.snapshot.nodes.get().ok();
    let mut ids = listed.iter().flat_map(|nodes| nodes.iter()).filter(|other| other.name == *node);
    let id = ids.next().filter(|_| ids.next().is_none()).map(|node| node.id.to_string());
    let mut commands = Vec::new();
    if id.is_none() {
        commands.push(format!("docker node ls --filter name={}", shell_quote(node.as_str())));
    }
    commands.push(format!("docker node rm {}", id.as_deref().unwrap_or("OLD-ID")));
    Step::Manual {
        // It comes last, so it must not look like a part of what this manager does first.
        node: Target::AnyManager,
        text: "once the old entry is down, remove it by its ID".into(),
        commands,
    }
}
