use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::Host;
use facts::swarm::LocalState;

check! {
    /// This host is already in a swarm, or is joining one.
    ///
    /// ## Why it matters
    /// `docker swarm join` is refused: "This node is already part of a swarm". The answer is the same while the node is
    /// locked, while its swarm component is in state error, and while an earlier join continues in the background.
    ///
    /// ## How to fix it
    /// Check which swarm the host is in. To leave it: drain the host, demote it if it is a manager, and leave; then remove its
    /// entry on a manager of the present swarm.
    ///
    /// ## When it is wrong
    /// When the host is in the swarm that it is meant to join. Nothing has to be done then.
    ///
    /// Source: moby `daemon/cluster/swarm.go` (`Join`, `errSwarmExists`).
    "join/already-a-member": Error, "this host is already in a swarm";
    healthy "this host is in no swarm";
    needs Join, Info, Certificates;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let join = host.join.get()?;
    let info = host.info.get()?;
    let swarm = &info.swarm;
    if swarm.state == LocalState::Inactive {
        return Ok(());
    }
    let certificate = host.certificate.get().ok().and_then(|seen| seen.value.as_ref());
    let cluster = swarm
        .cluster_id
        .clone()
        .filter(|id| !id.is_empty())
        .or_else(|| certificate.map(|certificate| certificate.organisation.clone()));
    let target = super::tls_answer(join)
        .ok()
        .and_then(|answer| answer.certificate.as_ref())
        .map(|certificate| &certificate.organisation);
    let of = match &cluster {
        Some(id) if target == Some(id) => format!("the swarm to join, {id}"),
        Some(id) => format!("swarm {id}"),
        None => "a swarm".to_owned(),
    };
    let summary = match swarm.state {
        LocalState::Active => format!("this host is already a member of {of}"),
        LocalState::Pending => format!("this host is already joining {of}"),
        ref other => format!("this host is already a member of {of}, in state {}", other.as_str()),
    };
    let mut shown = format!("LocalNodeState {}", swarm.state.as_str());
    if !swarm.managers.is_empty() {
        let managers: Vec<String> = swarm.managers.iter().map(|manager| manager.addr.to_string()).collect();
        shown.push_str(&format!(", RemoteManagers {}", managers.join(", ")));
    }
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::value(info, shown));
    if let Ok(seen) = host.certificate.get()
        && let Some(certificate) = certificate
    {
        let shown = format!("the node certificate: O={}, OU={}", certificate.organisation, certificate.unit);
        finding.with(Evidence::value(seen, shown));
    }
    finding.remedy(Remedy {
        title: format!("Leave the present swarm before {} joins another", host.name).into(),
        risk: Risk::Destructive,
        impact: format!(
            "The tasks of {} move to other nodes. A manager takes its vote with it; the last manager takes the swarm.",
            host.name
        )
        .into(),
        steps: vec![
            Step::Manual {
                node: Target::Described("a manager of the present swarm"),
                text: "drain the node, and demote it if it is a manager".into(),
                commands: vec![
                    format!("docker node update --availability drain {}", crate::shell_quote(host.name.as_str())),
                    format!("docker node demote {}", crate::shell_quote(host.name.as_str())),
                ],
            },
            Step::Manual {
                node: host.name.clone().into(),
                text: "leave; use --force only if no manager of that swarm answers any more".into(),
                commands: vec!["docker swarm leave".into()],
            },
        ],
    });
    Ok(())
}
