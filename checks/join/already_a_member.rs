use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::swarm::LocalState;

check! {
    /// This machine is in a swarm already, or was about to join one.
    ///
    /// ## Why it matters
    /// `docker swarm join` is refused: "This node is already part of a swarm". That holds as well while the node is
    /// locked, while its swarm component is broken, and while an earlier join goes on in the background.
    ///
    /// ## How to fix it
    /// Look which swarm it is. If the machine is to leave it, drain it first, demote it if it is a manager, and
    /// leave; then remove its entry on a manager of the old swarm.
    ///
    /// ## When it is wrong
    /// Where the swarm to be joined is the one that it is in: then there is nothing to do.
    ///
    /// Source: moby `daemon/cluster/swarm.go` (`Join`, `errSwarmExists`).
    "join/already-a-member": Error, "this machine is in a swarm already";
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
    let target = super::spoken(join)
        .ok()
        .and_then(|spoken| spoken.certificate.as_ref())
        .map(|certificate| &certificate.organisation);
    let of = match &cluster {
        Some(id) if target == Some(id) => format!("the swarm that it is to join, {id}"),
        Some(id) => format!("the swarm {id}"),
        None => "a swarm".to_owned(),
    };
    let standing = match swarm.state {
        LocalState::Active => "is a member of".to_owned(),
        LocalState::Pending => "is about to join".to_owned(),
        ref other => format!("is a member, in state {}, of", other.as_str()),
    };
    let mut shown = format!("LocalNodeState {}", swarm.state.as_str());
    if !swarm.managers.is_empty() {
        let managers: Vec<String> = swarm.managers.iter().map(|manager| manager.addr.to_string()).collect();
        shown.push_str(&format!(", RemoteManagers {}", managers.join(", ")));
    }
    let summary = format!("this machine {standing} {of} already");
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::value(info, shown));
    if let Ok(seen) = host.certificate.get()
        && let Some(certificate) = certificate
    {
        let shown =
            format!("the node's certificate: O={}, OU={}", certificate.organisation, certificate.unit);
        finding.with(Evidence::value(seen, shown));
    }
    finding.remedy(Remedy {
        title: "Leave the old swarm first, if it is to be left".into(),
        risk: Risk::Destructive,
        impact: "the tasks of this node move to others; a manager takes its vote with it, and the last one the swarm"
            .into(),
        steps: vec![
            Step::Manual {
                node: "a manager of the old swarm".into(),
                text: "drain the node, and demote it where it is a manager".into(),
                commands: vec![
                    format!("docker node update --availability drain {}", crate::shell_quote(host.name.as_str())),
                    format!("docker node demote {}", crate::shell_quote(host.name.as_str())),
                ],
            },
            Step::Manual {
                node: host.name.clone(),
                text: "leave; --force only where no manager of the old swarm answers any more".into(),
                commands: vec!["docker swarm leave".into()],
            },
        ],
    });
    Ok(())
}
