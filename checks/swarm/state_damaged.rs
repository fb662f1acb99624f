use super::damage::{File, crash, last_words, reason};
use super::state_cure::remedy;
use crate::{Confidence, Evidence, Finding, Findings, Judged, Subject, View};
use facts::engine::Info;
use facts::swarm::LocalState;
use facts::{Gap, Host, Seen, Why};

check! {
    /// A file in which the engine keeps its state is damaged, lost, or of another time than the others.
    ///
    /// ## Why it matters
    /// After a power cut, a full disk or a restored backup a file may be empty, cut short or garbled. With a broken
    /// certificate, key or raft log the swarm component ends, `LocalNodeState` is `error`, and commands say only that
    /// this is no swarm manager. With a broken `state.json`, `docker-state.json`, `tasks.db` or `local-kv.db`
    /// the engine itself does not start, and mostly does not say which file it could not read.
    ///
    /// ## How to fix it
    /// Keep a copy of what is there, with the engine stopped. `tasks.db` and `local-kv.db` are made anew when they
    /// are moved aside. For everything else of `swarm/` a worker, and a manager among others, leaves its
    /// old identity behind and joins again; the only manager of a swarm needs its backup.
    ///
    /// ## When it is wrong
    /// When the file is whole and the disk under it is not: see the kernel's log for I/O errors first.
    ///
    /// Source: swarmkit `node/node.go`, `ca/certificates.go`, `manager/state/raft/storage.go`; moby#34827, swarmkit#2959.
    "swarm/state-damaged": Error, "a file of the engine's state cannot be used";
    needs Info, EngineProcess, EngineLog, SwarmState, Certificates;
    caused_by "host/disk-full";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    match host.info.get() {
        Ok(info) if info.swarm.state == LocalState::Error => {
            let Some((file, why)) = reason(&info.swarm.error, host)? else { return Ok(()) };
            let first = Evidence::value(info, format!("Swarm.Error: {}", info.swarm.error));
            say(host, file, &format!("the swarm component does not run: {why}"), first, out);
        }
        Ok(info) if info.swarm.state == LocalState::Inactive => forgotten(host, out)?,
        Ok(info) if info.swarm.state == LocalState::Pending => no_manager(host, info, out)?,
        Ok(_) => {}
        Err(gap) => {
            if host.engine.get()?.running().is_some() || matches!(gap.why, Why::NotApplicable { .. }) {
                return Err(gap);
            }
            let log = host.log.get()?;
            if let Some((file, line)) = crash(log) {
                let why = format!("the engine crashed over {}: {}", file.path(), line.message);
                say(host, file, &why, Evidence::log(log, line), out);
            } else if let Some((file, line)) = last_words(log, host) {
                let why =
                    format!("the engine cannot read {}, and does not start: {}", file.path(), line.message);
                say(host, file, &why, Evidence::log(log, line), out);
            }
        }
    }
    Ok(())
}

/// A machine that holds a certificate of a swarm, and has forgotten that it belongs to one.
fn forgotten(host: &Host, out: &mut Findings<'_>) -> Judged {
    let (state, certificate) = (host.swarm_state.get()?, host.certificate.get()?);
    let (None, Some(holds)) = (&state.value, &certificate.value) else { return Ok(()) };
    let summary = format!(
        "{} is gone, so the engine does not know that it is node {} of a swarm",
        File::DockerState.path(),
        holds.common_name
    );
    let first = Evidence::absent(state, "docker-state.json");
    let finding = say(host, File::DockerState, &summary, first, out);
    finding.with(Evidence::value(certificate, format!("a certificate of node {}", holds.common_name)));
    Ok(())
}

/// A node that knows who it is, and no manager that it could tell.
fn no_manager(host: &Host, info: &Seen<Info>, out: &mut Findings<'_>) -> Judged {
    let (managers, certificate) = (host.remembered_managers.get()?, host.certificate.get()?);
    let joins = host.swarm_state.get()?.value.as_ref().is_none_or(|state| state.join_in_progress);
    let (true, false, Some(holds)) = (managers.is_empty(), joins, &certificate.value) else { return Ok(()) };
    let summary = format!(
        "{} names no manager, so node {} waits for ever for one to tell it what to do",
        File::Managers.path(),
        holds.common_name
    );
    let first = Evidence::absent(managers, "a manager in state.json");
    say(host, File::Managers, &summary, first, out)
        .with(Evidence::value(info, "LocalNodeState: pending, RemoteManagers: none"));
    Ok(())
}

fn say<'a>(
    host: &Host,
    file: File,
    summary: &str,
    first: Evidence,
    out: &'a mut Findings<'_>,
) -> &'a mut Finding {
    let finding = out.report(Subject::Node(host.name.clone()), summary, first);
    for gap in unreadable(host) {
        finding.with(Evidence::gap(&gap));
    }
    if file == File::OtherAuthority {
        finding.confidence(Confidence::Medium);
    }
    finding.remedy(remedy(host, file))
}

/// The files that the doctor could not read either.
fn unreadable(host: &Host) -> Vec<Gap> {
    let gaps = [
        host.swarm_state.get().err(),
        host.remembered_managers.get().err(),
        host.certificate.get().err(),
        host.root_certificate.get().err(),
    ];
    gaps.into_iter().flatten().filter(|gap| matches!(gap.why, Why::Malformed { .. })).collect()
}
