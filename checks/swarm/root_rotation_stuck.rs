use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::swarm::{Node, NodeState};

check! {
    /// The rotation of the swarm's root CA waits for a node.
    ///
    /// ## Why it matters
    /// `docker swarm ca --rotate` completes when every listed node has a certificate from the new root CA. Until then the old
    /// root CA stays trusted, the command does not return, and a leaked CA key still opens the swarm. A node that is off or
    /// gone blocks the rotation permanently.
    ///
    /// ## How to fix it
    /// Restore the node: it requests its certificate by itself. Remove a node that is permanently lost from the node list.
    ///
    /// ## When it is wrong
    /// Shortly after the start of the rotation: reachable nodes have two minutes.
    ///
    /// Source: swarmkit `ca/reconciler.go`; Docker docs, `docker swarm ca`.
    "swarm/root-rotation-stuck": Warning, "the root CA rotation waits for the node";
    healthy "no root CA rotation waits for a node";
    needs Swarm, Nodes, Info;
    caused_by "swarm/node-down";
    for each Node: run
}

/// The time in seconds that a reachable node has for a new certificate.
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
    let state = if gone { "is down" } else { "does not request a certificate" };
    let summary = format!("the root CA rotation waits for {}, which {state}", node.name);
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
        format!("{} {}: CertIssuerPublicKey differs from the new root CA of the swarm", node.name, node.id),
    ))
    .remedy(Remedy {
        title: format!("Restore {} or remove it from the node list", node.name).into(),
        risk: Risk::Manual,
        impact: "Running tasks are not affected. A removed node has to join again.".into(),
        steps: vec![
            Step::Manual {
                node: node.name.clone().into(),
                text: "run swarm-doctor there; the rotation completes once the node reaches the managers"
                    .into(),
                commands: vec!["sudo swarm-doctor run".into()],
            },
            Step::Manual {
                node: view
                    .manager()
                    .filter(|name| *name != node.name)
                    .map_or(Target::AnyManager, Target::Node),
                text: "only if the node is permanently lost: remove it".into(),
                commands: vec![format!("docker node rm {}", shell_quote(node.id.as_str()))],
            },
        ],
    });
    Ok(())
}
