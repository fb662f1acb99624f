use super::advice;
use crate::model::engine_version::EngineVersion;
use crate::{Evidence, Findings, Judged, Subject, Target, View};

check! {
    /// Nodes run an engine release that is not maintained any more.
    ///
    /// ## Why it matters
    /// Known vulnerabilities of the engine, runc and containerd stay open, and fixes for swarm go to newer releases only.
    ///
    /// ## How to fix it
    /// Upgrade node by node: drain, upgrade, activate; the managers last.
    ///
    /// ## When it is wrong
    /// If a distribution maintains the package. Versions of Debian (`+dfsg`) are not reported.
    ///
    /// Source: moby `project/BRANCHES-AND-TAGS.md`; endoflife.date "Docker Engine".
    "posture/engine-end-of-life": Info, "the engine gets no security updates";
    healthy "the engine gets security updates";
    needs Nodes;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let nodes = view.snapshot.nodes.get()?;
    let old: Vec<String> = nodes
        .iter()
        .filter(|node| {
            !node.engine.contains("dfsg") && EngineVersion::parse(&node.engine).is_some_and(is_old)
        })
        .map(|node| format!("{}: {}", node.name, node.engine))
        .collect();
    if old.is_empty() {
        return Ok(());
    }
    let summary = format!("{} of {} nodes run an engine release without updates", old.len(), nodes.len());
    out.report(Subject::Cluster, summary, Evidence::value(nodes, old.join(", "))).remedy(advice(
        Target::EachNode,
        "Upgrade the engines",
        "drain a node, upgrade its engine, activate it, then the next one; the managers last",
        vec!["docker node ls --format '{{.Hostname}} {{.EngineVersion}}'".into()],
    ));
    Ok(())
}

/// Whether a release gets no updates. 25.0 has long-term support.
fn is_old(version: EngineVersion) -> bool {
    version < EngineVersion(25, 0, 0) || (EngineVersion(26, 0, 0)..EngineVersion(28, 0, 0)).contains(&version)
}
