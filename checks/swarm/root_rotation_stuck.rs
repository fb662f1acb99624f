use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::swarm::{Node, NodeState};

check! {
    /// The swarm's certificate authority is being replaced, and waits for a node.
    ///
    /// ## Why it matters
    /// `docker swarm ca --rotate` ends when every node that is listed has a certificate from the new authority; until
    /// then the old one goes on to be trusted, the command hangs, and the key that was perhaps leaked still opens the
    /// swarm. A node that is off or gone keeps it so for ever.
    ///
    /// ## How to fix it
    /// Bring the node back: it fetches its certificate by itself. One that is gone for good is removed from the list.
    ///
    /// ## When it is wrong
    /// For a moment after the rotation was begun: nodes that are there are given two minutes.
    ///
    /// Source: swarmkit `ca/reconciler.go`; Docker docs, `docker swarm ca`.
    "swarm/root-rotation-stuck": Warning, "the new certificate authority waits for the node";
    needs Swarm, Nodes;
    caused_by "swarm/node-down";
    for each Node: run
}

/// What nodes that are there may take for a new certificate, in seconds.
const PATIENCE: i64 = 120;

fn run(node: &Node, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let cluster = view.snapshot.cluster.get()?;
    let behind = cluster.rotating && !node.issuer.is_empty() && node.issuer != cluster.issuer;
    let begun = cluster.updated.map(|at| view.snapshot.taken.duration_since(at).as_secs());
    let gone = node.state != NodeState::Ready;
    if !behind || !gone && begun.is_some_and(|seconds| seconds < PATIENCE) {
        return Ok(());
    }
    let nodes = view.snapshot.nodes.get()?;
    let state = if gone { "is down" } else { "fetches none" };
    let summary = format!("the swarm's new certificate authority waits for {}, which {state}", node.name);
    let changed = cluster
        .updated
        .map(|at| at.strftime("; UpdatedAt: %Y-%m-%d %H:%M UTC").to_string())
        .unwrap_or_default();
    out.report(
        Subject::Node(node.name.clone()),
        summary,
        Evidence::value(cluster, format!("RootRotationInProgress: true{changed}")),
    )
    .with(Evidence::value(
        nodes,
        format!("{} {}: its certificate is from another authority than the swarm's", node.name, node.id),
    ))
    .remedy(Remedy {
        title: "Bring the node back, or take it off the list".into(),
        risk: Risk::Manual,
        impact: "a node that was removed has to join anew".into(),
        steps: vec![Step::Manual {
            node: "a manager".into(),
            text: format!(
                "the rotation ends by itself once {} is back and reaches the managers; only where it is gone for good",
                node.name
            ),
            commands: vec![format!("docker node rm {}", shell_quote(node.id.as_str()))],
        }],
    });
    Ok(())
}
