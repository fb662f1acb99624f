use crate::model::state_files::{StateFile, crash, damaged_file, start_error};
use crate::remedies::state_files::replace_state_file;
use crate::{Confidence, Evidence, Finding, Findings, Judged, Subject, View};
use facts::engine::Info;
use facts::swarm::LocalState;
use facts::{Gap, Host, Seen, Why};

check! {
    /// A state file of the engine is damaged, missing, or older than the other state files.
    ///
    /// ## Why it matters
    /// After a power failure, a full disk or a restored backup a file may be empty, truncated or corrupt. With a broken
    /// certificate, key or raft log the swarm component exits, `LocalNodeState` is `error`, and commands answer only that
    /// this node is not a swarm manager. With a broken `state.json`, `docker-state.json`, `tasks.db` or `local-kv.db` the
    /// engine itself does not start, and usually does not name the file.
    ///
    /// ## How to fix it
    /// Back up the state with the engine stopped. The engine re-creates `tasks.db` and `local-kv.db` when they are moved
    /// aside. For the other files of `swarm/`, a worker or one of several managers gives up its identity and joins again;
    /// the only manager of a swarm needs its backup.
    ///
    /// ## When it is wrong
    /// When the file is intact and the disk is not: check the kernel log for I/O errors first.
    ///
    /// Source: swarmkit `node/node.go`, `ca/certificates.go`, `manager/state/raft/storage.go`; moby#34827, swarmkit#2959.
    "swarm/state-damaged": Error, "a state file of the engine is unusable";
    healthy "the state files of the engine are usable";
    needs Info, EngineProcess, EngineLog, SwarmState, Certificates, Nodes;
    caused_by "host/disk-full";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    match host.info.get() {
        Ok(info) if info.swarm.state == LocalState::Error => {
            let Some((file, why)) = damaged_file(&info.swarm.error, host)? else { return Ok(()) };
            let first = Evidence::value(info, format!("Swarm.Error: {}", info.swarm.error));
            report(host, file, &format!("the swarm component does not run: {why}"), first, view, out);
        }
        Ok(info) if info.swarm.state == LocalState::Inactive => docker_state_missing(host, view, out)?,
        Ok(info) if info.swarm.state == LocalState::Pending => no_known_manager(host, info, view, out)?,
        Ok(_) => {}
        Err(gap) => {
            if host.engine.get()?.running().is_some() || matches!(gap.why, Why::NotApplicable { .. }) {
                return Err(gap);
            }
            let log = host.log.get()?;
            if let Some((file, line)) = crash(log) {
                let why = format!("dockerd crashed while reading {}: {}", file.path(), line.message);
                report(host, file, &why, Evidence::log(log, line), view, out);
            } else if let Some((file, line)) = start_error(log, host) {
                let why = format!("dockerd does not start: it cannot read {}: {}", file.path(), line.message);
                report(host, file, &why, Evidence::log(log, line), view, out);
            }
        }
    }
    Ok(())
}

/// A host with a node certificate whose engine does not know that it is a member.
fn docker_state_missing(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let (state, certificate) = (host.swarm_state.get()?, host.certificate.get()?);
    let (None, Some(holds)) = (&state.value, &certificate.value) else { return Ok(()) };
    let summary = format!(
        "{} is missing, so dockerd does not know that it is node {} of a swarm",
        StateFile::DockerState.path(),
        holds.common_name
    );
    let first = Evidence::absent(state, "docker-state.json");
    let finding = report(host, StateFile::DockerState, &summary, first, view, out);
    finding.with(Evidence::value(certificate, format!("a certificate of node {}", holds.common_name)));
    Ok(())
}

/// A node that knows its identity and no manager.
fn no_known_manager(host: &Host, info: &Seen<Info>, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let (managers, certificate) = (host.remembered_managers.get()?, host.certificate.get()?);
    let joins = host.swarm_state.get()?.value.as_ref().is_none_or(|state| state.join_in_progress);
    let (true, false, Some(holds)) = (managers.is_empty(), joins, &certificate.value) else { return Ok(()) };
    let summary = format!(
        "{} lists no manager, so node {} cannot connect to one and waits permanently",
        StateFile::Managers.path(),
        holds.common_name
    );
    let first = Evidence::absent(managers, "a manager in state.json");
    report(host, StateFile::Managers, &summary, first, view, out)
        .with(Evidence::value(info, "LocalNodeState: pending, RemoteManagers: none"));
    Ok(())
}

fn report<'a>(
    host: &Host,
    file: StateFile,
    summary: &str,
    first: Evidence,
    view: &View<'_>,
    out: &'a mut Findings<'_>,
) -> &'a mut Finding {
    let finding = out.report(Subject::Node(host.name.clone()), summary, first);
    for gap in unreadable(host) {
        finding.with(Evidence::gap(&gap));
    }
    if file == StateFile::OtherRootCa {
        finding.confidence(Confidence::Medium);
    }
    finding.remedy(replace_state_file(host, file, view))
}

/// The state files that this program could not read either.
fn unreadable(host: &Host) -> Vec<Gap> {
    let gaps = [
        host.swarm_state.get().err(),
        host.remembered_managers.get().err(),
        host.certificate.get().err(),
        host.root_certificate.get().err(),
    ];
    gaps.into_iter().flatten().filter(|gap| matches!(gap.why, Why::Malformed { .. })).collect()
}
