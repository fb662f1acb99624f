use crate::remedies::rejoin::join_target;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::log::{Line, Program};

check! {
    /// The managers removed this node from the swarm, and its engine has not noticed.
    ///
    /// ## Why it matters
    /// `docker node rm` was run for it, usually while it was off. The engine still shows "active" or "pending", keeps its
    /// containers for a while, and every manager rejects it. The managers show nothing: the node is not in their list.
    ///
    /// ## How to fix it
    /// Leave the swarm on this node and join again. The node gets a new ID; set its labels and its role again.
    ///
    /// ## When it is wrong
    /// Never, while the node has the ID that the managers name.
    ///
    /// Source: swarmkit `ca/auth.go`, `ca/server.go`.
    "swarm/removed-from-swarm": Error, "the managers removed this node from the swarm";
    healthy "the managers accept the identity of this node";
    needs Info, EngineLog, Certificates, Nodes, SwarmState;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get();
    let by_engine = info.as_ref().ok().map(|info| info.swarm.node_id.as_str()).filter(|id| !id.is_empty());
    let id = match by_engine {
        Some(id) => id.to_owned(),
        // An engine that does not answer, or without swarm component, still has its ID in its certificate.
        None => match &host.certificate.get()?.value {
            Some(certificate) => certificate.common_name.clone(),
            None => return Ok(()),
        },
    };
    let log = host.log.get()?;
    let Some((line, what)) = log.lines.iter().rev().find_map(|line| Some((line, rejection(line, &id)?)))
    else {
        return Ok(());
    };
    let summary = format!("the managers removed this node, {id}, from the swarm and reject it");
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, line));
    finding.with(Evidence::value(log, what));
    if let Ok(info) = info {
        let shown =
            format!("LocalNodeState {}, NodeID {}", info.swarm.state.as_str(), info.swarm.node_id.as_str());
        finding.with(Evidence::value(info, shown));
    }
    finding.remedy(Remedy {
        title: format!("Leave the swarm on {}, and join again", host.name).into(),
        risk: Risk::Disruptive,
        impact: format!(
            "The task containers that still run on {} end. It gets a new node ID and loses its labels and its role.",
            host.name
        )
        .into(),
        steps: vec![
            Step::Leave { node: host.name.clone().into(), force: true },
            Step::Join {
                node: host.name.clone().into(),
                advertise: None,
                manager: false,
                through: join_target(&host.name, view),
            },
        ],
    });
    Ok(())
}

/// The permanent rejection of this node by a manager, where this line has one.
fn rejection<'a>(line: &'a Line, id: &str) -> Option<&'a str> {
    if line.program != Program::Engine {
        return None;
    }
    let what = line.fields.get("error").unwrap_or(&line.message);
    let removed = what.contains(&format!("node {id} was removed from swarm"));
    let unknown = what.contains(&format!("node {id} not found when attempting to renew certificate"));
    (removed || unknown).then_some(what.as_str())
}
