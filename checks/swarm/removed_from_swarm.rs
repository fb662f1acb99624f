use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::log::{Line, Program};

check! {
    /// The managers have taken this node off their list, and it does not know.
    ///
    /// ## Why it matters
    /// `docker node rm` was given for it, mostly while it was away. It goes on as a member of its own accord, says
    /// "active" or "pending", keeps its containers for a while, and every manager turns it away. On the managers
    /// nothing shows: the node is just not there.
    ///
    /// ## How to fix it
    /// Leave the swarm on this node and join it anew. It gets a new id; labels and its role have to be given again.
    ///
    /// ## When it is wrong
    /// Never while the node has the id that the managers speak of.
    ///
    /// Source: swarmkit `ca/auth.go`, `ca/server.go`.
    "swarm/removed-from-swarm": Error, "the managers removed this node from the swarm";
    needs Info, EngineLog, Certificates;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get();
    let told = info.as_ref().ok().map(|info| info.swarm.node_id.as_str()).filter(|id| !id.is_empty());
    let id = match told {
        Some(id) => id.to_owned(),
        // An engine that is silent, or whose swarm component is, has its id in its certificate still.
        None => match &host.certificate.get()?.value {
            Some(certificate) => certificate.common_name.clone(),
            None => return Ok(()),
        },
    };
    let log = host.log.get()?;
    let Some((line, what)) = log.lines.iter().rev().find_map(|line| Some((line, verdict(line, &id)?))) else {
        return Ok(());
    };
    let summary = format!("the managers have removed this node, {id}, from the swarm and turn it away");
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, line));
    finding.with(Evidence::value(log, what));
    if let Ok(info) = info {
        let shown =
            format!("LocalNodeState {}, NodeID {}", info.swarm.state.as_str(), info.swarm.node_id.as_str());
        finding.with(Evidence::value(info, shown));
    }
    finding.remedy(Remedy {
        title: "Leave, and join the swarm anew".into(),
        risk: Risk::Disruptive,
        impact: "the containers that still run here as tasks end; the node gets a new id, and labels and role have to be \
                 given again"
            .into(),
        steps: vec![
            Step::Leave { node: host.name.clone(), force: true },
            Step::Join { node: host.name.clone(), advertise: None, manager: false },
        ],
    });
    Ok(())
}

/// What a manager said of this node for good, where this line has it.
fn verdict<'a>(line: &'a Line, id: &str) -> Option<&'a str> {
    if line.program != Program::Engine {
        return None;
    }
    let what = line.fields.get("error").unwrap_or(&line.message);
    let removed = what.contains(&format!("node {id} was removed from swarm"));
    let forgotten = what.contains(&format!("node {id} not found when attempting to renew certificate"));
    (removed || forgotten).then_some(what.as_str())
}
