use crate::model::refused_requests::{refused_requests, within_minutes};
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, Target, View};
use facts::Host;
use facts::swarm::LocalState;

/// The age in minutes up to which a refused command is reported.
const RECENT: i64 = 30;
/// By how many seconds a certificate is valid before it was issued: an hour, rounded to minutes.
const BACKDATED: i64 = 59 * 60;

check! {
    /// A `docker swarm join` or `init` was refused because this node is already in a swarm.
    ///
    /// ## Why it matters
    /// The engine answers "This node is already part of a swarm". It gives the same answer while the node is locked, while
    /// its swarm component is in state error, and while an earlier join continues in the background.
    ///
    /// ## How to fix it
    /// Check which swarm the node is in. To move it to another swarm: drain and demote it, leave, remove its entry on a
    /// manager, and join.
    ///
    /// ## When it is wrong
    /// When the node is in the intended swarm. Nothing has to be done then, and nothing was changed.
    ///
    /// Source: moby `daemon/cluster/errors.go` (`errSwarmExists`).
    "swarm/already-a-member": Warning, "the node is already in a swarm and cannot join another";
    healthy "no join or init was refused on this node";
    needs Info, EngineLog, Certificates;
    caused_by "swarm/certificate-expired", "swarm/autolock-locked", "swarm/removed-from-swarm", "swarm/join-failed",
        "join/already-a-member";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    let swarm = &info.swarm;
    if swarm.state == LocalState::Inactive {
        return Ok(());
    }
    let log = host.log.get()?;
    let now = view.snapshot.taken;
    let refused = refused_requests(log).rev().find(|refused| {
        matches!(refused.request.as_str(), "POST /swarm/join" | "POST /swarm/init")
            && refused.reason.contains("already part of a swarm")
    });
    let Some(refused) = refused.filter(|refused| within_minutes(refused.at, now, RECENT)) else {
        return Ok(());
    };
    // A certificate issued since then means that the node left and joined again.
    let certificate = host.certificate.get().ok();
    let issued = certificate.and_then(|seen| seen.value.as_ref()).map(|certificate| certificate.not_before);
    if issued.is_some_and(|issued| refused.at.duration_since(issued).as_secs() < BACKDATED) {
        return Ok(());
    }
    let cluster = swarm.cluster_id.clone().filter(|id| !id.is_empty()).or_else(|| {
        let certificate = certificate?.value.as_ref()?;
        Some(certificate.organisation.clone())
    });
    let command = if refused.request.ends_with("init") { "docker swarm init" } else { "docker swarm join" };
    let cluster = cluster.map(|id| format!("swarm {id}")).unwrap_or_else(|| "a swarm".into());
    let managers: Vec<String> = swarm.managers.iter().map(|manager| manager.addr.to_string()).collect();
    let role = if swarm.control_available { "a manager" } else { "a worker" };
    let at = refused.at.strftime("%H:%M UTC");
    let summary = match swarm.state {
        LocalState::Active => {
            format!("{command} was refused at {at}: this node is already {role} of {cluster}")
        }
        ref other => format!(
            "{command} was refused at {at}: this node is already a member of {cluster}, in state {}",
            other.as_str()
        ),
    };
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, refused.line));
    finding.with(Evidence::value(log, refused.reason));
    let mut shown = format!("LocalNodeState {}, NodeID {}", swarm.state.as_str(), swarm.node_id.as_str());
    if !managers.is_empty() {
        shown.push_str(&format!(", managers {}", managers.join(", ")));
    }
    finding.with(Evidence::value(info, shown));
    if let (Some(seen), Some(issued)) = (certificate, issued) {
        let shown = format!("the node certificate is valid from {}", issued.strftime("%Y-%m-%d %H:%M UTC"));
        finding.with(Evidence::value(seen, shown));
    }
    if swarm.state != LocalState::Active {
        finding.severity(Severity::Error);
    }
    finding.remedy(leave_first(host));
    Ok(())
}

fn leave_first(host: &Host) -> Remedy {
    let name = crate::shell_quote(host.name.as_str());
    Remedy {
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
                    format!("docker node update --availability drain {name}"),
                    format!("docker node demote {name}"),
                ],
            },
            Step::Manual {
                node: host.name.clone().into(),
                text: "leave; use --force only if no manager of that swarm answers any more".into(),
                commands: vec!["docker swarm leave".into()],
            },
            Step::Manual {
                node: host.name.clone().into(),
                text: "check whether a join to the other swarm would succeed".into(),
                commands: vec!["swarm-doctor preflight --join MANAGER --token TOKEN".into()],
            },
        ],
    }
}
