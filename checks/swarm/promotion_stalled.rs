use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, Target, View};
use facts::swarm::{Node, NodeState};

check! {
    /// A node was promoted, and raft has not added it as a manager.
    ///
    /// ## Why it matters
    /// It does not count as a manager until raft has added it: the fault tolerance of the swarm is the same as before the
    /// promotion.
    ///
    /// ## How to fix it
    /// Before the leader adds a manager, it connects to it: 2377/tcp has to be open there, on the address that the node
    /// advertises. The node retries every few seconds.
    ///
    /// ## When it is wrong
    /// For some seconds after the promotion.
    ///
    /// Source: swarmkit `manager/state/raft/raft.go` (`Join` checks the address), `node/node.go` (`superviseManager`).
    "swarm/promotion-stalled": Warning, "the promotion of a node did not complete";
    healthy "every promoted node is a manager";
    needs Nodes, Info;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac",
        "host/firewall-drops-swarm", "swarm/local-advertise-addr", "swarm/stale-advertise-addr",
        "network/manager-port-blocked", "swarm/node-down";
    for each Node: run
}

fn run(node: &Node, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    if !node.wants_manager || node.manager.is_some() || node.state != NodeState::Ready {
        return Ok(());
    }
    let nodes = view.snapshot.nodes.get()?;
    let summary = format!("{} was promoted, and raft has not added it as a manager", node.name);
    let shown = format!("{} {}: Spec.Role: manager; no ManagerStatus", node.name, node.id);
    out.report(Subject::Node(node.name.clone()), summary, Evidence::value(nodes, shown))
        .severity(Severity::Warning)
        .confidence(Confidence::Medium)
        .remedy(Remedy {
            title: format!("Find out why the leader cannot reach 2377/tcp of {}", node.name).into(),
            risk: Risk::Manual,
            impact: "Running tasks are not affected. The node retries by itself.".into(),
            steps: vec![
                Step::Manual {
                    node: node.name.clone().into(),
                    text: "run swarm-doctor there, read the error of its engine, and open 2377/tcp to the leader".into(),
                    commands: vec![
                        "sudo swarm-doctor run".into(),
                        "docker info --format '{{.Swarm.Error}}'".into(),
                    ],
                },
                Step::Manual {
                    node: view.manager().map_or(Target::AnyManager, Target::Node),
                    text: "or undo the promotion, and promote another node".into(),
                    commands: vec![format!("docker node demote {}", shell_quote(node.name.as_str()))],
                },
            ],
        });
    Ok(())
}
