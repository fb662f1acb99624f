use super::local_advertise_addr::is_engines;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::swarm::{LocalState, Node, NodeState, RemoteManager};
use facts::{Host, NodeName};

check! {
    /// A machine left the swarm while it was a manager, and its old entry is still a member of raft.
    ///
    /// ## Why it matters
    /// `docker swarm leave --force` tells nobody. The swarm goes on counting the entry: it needs one more manager for a
    /// majority than there are, and the others go on dialing it. The machine itself, once it is back as a worker, is told
    /// that a manager is to be found at its own address, and dials itself.
    ///
    /// ## How to fix it
    /// On a manager demote the old entry by its id and remove it. Whoever leaves for good is demoted first.
    ///
    /// ## When it is wrong
    /// Two machines have one hostname, and the one that is down is to come back.
    ///
    /// Source: Docker docs "Administer and maintain a swarm" ("Forcibly remove a node"); moby `daemon/cluster/swarm.go`
    /// (`Leave`).
    "swarm/stale-manager-entry": Error, "a machine that left as a manager still counts as one";
    needs Nodes, Info, Interfaces, EngineLog;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    match view.snapshot.nodes.get() {
        // Of several machines that list the nodes one tells it.
        Ok(_) if view.snapshot.hosts.first().is_some_and(|first| first.name != host.name) => Ok(()),
        Ok(nodes) => {
            for node in nodes.iter().filter(|node| node.manager.is_some()) {
                let Some(present) = twin(node, nodes) else { continue };
                let summary = format!(
                    "{} left while it was a manager and came back as {}: its old entry {} still counts as a manager",
                    node.name, present.id, node.id
                );
                let shown = format!("{} {}: Status.State: down; a manager", node.name, node.id);
                let evidence = Evidence::value(nodes, shown);
                out.report(Subject::Node(node.name.clone()), summary, evidence).remedy(remove(removal(
                    host.name.clone(),
                    node,
                    present,
                )));
            }
            Ok(())
        }
        Err(gap) if gap.why.leaves_open() => Err(gap),
        Err(_) => from_itself(host, out),
    }
}

/// What a worker sees of it: it is told of a manager that it was itself.
fn from_itself(host: &Host, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    for manager in &info.swarm.managers {
        if !is_own_past(manager, host)? {
            continue;
        }
        let (id, addr) = (&manager.node_id, manager.addr);
        let summary = format!(
            "this machine left while it was a manager: its old entry {id} at {addr} still counts as one, and this node dials \
             itself"
        );
        let shown = format!("Swarm.RemoteManagers: {id} at {addr}; Swarm.NodeID: {}", info.swarm.node_id);
        let finding = out
            .report(Subject::Node(host.name.clone()), summary, Evidence::value(info, shown))
            .remedy(remove(Step::RemoveNode { node: "a manager".into(), id: id.to_string(), manager: true }));
        // What the engine wrote while it was that node proves it.
        let log = host.log.get().ok();
        let was = log.and_then(|log| {
            let line = log
                .lines
                .iter()
                .rev()
                .find(|line| line.fields.get("node.id").is_some_and(|told| told == id.as_str()))?;
            Some(Evidence::log(log, line))
        });
        match was {
            Some(was) => drop(finding.with(was)),
            None => drop(finding.confidence(Confidence::Medium)),
        }
    }
    Ok(())
}

/// Whether a manager that this worker was told of is one that it was itself: the address is the one that it advertises,
/// and there are others, for it came back through one.
pub(super) fn is_own_past(manager: &RemoteManager, host: &Host) -> Result<bool, facts::Gap> {
    let (info, interfaces) = (host.info.get()?, host.interfaces.get()?);
    let swarm = &info.swarm;
    let addr = manager.addr.ip();
    let bridged = interfaces.iter().any(|interface| interface.holds(addr) && is_engines(interface));
    Ok(swarm.state == LocalState::Active
        && !swarm.control_available
        && swarm.node_addr == Some(addr)
        && manager.node_id != swarm.node_id
        && swarm.managers.iter().any(|other| other.addr.ip() != addr)
        && !addr.is_loopback()
        && !bridged)
}

/// The entry under which a machine is in the swarm now, where this one is what it left behind.
pub(crate) fn twin<'a>(node: &Node, nodes: &'a [Node]) -> Option<&'a Node> {
    let is_down = node.state == NodeState::Down;
    nodes.iter().find(|other| {
        is_down && other.id != node.id && other.name == node.name && other.state == NodeState::Ready
    })
}

/// How the entry goes that a machine left behind. Where the two come from two addresses, they may be two machines of one
/// name, and a person has to say.
pub(super) fn removal(on: NodeName, old: &Node, present: &Node) -> Step {
    let (id, manager) = (old.id.to_string(), old.manager.is_some());
    let step = Step::RemoveNode { node: on.clone(), id, manager };
    match (old.addr, present.addr) {
        (Some(was), Some(is)) if was != is => Step::Manual {
            node: on,
            text: format!("if {was} is no other machine with the same name, remove it by its id"),
            commands: step.commands(),
        },
        _ => step,
    }
}

fn remove(step: Step) -> Remedy {
    Remedy {
        title: "Remove the old entry".into(),
        risk: Risk::Safe,
        impact: "nothing that runs is touched; a majority of the managers has to answer".into(),
        steps: vec![step],
    }
}
