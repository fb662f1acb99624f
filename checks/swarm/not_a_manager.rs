use crate::model::refused_requests::{refused_requests, within_minutes};
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::Host;
use facts::swarm::LocalState;

/// The age in minutes up to which a refused command is reported.
const RECENT: i64 = 10;

check! {
    /// A manager command was sent to a node that is not a manager.
    ///
    /// ## Why it matters
    /// Nothing is broken: `docker node`, `service` and `stack` work only on managers. On a node in no swarm they answer "Use
    /// docker swarm init or docker swarm join". A manager whose swarm component does not run gives the same answer.
    ///
    /// ## How to fix it
    /// Run the command on a manager, or with a context or `-H` that points to one.
    ///
    /// ## When it is wrong
    /// When a program sends the command repeatedly. That program should use a manager.
    ///
    /// Source: moby `daemon/cluster/cluster.go` (`errNoManager`).
    "swarm/not-a-manager": Info, "a manager command was sent to a node that is not a manager";
    healthy "no manager command was refused on this node";
    needs Info, EngineLog;
    caused_by "swarm/certificate-expired", "swarm/autolock-locked", "swarm/lost-quorum", "swarm/removed-from-swarm",
        "swarm/join-failed", "swarm/already-a-member";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    let swarm = &info.swarm;
    if swarm.control_available {
        return Ok(());
    }
    // A refusal from before a join or a leave has another text.
    let words = match swarm.state {
        LocalState::Active => "Worker nodes can't be used",
        LocalState::Inactive => "Use \"docker swarm init\"",
        _ => "This node is not a swarm manager",
    };
    let log = host.log.get()?;
    let now = view.snapshot.taken;
    let refused: Vec<_> = refused_requests(log)
        .filter(|refused| refused.reason.starts_with("This node is not a swarm manager"))
        .filter(|refused| refused.reason.contains(words) && within_minutes(refused.at, now, RECENT))
        .collect();
    let Some(last) = refused.last() else { return Ok(()) };
    let state = match swarm.state {
        LocalState::Active => "is a worker".to_owned(),
        LocalState::Inactive => "is in no swarm".to_owned(),
        ref other => format!("is in state {}", other.as_str()),
    };
    let at = last.at.strftime("%H:%M UTC");
    let summary = match refused.len() {
        1 => format!("1 manager command failed here at {at}: this node {state}"),
        times => format!("{times} manager commands failed here, the last at {at}: this node {state}"),
    };
    let managers: Vec<String> = swarm.managers.iter().map(|manager| manager.addr.to_string()).collect();
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, last.line));
    finding.with(Evidence::value(log, format!("{}: {}", last.request, last.reason)));
    let mut shown = format!("LocalNodeState {}, ControlAvailable false", swarm.state.as_str());
    if !managers.is_empty() {
        shown.push_str(&format!(", managers {}", managers.join(", ")));
    }
    finding.with(Evidence::value(info, shown));
    let node = match managers.first() {
        Some(first) => Target::Peer(first.rsplit_once(':').map_or(first.as_str(), |(addr, _)| addr).into()),
        None => Target::AnyManager,
    };
    finding.remedy(Remedy {
        title: "Run the command on a manager".into(),
        risk: Risk::Safe,
        impact: "Running tasks are not affected.".into(),
        steps: vec![Step::Manual {
            node,
            text: "run it there".into(),
            commands: vec!["docker node ls".into()],
        }],
    });
    Ok(())
}
