use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::swarm::{Node, NodeState};

check! {
    /// A node was promoted and has not become a manager.
    ///
    /// ## Why it matters
    /// It counts for nothing until raft has taken it in: the swarm bears no more losses than before, though somebody
    /// believes it does.
    ///
    /// ## How to fix it
    /// Before the leader takes a manager in it dials back to it: 2377/tcp has to be open there, at the address that the
    /// node advertises. The node tries again by itself every few seconds.
    ///
    /// ## When it is wrong
    /// For some seconds after the promotion.
    ///
    /// Source: swarmkit `manager/state/raft/raft.go` (`Join` checks the address), `node/node.go` (`superviseManager`).
    "swarm/promotion-stalled": Warning, "a node was promoted and is no manager";
    needs Nodes;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "host/firewall-drops-swarm", "swarm/local-advertise-addr", "swarm/stale-advertise-addr", "network/manager-port-blocked",
        "swarm/node-down";
    for each Node: run
}

fn run(node: &Node, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    if !node.wants_manager || node.manager.is_some() || node.state != NodeState::Ready {
        return Ok(());
    }
    let nodes = view.snapshot.nodes.get()?;
    let summary = format!("{} was promoted, and raft has not taken it in", node.name);
    let shown = format!("{} {}: Spec.Role: manager; no ManagerStatus", node.name, node.id);
    out.report(Subject::Node(node.name.clone()), summary, Evidence::value(nodes, shown))
        .severity(Severity::Warning)
        .confidence(Confidence::Medium)
        .remedy(Remedy {
            title: "See why the leader does not take it in".into(),
            risk: Risk::Manual,
            impact: "looking changes nothing; the node tries again by itself".into(),
            steps: vec![
                Step::Manual {
                    node: node.name.clone(),
                    text: "see what its engine says, and whether 2377/tcp is open to the leader".into(),
                    commands: vec![
                        "swarm-doctor run".into(),
                        "docker info --format '{{.Swarm.Error}}'".into(),
                    ],
                },
                Step::Manual {
                    node: "a manager".into(),
                    text: "or take the promotion back, and promote another".into(),
                    commands: vec![format!("docker node demote {}", shell_quote(node.name.as_str()))],
                },
            ],
        });
    Ok(())
}
