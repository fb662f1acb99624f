use super::refusals::{refusals, within};
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::swarm::LocalState;

/// How long ago somebody may have asked, in minutes, for it to matter still.
const RECENT: i64 = 10;

check! {
    /// Somebody sent a command for the swarm to a node that is no manager.
    ///
    /// ## Why it matters
    /// Nothing is broken: `docker node`, `service` and `stack` work on managers alone. On a node that is in no swarm
    /// they say "Use docker swarm init or docker swarm join", and so they do on a manager whose swarm component does
    /// not run.
    ///
    /// ## How to fix it
    /// Give the command on a manager, or with a context or `-H` that names one.
    ///
    /// ## When it is wrong
    /// Where a program asks over and over: then it is that program which should ask a manager.
    ///
    /// Source: moby `daemon/cluster/cluster.go` (`errNoManager`).
    "swarm/not-a-manager": Info, "a command for the swarm was given to a node that is no manager";
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
    // What was said before it joined or left says nothing of now.
    let words = match swarm.state {
        LocalState::Active => "Worker nodes can't be used",
        LocalState::Inactive => "Use \"docker swarm init\"",
        _ => "This node is not a swarm manager",
    };
    let log = host.log.get()?;
    let now = view.snapshot.taken;
    let asked: Vec<_> = refusals(log)
        .filter(|refusal| refusal.reason.starts_with("This node is not a swarm manager"))
        .filter(|refusal| refusal.reason.contains(words) && within(refusal.at, now, RECENT))
        .collect();
    let Some(last) = asked.last() else { return Ok(()) };
    let standing = match swarm.state {
        LocalState::Active => "a worker".to_owned(),
        LocalState::Inactive => "in no swarm".to_owned(),
        ref other => format!("in state {}", other.as_str()),
    };
    let times = match asked.len() {
        1 => String::new(),
        times => format!(", the last of {times}"),
    };
    let at = last.at.strftime("%H:%M UTC");
    let summary =
        format!("{} at {at}{times} was refused: this node is {standing}, and no manager", last.request);
    let managers: Vec<String> = swarm.managers.iter().map(|manager| manager.addr.to_string()).collect();
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, last.line));
    finding.with(Evidence::value(log, last.reason));
    let mut shown = format!("LocalNodeState {}, ControlAvailable false", swarm.state.as_str());
    if !managers.is_empty() {
        shown.push_str(&format!(", managers {}", managers.join(", ")));
    }
    finding.with(Evidence::value(info, shown));
    let node = match managers.first() {
        Some(first) => {
            facts::NodeName(first.rsplit_once(':').map_or(first.as_str(), |(addr, _)| addr).into())
        }
        None => "a manager".into(),
    };
    finding.remedy(Remedy {
        title: "Give the command on a manager".into(),
        risk: Risk::Safe,
        impact: "nothing that runs is touched".into(),
        steps: vec![Step::Manual {
            node,
            text: "give it there".into(),
            commands: vec!["docker node ls".into()],
        }],
    });
    Ok(())
}
