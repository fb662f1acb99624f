use crate::model::join_failure::join_failure;
use crate::model::state_files::damaged_file;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::log::{Line, Program};
use facts::swarm::LocalState;

check! {
    /// The swarm component of the engine exited with an error.
    ///
    /// ## Why it matters
    /// The engine itself runs and answers. `LocalNodeState` is `error`: the node takes no part in the swarm, receives no
    /// tasks, and the managers show it as Down. Commands answer only that this node is not a swarm manager.
    ///
    /// ## How to fix it
    /// Fix what the error names, then restart the engine. If the error stays, leave the swarm and join again; the only
    /// manager of a swarm needs its backup.
    ///
    /// ## When it is wrong
    /// During the pause before a restart of the component: the engine retries after at most 30 s.
    ///
    /// Source: moby `daemon/cluster/noderunner.go`, `daemon/cluster/cluster.go`.
    "swarm/component-failed": Error, "the swarm component of the engine does not run";
    healthy "the swarm component of the engine runs";
    needs Info, SwarmState, EngineLog;
    caused_by "host/disk-full", "network/port-taken", "engine/live-restore", "engine/file-limit-reached",
        "swarm/certificate-expired", "swarm/state-damaged", "swarm/removed-from-swarm", "swarm/lost-quorum",
        "swarm/stale-advertise-addr", "swarm/local-advertise-addr", "swarm/join-failed", "swarm/join-stalled",
        "host/firewall-drops-swarm", "network/manager-port-blocked";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    if info.swarm.state != LocalState::Error {
        return Ok(());
    }
    let error = info.swarm.error.as_str();
    if has_own_check(error, host) {
        return Ok(());
    }
    let summary = if error.is_empty() {
        "the swarm component does not run, and dockerd reports no error for it".to_owned()
    } else {
        format!("the swarm component does not run: {}", innermost(error))
    };
    let shown = format!("LocalNodeState: error; Swarm.Error: {error}");
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::value(info, shown));
    if let Ok(log) = host.log.get()
        && let Some(line) = log.lines.iter().rev().find(|line| is_exit(line))
    {
        finding.with(Evidence::log(log, line));
    }
    finding.remedy(Remedy {
        title: format!("Fix the error, then restart dockerd on {}", host.name).into(),
        risk: Risk::Disruptive,
        impact: format!("All tasks on {} restart.", host.name).into(),
        steps: vec![
            Step::Manual {
                node: host.name.clone().into(),
                text: "read the error and the lines before it, and fix the cause".into(),
                commands: vec![
                    "docker info --format '{{.Swarm.Error}}'".into(),
                    "journalctl -u docker --since -1h | grep -i -e swarm -e cluster -e raft".into(),
                ],
            },
            Step::RestartEngine { node: host.name.clone().into() },
        ],
    });
    Ok(())
}

/// Whether another check explains this error.
fn has_own_check(error: &str, host: &Host) -> bool {
    let joining = host.swarm_state.get().ok().and_then(|state| state.value.as_ref());
    let join_in_progress = joining.is_some_and(|state| state.join_in_progress);
    let expired = error.contains("not valid after") || error.contains("not valid before");
    let leaderless = error.contains("does not have a leader") || error.contains("no elected cluster leader");
    expired
        || leaderless
        || damaged_file(error, host).is_ok_and(|file| file.is_some())
        || (join_in_progress && join_failure(error).is_some())
}

fn is_exit(line: &Line) -> bool {
    line.program == Program::Engine
        && (line.message.starts_with("cluster exited with error: ")
            || line.message.starts_with("swarm component could not be started"))
}

/// The innermost error of nested gRPC errors.
fn innermost(error: &str) -> &str {
    let inner = error.rsplit("desc = ").next().unwrap_or(error);
    inner.trim_matches(['"', '\\', ' '])
}
