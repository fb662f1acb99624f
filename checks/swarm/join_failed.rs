use crate::model::join_failure::{JoinFailure, join_failure};
use crate::model::refused_requests::within_minutes;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::log::{Line, Log, Program};
use facts::swarm::LocalState;
use facts::{Host, Seen};

/// The age in minutes up to which a failed join is reported.
const RECENT: i64 = 6 * 60;
/// The age in minutes up to which the last try of a join in progress is reported.
const IN_PROGRESS: i64 = 2;

check! {
    /// This host tried to join a swarm, and the join failed.
    ///
    /// ## Why it matters
    /// The command prints little. After 20 s it prints only "Timeout was reached": the join continues in the background,
    /// fails a minute later, and leaves the node in state error, in which a second join is refused.
    ///
    /// ## How to fix it
    /// Fix the cause that the finding names. Then run `docker swarm leave --force`, if the state is pending or error, and
    /// join again. `swarm-doctor preflight --join` checks beforehand whether a join would succeed.
    ///
    /// ## When it is wrong
    /// When the host is not meant to join any more: failures of the last six hours are reported, unless the host joined
    /// since.
    ///
    /// Source: swarmkit `ca/certificates.go`, moby `daemon/cluster/swarm.go`, `noderunner.go`.
    "swarm/join-failed": Error, "the join to a swarm failed";
    healthy "no join to a swarm failed on this host";
    needs Info, EngineLog, SwarmState;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "host/disk-full",
        "swarm/state-damaged", "host/firewall-drops-swarm", "swarm/local-advertise-addr",
        "network/manager-port-blocked", "network/port-taken", "engine/live-restore", "swarm/lost-quorum",
        "swarm/certificate-expired", "join/own-address", "join/manager-unreachable", "join/not-a-manager",
        "join/token-malformed", "join/token-of-another-swarm", "join/root-ca-unavailable", "join/clock-skew",
        "join/not-a-swarm-manager-port";
    for each Host: run
}

/// The end of a join, or of one try of it.
struct Attempt<'a> {
    reason: &'a str,
    evidence: Evidence,
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    let state = &info.swarm.state;
    let now = view.snapshot.taken;
    let joining = host.swarm_state.get();
    let begun = joining.as_ref().ok().and_then(|state| state.value.as_ref()).filter(|s| s.join_in_progress);
    let attempt = match state {
        LocalState::Active | LocalState::Locked => return Ok(()),
        LocalState::Error => {
            if begun.is_none() {
                // Without the file it is not known whether a join failed.
                joining?;
                return Ok(());
            }
            let shown = format!("Swarm.Error: {}", info.swarm.error);
            Some(Attempt { reason: &info.swarm.error, evidence: Evidence::value(info, shown) })
        }
        LocalState::Pending => last_attempt(host.log.get()?, now, IN_PROGRESS, true),
        _ => last_attempt(host.log.get()?, now, RECENT, false),
    };
    let Some(Attempt { reason, evidence }) = attempt else { return Ok(()) };
    let Some(failure) = join_failure(reason) else { return Ok(()) };
    let manager = begun.map(|state| state.remote_addr.clone()).filter(|addr| !addr.is_empty());
    let manager = manager.or_else(|| failure.addr.clone());
    let through = manager.as_ref().map(|addr| format!(" through {addr}")).unwrap_or_default();
    let summary = match state {
        LocalState::Pending => format!("the join{through} does not complete: {}", failure.story),
        _ => format!("the join{through} failed: {}", failure.story),
    };
    let finding = out.report(Subject::Node(host.name.clone()), summary, evidence);
    finding.with(Evidence::value(info, format!("LocalNodeState: {}", state.as_str())));
    if let (Ok(seen), Some(begun)) = (&joining, begun) {
        let shown = format!("JoinInProgress: true, RemoteAddr {}", begun.remote_addr);
        finding.with(Evidence::value(seen, shown));
    }
    if !failure.certain {
        finding.confidence(Confidence::Medium);
    }
    finding.remedy(remedy(host, state, manager.as_deref(), failure));
    Ok(())
}

/// The last attempt, unless it is too old or the host joined since.
fn last_attempt<'a>(
    log: &'a Seen<Log>,
    now: facts::Timestamp,
    minutes: i64,
    in_progress: bool,
) -> Option<Attempt<'a>> {
    for line in log.lines.iter().rev().filter(|line| line.program == Program::Engine) {
        if line.message.starts_with("manager selected by agent for new session") {
            return None;
        }
        let Some(reason) = error_of_join(line, in_progress) else { continue };
        if !within_minutes(line.at?, now, minutes) {
            return None;
        }
        return Some(Attempt { reason, evidence: Evidence::log(log, line) });
    }
    None
}

/// The error with which a join, or one try of it, ended.
fn error_of_join(line: &Line, in_progress: bool) -> Option<&str> {
    if let Some(reason) = line.message.strip_prefix("cluster exited with error: ") {
        return Some(reason);
    }
    // A hostname that cannot be resolved is refused immediately, before the join starts.
    if let Some((request, rest)) = line.message.split_once(" returned error")
        && request.starts_with("Handler for POST")
        && request.ends_with("/swarm/join")
    {
        let inline = rest.strip_prefix(": ").filter(|reason| !reason.is_empty());
        let reason = inline.or_else(|| line.fields.get("error").map(String::as_str))?;
        return reason.contains("dial udp: lookup ").then_some(reason);
    }
    let one_try =
        ["failed to retrieve remote root CA certificate", "failed to request and save new certificate"];
    (in_progress && one_try.contains(&line.message.as_str()))
        .then(|| line.fields.get("error").map(String::as_str))
        .flatten()
}

fn remedy(host: &Host, state: &LocalState, manager: Option<&str>, failure: JoinFailure) -> Remedy {
    let node = || host.name.clone();
    let address = manager.map(|addr| addr.rsplit_once(':').map_or(addr, |(addr, _)| addr));
    let mut steps = vec![Step::Manual {
        node: if failure.on_manager {
            address.map_or(Target::Described("the manager"), |addr| Target::Peer(addr.to_owned()))
        } else {
            node().into()
        },
        text: failure.remedy.into(),
        commands: failure.commands.iter().map(|command| (*command).to_owned()).collect(),
    }];
    if matches!(state, LocalState::Pending | LocalState::Error) {
        steps.push(Step::Manual {
            node: node().into(),
            text: "end the failed join; no task runs here yet".into(),
            commands: vec!["docker swarm leave --force".into()],
        });
    }
    let target = crate::shell_quote(manager.unwrap_or("MANAGER"));
    steps.push(Step::Manual {
        node: node().into(),
        text: "check whether a join would succeed now, with the token that `docker swarm join-token -q worker` prints on a \
               manager"
            .into(),
        commands: vec![format!("swarm-doctor preflight --join {target} --token TOKEN")],
    });
    Remedy {
        title: "Fix the cause, then join again".into(),
        risk: Risk::Safe,
        impact: "Running tasks are not affected.".into(),
        steps,
    }
}
