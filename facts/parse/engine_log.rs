//! The engine's log, from every file it was written to.

use super::log::{Reading, merge, read};
use crate::bundle::{ArtifactStatus, Bundle, Entry};
use crate::log::{Log, LostLines};
use crate::{Fact, Gap, Need, Seen, Source, Timestamp, Why};

/// The collector's entry for "no line of the engine in any file".
const WITHOUT_ENGINE: &str = "unseen/log";

/// All log files merged in chronological order.
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
    // Files with lines of the kernel only must not count as a log of an engine without messages.
    let silent = bundle.entries(Need::EngineLog).any(|entry| entry.artifact == WITHOUT_ENGINE);
    if logs.is_empty() || silent {
        // `content` returns the gap with the reason.
        return match super::content(bundle, Need::EngineLog, "log") {
            Fact::Unseen(gap) => Fact::Unseen(gap),
            Fact::Seen(Seen { source, .. }) => {
                Fact::Unseen(Gap { source, why: Why::Unreachable { what: "no log file is there".into() } })
            }
        };
    }
    let source = Source { need: Need::EngineLog, artifact: "log".into(), origin: origins.join(", ") };
    let first_of = |file: &str| {
        let lines = logs.iter().flat_map(|log: &Log| &log.lines);
        lines.filter(|line| line.file.split(" (").next() == Some(file)).find_map(|line| line.at)
    };
    let unread: Vec<LostLines> =
        bundle.entries(Need::EngineLog).filter_map(|entry| unread(entry, &first_of)).collect();
    let mut log = merge(logs);
    log.lost.extend(unread);
    if bundle.manifest.root.is_some() {
        log.ends = log.lines.iter().filter_map(|line| line.at).max();
    }
    Fact::Seen(Seen { value: log, source })
}

/// A file of the log that could not be read, or not to its beginning, beside files that were read. Of a file that was cut
/// the lines before the first one are missing.
fn unread(entry: &Entry, first_of: &dyn Fn(&str) -> Option<Timestamp>) -> Option<LostLines> {
    let ArtifactStatus::Failed { why } = &entry.status else { return None };
    let at = first_of(&entry.origin);
    let text = why.to_string();
    Some(LostLines { file: entry.origin.clone(), number: 0, at, program: None, count: None, text })
}
