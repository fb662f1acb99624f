//! `explain --log`: the checks that know a line of a log. The line is put at the end of the recorded log of a healthy manager,
//! and the checks that then report something with the line as evidence are those that know it.

use crate::bundle::embedded;
use crate::error::ExpectedError;
use crate::judge::judge;
use crate::policy::Policy;
use checks::{Check, Evidence, Finding, built_in};
use facts::bundle::{ArtifactStatus, Bundle, Entry};
use facts::log::Line;
use facts::parse::log::{Reading, read};
use facts::{Fact, Need, Snapshot, Timestamp, Why};
use serde_json::Value;

const HEALTHY: &[u8] = include_bytes!("../../fixtures/healthy.tar.zst");
/// How often the line is put there: some checks ignore a line that came once.
const TIMES: u32 = 3;
/// Where the line comes from, as evidence names it.
const ORIGIN: &str = "the given line";

/// The states of the node in which the line is read. Some checks know a line only where other facts allow it.
const STATES: [fn(&mut Bundle); 4] = [|_| {}, only_the_log, joining, without_engine];

/// The findings that rest on the line, the most severe first, one for each check.
pub(super) fn findings(text: &str) -> Result<Vec<Finding>, ExpectedError> {
    let healthy = embedded(HEALTHY)?;
    let line = Some(text).filter(|text| !text.trim().is_empty());
    let line = line.and_then(|text| parsed(text, healthy.manifest.taken)).ok_or_else(|| {
        ExpectedError::usage("--log: not a line of dockerd, containerd, systemd or the kernel")
    })?;
    let mut found: Vec<Finding> = Vec::new();
    for change in STATES {
        let mut bundle = healthy.clone();
        change(&mut bundle);
        let mut snapshot = facts::parse::snapshot(&bundle);
        append(&mut snapshot, &line);
        let checks = built_in().filter(|check| !check.meta.remaining).map(|check| check as &dyn Check);
        let diagnosis = judge(checks, &snapshot, &bundle.manifest, &Policy::default());
        for cause in diagnosis.findings {
            let all = std::iter::once(cause.finding).chain(cause.consequences);
            for finding in all.filter(rests_on) {
                if found.iter().all(|other| other.check != finding.check) {
                    found.push(finding);
                }
            }
        }
    }
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(found)
}

/// Nothing but the log, the engine's answers about itself and the overlays: what else was collected contradicts lines.
fn only_the_log(bundle: &mut Bundle) {
    let kept = [
        Need::EngineLog,
        Need::Ping,
        Need::Info,
        Need::Version,
        Need::Networks,
        Need::Nodes,
        Need::Overlays,
        Need::EngineProcess,
        Need::SwarmState,
    ];
    unseen(bundle, |entry| !kept.contains(&entry.need) || entry.artifact == "host/engine-namespaces.json");
}

/// A host that was asked to join and has not joined.
fn joining(bundle: &mut Bundle) {
    only_the_log(bundle);
    unseen(bundle, |entry| matches!(entry.need, Need::Networks | Need::Nodes));
    let info = bundle.artifacts.get("engine/info.json").and_then(|text| serde_json::from_slice(text).ok());
    let Some(mut info): Option<Value> = info else { return };
    info["Swarm"] = serde_json::json!({ "LocalNodeState": "pending", "RemoteManagers": null });
    bundle.artifacts.insert("engine/info.json".to_owned(), info.to_string().into_bytes());
}

/// A host whose dockerd has ended.
fn without_engine(bundle: &mut Bundle) {
    unseen(bundle, |entry| entry.artifact.starts_with("engine/"));
    let process = "host/engine-process.json";
    let ended = bundle.artifacts.get(process).and_then(|text| serde_json::from_slice(text).ok());
    let Some(mut ended): Option<Value> = ended else { return };
    ended["process"] = Value::Null;
    bundle.artifacts.insert(process.to_owned(), ended.to_string().into_bytes());
}

fn unseen(bundle: &mut Bundle, of: impl Fn(&Entry) -> bool) {
    let Bundle { manifest, artifacts } = bundle;
    for entry in manifest.entries.iter_mut().filter(|entry| of(entry)) {
        artifacts.remove(&entry.artifact);
        let what = "connect unix:///var/run/docker.sock: Connection refused".to_owned();
        entry.status = ArtifactStatus::Failed { why: Why::Unreachable { what } };
    }
}

/// The line as it is read from a file, also where it was copied without its stamp or is the message alone.
fn parsed(text: &str, taken: Timestamp) -> Option<Line> {
    let reading = Reading { written: taken, offset_seconds: 0, since: None };
    let line = |text: &str| read(ORIGIN, text, &reading).lines.pop();
    line(&format!("Nov 22 19:21:04 node1 {text}"))
        .or_else(|| line(text))
        .or_else(|| line(&format!("level=error msg={text:?}")))
}

fn append(snapshot: &mut Snapshot, line: &Line) {
    let taken = snapshot.taken;
    for host in &mut snapshot.hosts {
        let Fact::Seen(log) = &mut host.log else { continue };
        let after = log.value.lines.last().map_or(1, |last| last.number + 1);
        log.value.lines.extend((0..TIMES).map(|at| Line {
            at: Some(taken),
            number: after + at,
            ..line.clone()
        }));
    }
}

fn rests_on(finding: &Finding) -> bool {
    finding
        .evidence()
        .iter()
        .any(|evidence| matches!(evidence, Evidence::Line { source, .. } if source.origin == ORIGIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks_of(line: &str) -> Vec<String> {
        findings(line).unwrap().iter().map(|finding| finding.check.to_string()).collect()
    }

    #[test]
    fn a_line_names_its_checks_in_every_state_and_with_or_without_its_stamp() {
        let exists = r#"time="2026-11-22T19:20:58Z" level=error msg="fatal task error" error="network sandbox join failed: subnet sandbox join failed for \"10.0.1.0/24\": error creating vxlan interface: file exists" module=node/agent/taskmanager"#;
        assert_eq!(checks_of(exists), ["network/vxlan-conflict"]);
        assert_eq!(
            checks_of(&format!("Nov 22 19:20:58 n dockerd[41]: {exists}")),
            ["network/vxlan-conflict"]
        );
        let udp = "memberlist: Was able to connect to 6afd4d824206 but other probes failed, network may be misconfigured";
        assert_eq!(checks_of(udp), ["network/gossip-port-blocked"]);
        let killed = "kernel: Out of memory: Killed process 812 (dockerd)";
        assert_eq!(checks_of(killed), ["host/out-of-memory", "engine/unreachable"]);
        let refused =
            "failed to start daemon: Error initializing network controller: networks have overlapping IPv4";
        assert_eq!(checks_of(refused), ["engine/unreachable"]);
    }

    #[test]
    fn a_line_that_no_check_knows_has_none_and_an_empty_one_is_an_error() {
        assert!(checks_of("level=info msg=\"Loading containers: start.\"").is_empty());
        assert!(findings(" \n").is_err());
    }
}
