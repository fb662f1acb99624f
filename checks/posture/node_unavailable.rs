use super::advice;
use crate::shell_quote;
use crate::{Evidence, Findings, Judged, Subject, Target, View};
use facts::swarm::NodeState;

check! {
    /// A worker is Ready, and its availability is drain or pause.
    ///
    /// ## Why it matters
    /// It gets no tasks. After maintenance this is often forgotten, and the other nodes have its load.
    ///
    /// ## How to fix it
    /// `docker node update --availability active NODE`.
    ///
    /// ## When it is wrong
    /// If the node is kept free on purpose. Drained managers are not reported.
    ///
    /// Source: Docker docs "Drain a node on the swarm".
    "posture/node-unavailable": Info, "a node was left drained or paused";
    healthy "every node takes tasks";
    needs Nodes;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let nodes = view.snapshot.nodes.get()?;
    let left = |node: &&facts::swarm::Node| {
        node.state == NodeState::Ready && node.availability != "active" && node.manager.is_none()
    };
    for node in nodes.iter().filter(left) {
        let summary = format!("{} is Ready and has the availability {}", node.name, node.availability);
        let shown = format!("{}: Spec.Availability {}", node.name, node.availability);
        out.report(Subject::Node(node.name.clone()), summary, Evidence::value(nodes, shown)).remedy(advice(
            Target::AnyManager,
            "Let the node take tasks again",
            "set it active, if the maintenance is over",
            vec![format!("docker node update --availability active {}", shell_quote(node.name.as_str()))],
        ));
    }
    Ok(())
}
