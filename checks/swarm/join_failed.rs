use super::failure::{Failure, failure};
use super::refusals::within;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::log::{Line, Log, Program};
use facts::swarm::LocalState;
use facts::{Host, Seen};

/// How long ago an attempt may have failed, in minutes, for it to matter still.
const RECENT: i64 = 6 * 60;
/// How old the last try of an attempt may be, in minutes, that still goes on.
const GOES_ON: i64 = 2;

check! {
    /// This machine tried to join a swarm, and it failed.
    ///
    /// ## Why it matters
    /// The command says little, and after 20 s it says nothing more than "Timeout was reached": the attempt goes on
    /// in the background, ends a minute later, and leaves the node in state error, where a second join is refused.
    ///
    /// ## How to fix it
    /// Remove the cause that is named. Then `docker swarm leave --force`, if the state is pending or error, and join
    /// again. `swarm-doctor preflight --join` says beforehand whether it will succeed.
    ///
    /// ## When it is wrong
    /// Where nobody wants the machine in the swarm any more: attempts of the last six hours are told, unless the
    /// machine joined since.
    ///
    /// Source: swarmkit `ca/certificates.go`, moby `daemon/cluster/swarm.go`, `noderunner.go`.
    "swarm/join-failed": Error, "an attempt to join a swarm failed";
    needs Info, EngineLog, SwarmState;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "host/disk-full", "swarm/state-damaged", "host/firewall-drops-swarm", "swarm/local-advertise-addr", "network/manager-port-blocked", "network/port-taken", "engine/live-restore", "swarm/lost-quorum",
        "swarm/certificate-expired", "join/own-address", "join/manager-unreachable", "join/not-a-manager",
        "join/token-malformed", "join/token-of-another-swarm", "join/root-ca-unavailable", "join/clock-skew",
        "join/not-a-swarm-manager-port";
    for each Host: run
}

/// What an attempt ended in.
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
                // Without the file nobody knows whether it was a join that failed.
                joining?;
                return Ok(());
            }
            let shown = format!("Swarm.Error: {}", info.swarm.error);
            Some(Attempt { reason: &info.swarm.error, evidence: Evidence::value(info, shown) })
        }
        LocalState::Pending => last(host.log.get()?, now, GOES_ON, true),
        _ => last(host.log.get()?, now, RECENT, false),
    };
    let Some(Attempt { reason, evidence }) = attempt else { return Ok(()) };
    let Some(failure) = failure(reason) else { return Ok(()) };
    let manager = begun.map(|state| state.remote_addr.clone()).filter(|addr| !addr.is_empty());
    let manager = manager.or_else(|| failure.addr.clone());
    let through = manager.as_ref().map(|addr| format!(" through {addr}")).unwrap_or_default();
    let summary = match state {
        LocalState::Pending => format!("the join{through} gets no further: {}", failure.story),
        _ => format!("the join{through} failed: {}", failure.story),
    };
    let finding = out.report(Subject::Node(host.name.clone()), summary, evidence);
    finding.with(Evidence::value(info, format!("LocalNodeState: {}", state.as_str())));
    if let (Ok(seen), Some(begun)) = (&joining, begun) {
        let shown = format!("JoinInProgress: true, RemoteAddr {}", begun.remote_addr);
        finding.with(Evidence::value(seen, shown));
    }
    if !failure.sure {
        finding.confidence(Confidence::Medium);
    }
    finding.remedy(remedy(host, state, manager.as_deref().unwrap_or("MANAGER"), failure));
    Ok(())
}

/// What the last attempt ended in, unless it is too long ago or the machine joined since.
fn last<'a>(log: &'a Seen<Log>, now: facts::Timestamp, minutes: i64, goes_on: bool) -> Option<Attempt<'a>> {
    for line in log.lines.iter().rev().filter(|line| line.program == Program::Engine) {
        if line.message.starts_with("manager selected by agent for new session") {
            return None;
        }
        let Some(reason) = ended_in(line, goes_on) else { continue };
        if !within(line.at?, now, minutes) {
            return None;
        }
        return Some(Attempt { reason, evidence: Evidence::log(log, line) });
    }
    None
}

/// Why an attempt, or one try of it, ended.
fn ended_in(line: &Line, goes_on: bool) -> Option<&str> {
    if let Some(reason) = line.message.strip_prefix("cluster exited with error: ") {
        return Some(reason);
    }
    // A name that cannot be looked up is refused at once, and nothing was begun.
    if let Some((request, rest)) = line.message.split_once(" returned error")
        && request.starts_with("Handler for POST")
        && request.ends_with("/swarm/join")
    {
        let told = rest.strip_prefix(": ").filter(|reason| !reason.is_empty());
        let reason = told.or_else(|| line.fields.get("error").map(String::as_str))?;
        return reason.contains("dial udp: lookup ").then_some(reason);
    }
    let try_of_it =
        ["failed to retrieve remote root CA certificate", "failed to request and save new certificate"];
    (goes_on && try_of_it.contains(&line.message.as_str()))
        .then(|| line.fields.get("error").map(String::as_str))
        .flatten()
}

fn remedy(host: &Host, state: &LocalState, target: &str, failure: Failure) -> Remedy {
    let node = || host.name.clone();
    let mut steps = vec![Step::Manual {
        node: if failure.there { "the manager that was named".into() } else { node() },
        text: failure.cure.into(),
        commands: failure.commands.iter().map(|command| (*command).to_owned()).collect(),
    }];
    if matches!(state, LocalState::Pending | LocalState::Error) {
        steps.push(Step::Manual {
            node: node(),
            text: "give the failed attempt up; nothing runs here yet that could be lost".into(),
            commands: vec!["docker swarm leave --force".into()],
        });
    }
    steps.push(Step::Manual {
        node: node(),
        text: "see whether a join would succeed now, and with which command".into(),
        commands: vec![format!("swarm-doctor preflight --join {} --token TOKEN", crate::shell_quote(target))],
    });
    Remedy {
        title: "Remove the cause, then join again".into(),
        risk: Risk::Safe,
        impact: "nothing that runs is touched".into(),
        steps,
    }
}
