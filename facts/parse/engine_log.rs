//! The engine's log, from every file it was written to.

use super::log::{Reading, merge, read};
use crate::bundle::{ArtifactStatus, Bundle};
use crate::log::Log;
use crate::{Fact, Gap, Need, Seen, Source, Why};

/// The collector's entry for "no line of the engine anywhere".
const WITHOUT_ENGINE: &str = "unseen/log";

/// All files as one log in the order of time.
pub(super) fn engine_log(bundle: &Bundle) -> Fact<Log> {
    let mut logs = Vec::new();
    let mut origins = Vec::new();
    for entry in bundle.entries(Need::EngineLog).filter(|entry| entry.status == ArtifactStatus::Collected) {
        let Some(bytes) = bundle.artifacts.get(&entry.artifact) else { continue };
        let reading = Reading {
            written: entry.written.unwrap_or(bundle.manifest.taken),
            offset_seconds: bundle.manifest.utc_offset_seconds,
            since: None,
        };
        logs.push(read(&entry.origin, &String::from_utf8_lossy(bytes), &reading));
        origins.push(entry.origin.clone());
    }
    // Files that hold lines of the kernel and none of the engine must not pass for an engine that said nothing.
    let silent = bundle.entries(Need::EngineLog).any(|entry| entry.artifact == WITHOUT_ENGINE);
    if logs.is_empty() || silent {
        // `content` finds the gap that says why.
        return match super::content(bundle, Need::EngineLog, "log") {
            Fact::Unseen(gap) => Fact::Unseen(gap),
            Fact::Seen(Seen { source, .. }) => {
                Fact::Unseen(Gap { source, why: Why::Unreachable { what: "no log file is there".into() } })
            }
        };
    }
    let source = Source { need: Need::EngineLog, artifact: "log".into(), origin: origins.join(", ") };
    let mut log = merge(logs);
    if bundle.manifest.root.is_some() {
        log.ends = log.lines.iter().filter_map(|line| line.at).max();
    }
    Fact::Seen(Seen { value: log, source })
}
