use crate::model::node_entries::{is_former_self, replacement};
use crate::remedies::remove_node::remove_node;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::Host;

check! {
    /// A host left the swarm while it was a manager, and its old entry is still a member of raft.
    ///
    /// ## Why it matters
    /// `docker swarm leave --force` does not inform the other managers. The swarm still counts the entry: it needs one more
    /// manager for a majority, and the others keep dialing it. After the host has rejoined as a worker, it learns of a
    /// manager at its own address and dials itself.
    ///
    /// ## How to fix it
    /// Demote the old entry by its ID on a manager, and remove it. Demote a manager before it leaves for good.
    ///
    /// ## When it is wrong
    /// When two hosts have the same hostname, and the one that is down will return.
    ///
    /// Source: Docker docs "Administer and maintain a swarm" ("Forcibly remove a node"); moby `daemon/cluster/swarm.go`
    /// (`Leave`).
    "swarm/stale-manager-entry": Error, "a host that left as a manager is still counted as one";
    healthy "every manager entry belongs to a present manager";
    needs Nodes, Info, Interfaces, EngineLog;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    match view.snapshot.nodes.get() {
        // Of several hosts that list the nodes, one reports it.
        Ok(_) if view.snapshot.hosts.first().is_some_and(|first| first.name != host.name) => Ok(()),
        Ok(nodes) => {
            for node in nodes.iter().filter(|node| node.manager.is_some()) {
                let Some(present) = replacement(node, nodes) else { continue };
                let summary = format!(
                    "{} left while it was a manager and rejoined as {}: its old entry {} still counts as a manager",
                    node.name, present.id, node.id
                );
                let shown = format!("{} {}: Status.State: down; a manager", node.name, node.id);
                let evidence = Evidence::value(nodes, shown);
                let step = remove_node(host.name.clone().into(), node, present);
                out.report(Subject::Node(node.name.clone()), summary, evidence)
                    .remedy(remove(node.name.as_str(), step));
            }
            Ok(())
        }
        Err(gap) if gap.why.leaves_open() => Err(gap),
        Err(_) => from_itself(host, view, out),
    }
}

/// On the worker itself: one of the managers that it knows is its own old entry.
fn from_itself(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    for manager in &info.swarm.managers {
        if !is_former_self(manager, host)? {
            continue;
        }
        let (id, addr) = (&manager.node_id, manager.addr);
        let summary = format!(
            "this host left while it was a manager: its old entry {id} at {addr} still counts as a manager, and this node \
             dials itself"
        );
        let shown = format!("Swarm.RemoteManagers: {id} at {addr}; Swarm.NodeID: {}", info.swarm.node_id);
        let other = info.swarm.managers.iter().find(|other| other.addr != addr);
        let on = other.map_or_else(|| Target::AnyManager, |other| view.name_of(other.addr.ip()).into());
        let finding =
            out.report(Subject::Node(host.name.clone()), summary, Evidence::value(info, shown)).remedy(
                remove(host.name.as_str(), Step::RemoveNode { node: on, id: id.to_string(), manager: true }),
            );
        // A log line with the old node ID proves that this host was that node.
        let log = host.log.get().ok();
        let line = log.and_then(|log| {
            let own = |field: &String| field == id.as_str();
            let line = log.lines.iter().rev().find(|line| line.fields.get("node.id").is_some_and(own))?;
            Some(Evidence::log(log, line))
        });
        match line {
            Some(line) => drop(finding.with(line)),
            None => drop(finding.confidence(Confidence::Medium)),
        }
    }
    Ok(())
}

fn remove(name: &str, step: Step) -> Remedy {
    Remedy {
        title: format!("Demote and remove the old manager entry of {name}").into(),
        risk: Risk::Safe,
        impact: "Running tasks are not affected. The managers need a quorum for it.".into(),
        steps: vec![step],
    }
}
