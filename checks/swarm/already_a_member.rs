use super::refusals::{refusals, within};
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::Host;
use facts::swarm::LocalState;

/// How long ago somebody may have tried, in minutes, for it to matter still.
const RECENT: i64 = 30;
/// By how many seconds a certificate begins before it was issued: an hour, rounded to minutes.
const BACKDATED: i64 = 59 * 60;

check! {
    /// Somebody tried to bring this node into a swarm, and it is in one already.
    ///
    /// ## Why it matters
    /// `docker swarm join` and `init` were refused with "This node is already part of a swarm". The engine says so
    /// as well while it is locked, while its swarm component is broken, and while an earlier join goes on behind.
    ///
    /// ## How to fix it
    /// See which swarm it is in. To move it: drain and demote it there, leave, remove its entry on a manager, and join.
    ///
    /// ## When it is wrong
    /// Where the swarm that it is in is the right one: then nothing is to be done, and nothing was changed.
    ///
    /// Source: moby `daemon/cluster/errors.go` (`errSwarmExists`).
    "swarm/already-a-member": Warning, "the node is in a swarm already and cannot join another";
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
    let tried = refusals(log).rev().find(|refusal| {
        matches!(refusal.request.as_str(), "POST /swarm/join" | "POST /swarm/init")
            && refusal.reason.contains("already part of a swarm")
    });
    let Some(tried) = tried.filter(|tried| within(tried.at, now, RECENT)) else { return Ok(()) };
    // A new identity since then means that it left and joined anew.
    let certificate = host.certificate.get().ok();
    let issued = certificate.and_then(|seen| seen.value.as_ref()).map(|certificate| certificate.not_before);
    if issued.is_some_and(|issued| tried.at.duration_since(issued).as_secs() < BACKDATED) {
        return Ok(());
    }
    let cluster = swarm.cluster_id.clone().filter(|id| !id.is_empty()).or_else(|| {
        let certificate = certificate?.value.as_ref()?;
        Some(certificate.organisation.clone())
    });
    let verb = if tried.request.ends_with("init") { "create a swarm" } else { "join a swarm" };
    let of = cluster.map(|id| format!("the swarm {id}")).unwrap_or_else(|| "a swarm".into());
    let managers: Vec<String> = swarm.managers.iter().map(|manager| manager.addr.to_string()).collect();
    let role = if swarm.control_available { "a manager" } else { "a member" };
    let at = tried.at.strftime("%H:%M UTC");
    let summary = match swarm.state {
        LocalState::Active => {
            format!("at {at} this node was told to {verb}, and it is {role} of {of} already")
        }
        ref other => format!(
            "at {at} this node was told to {verb}, and it belongs to {of} already, in state {}",
            other.as_str()
        ),
    };
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, tried.line));
    finding.with(Evidence::value(log, tried.reason));
    let mut shown = format!("LocalNodeState {}, NodeID {}", swarm.state.as_str(), swarm.node_id.as_str());
    if !managers.is_empty() {
        shown.push_str(&format!(", managers {}", managers.join(", ")));
    }
    finding.with(Evidence::value(info, shown));
    if let (Some(seen), Some(issued)) = (certificate, issued) {
        let shown =
            format!("the node's certificate is valid since {}", issued.strftime("%Y-%m-%d %H:%M UTC"));
        finding.with(Evidence::value(seen, shown));
    }
    if swarm.state != LocalState::Active {
        finding.severity(Severity::Error);
    }
    finding.remedy(leave(host));
    Ok(())
}

/// How a node goes from one swarm to another.
fn leave(host: &Host) -> Remedy {
    let name = crate::shell_quote(host.name.as_str());
    Remedy {
        title: "Leave the swarm first, if the node is to go to another".into(),
        risk: Risk::Destructive,
        impact: "the tasks of this node move to others; a manager takes its vote with it, and the last one the swarm"
            .into(),
        steps: vec![
            Step::Manual {
                node: "a manager of the swarm that it is in".into(),
                text: "drain it, and demote it where it is a manager".into(),
                commands: vec![
                    format!("docker node update --availability drain {name}"),
                    format!("docker node demote {name}"),
                ],
            },
            Step::Manual {
                node: host.name.clone(),
                text: "leave; --force only where no manager of that swarm answers any more".into(),
                commands: vec!["docker swarm leave".into()],
            },
            Step::Manual {
                node: host.name.clone(),
                text: "see whether the other swarm can be joined".into(),
                commands: vec!["swarm-doctor preflight --join MANAGER --token TOKEN".into()],
            },
        ],
    }
}
