//! The journal of systemd, read without systemd: its libraries need not be here, and nothing is run.
//!
//! The crate `sdjournal` reads journals too. It took 17 times as long for an hour of a busy engine, reads nothing of
//! a file that was cut off, and opens files by paths that may lead out of the root.

mod file;
mod hash;
mod payload;
mod record;

use super::below::{Root, is_absent};
use super::{Artifact, Place, Span, broken, gap, mebibytes, why};
use facts::parse::log::{Reading, read};
use facts::{Need, Timestamp, Why};
use file::JournalFile;
use record::Records;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Where journald keeps its files, in a directory with the id of the machine.
pub(super) const DIRECTORIES: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// What the engine's entries have. Its unit would not do: containers that log to the journal have it too, and on
/// their hosts they write most of it. Its program has been called `dockerd` for as long as there are swarms.
const ENGINE: [&str; 3] =
    ["SYSLOG_IDENTIFIER=dockerd", "SYSLOG_IDENTIFIER=dockerd-current", "SYSLOG_IDENTIFIER=docker.dockerd"];

/// What entries have that bear on the engine.
const BESIDE: [&str; 11] = [
    "SYSLOG_IDENTIFIER=containerd",
    "SYSLOG_IDENTIFIER=docker-containerd",
    "SYSLOG_IDENTIFIER=docker-containerd-current",
    "SYSLOG_IDENTIFIER=rsyslogd",
    "SYSLOG_IDENTIFIER=systemd-journal",
    "SYSLOG_IDENTIFIER=systemd-journald",
    "UNIT=containerd.service",
    "UNIT=docker.service",
    "UNIT=docker.socket",
    "UNIT=snap.docker.dockerd.service",
    "_TRANSPORT=kernel",
];

/// The most entries that are looked at of those that have one of these values in one file.
const MOST_ENTRIES: usize = 100_000;

/// The most that is kept of all files.
const MOST_KEPT: usize = 8 << 20;

/// After this many consecutive entries that are too old, all earlier ones count as too old. A host without an RTC starts each
/// boot with a time in the past, so a single entry proves nothing.
const PATIENCE: usize = 512;

/// A journal file and its content.
struct Part {
    path: PathBuf,
    journal: JournalFile,
    /// How often something could not be read, and what was wrong the first time.
    flaws: Option<(usize, String)>,
    /// Of which entries only the last were looked at.
    cut: Option<&'static str>,
}

/// An entry that may be of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    micros: u64,
    part: usize,
    entry: u64,
}

/// One artifact for all files of the journal, if the engine writes to it, and a gap for each that could not be read.
pub(super) fn logs(root: &Root, span: &Span) -> Vec<Artifact> {
    let mut artifacts = Vec::new();
    let mut parts = parts(root, &mut artifacts);
    let mut homes: Vec<_> =
        parts.iter().filter_map(|part| Some(part.path.parent()?.display().to_string())).collect();
    homes.dedup();
    let origin = format!("journal of {} (engine lines only)", homes.join(" and "));
    let place = Place::new(Need::EngineLog, "log/journal", origin);
    let mut marks = Vec::new();
    let mut engine_writes = false;
    for (at, part) in parts.iter_mut().enumerate() {
        engine_writes |= part.mark(at, span, &mut marks);
    }
    marks.sort_unstable();
    // An entry can have two of the values.
    marks.dedup();
    let (lines, left_out) = lines(&mut parts, &marks, span);
    if engine_writes {
        artifacts.push(place.kept(lines));
    }
    artifacts.extend(parts.iter().filter_map(|part| Some(gap(&part.path, part.gap()?))));
    artifacts.extend(left_out.map(|reason| gap(Path::new(DIRECTORIES[0]), Why::NotAsked { reason })));
    artifacts
}

/// When the last entry was written.
pub(super) fn end(root: &Root) -> Option<Timestamp> {
    let newest = parts(root, &mut Vec::new()).iter().map(|part| part.journal.newest).max()?;
    Timestamp::from_microsecond(i64::try_from(newest).ok()?).ok()
}

/// The files of the journal of the system. Those of users hold nothing of an engine that can be in a swarm.
fn parts(root: &Root, gaps: &mut Vec<Artifact>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut names = |directory: &Path| {
        root.names(directory).unwrap_or_else(|error| {
            gaps.push(gap(directory, why(&error, &format!("list {}", directory.display()))));
            Vec::new()
        })
    };
    let mut paths = Vec::new();
    for directory in DIRECTORIES.map(Path::new) {
        let is_id = |name: &str| name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit());
        for machine in names(directory).iter().filter(|name| name.to_str().is_some_and(is_id)) {
            let home = directory.join(machine);
            // One that journald did not close, because the machine went down, has a tilde at its end.
            let is_part =
                |name: &str| name.starts_with("system") && name.trim_end_matches('~').ends_with(".journal");
            let files = names(&home);
            paths.extend(
                files.iter().filter(|name| name.to_str().is_some_and(is_part)).map(|name| home.join(name)),
            );
        }
    }
    for path in paths {
        let journal = root.open_regular(&path).and_then(JournalFile::open);
        match journal {
            // The same directory can be there under two names.
            Ok(journal) if parts.iter().any(|part| part.journal.id == journal.id) => {}
            Ok(journal) => parts.push(Part { path, journal, flaws: None, cut: None }),
            Err(error) if is_absent(&error) => {}
            Err(error) => gaps.push(gap(&path, broken(&error, &path))),
        }
    }
    parts
}

impl Part {
    /// Adds the relevant entries that are not too old; returns whether the file has any entry of the engine.
    fn mark(&mut self, part: usize, span: &Span, marks: &mut Vec<Mark>) -> bool {
        let since = u64::try_from(span.since.as_microsecond()).unwrap_or(0);
        let is_recent = self.journal.newest >= since;
        let mut engine_writes = false;
        for value in ENGINE.iter().chain(BESIDE.iter().filter(|_| is_recent)) {
            let mut entries = Vec::new();
            if let Err(error) = self.journal.entries_with(value, &mut entries) {
                self.flaw(&error);
            }
            engine_writes |= ENGINE.contains(value) && !entries.is_empty();
            let mut too_old = 0;
            for (looked_at, entry) in entries.into_iter().rev().enumerate() {
                if too_old == PATIENCE || Instant::now() >= span.until {
                    break;
                }
                if looked_at == MOST_ENTRIES {
                    self.cut = Some(value);
                    break;
                }
                match self.journal.time(entry) {
                    Ok(micros) if micros < since => too_old += 1,
                    Ok(micros) => {
                        too_old = 0;
                        marks.push(Mark { micros, part, entry });
                    }
                    Err(error) => self.flaw(&error),
                }
            }
        }
        engine_writes
    }

    /// What is wrong with the file, beside what was read of it.
    fn gap(&self) -> Option<Why> {
        let name = self.path.display();
        let flaws = self.flaws.as_ref().map(|(times, first)| Why::Malformed {
            line: 0,
            what: format!("{times} times something in {name} could not be read, at first because {first}"),
        });
        let cut = |value| Why::NotAsked {
            reason: format!("only the last {MOST_ENTRIES} entries in {name} with {value} were looked at"),
        };
        flaws.or_else(|| self.cut.map(cut))
    }

    fn flaw(&mut self, error: &io::Error) {
        self.flaws.get_or_insert_with(|| (0, error.to_string())).0 += 1;
    }
}

/// The lines of the marked entries in the order of time, and what a limit left out. The newest win.
fn lines(parts: &mut [Part], marks: &[Mark], span: &Span) -> (Vec<u8>, Option<String>) {
    let mut records: Vec<_> = parts.iter().map(|_| Records::default()).collect();
    let mut lines = Vec::new();
    let mut size = 0;
    let mut left_out = None;
    for mark in marks.iter().rev() {
        let part = &mut parts[mark.part];
        match records[mark.part].json(&part.journal, mark.entry, mark.micros) {
            Ok(Some(line)) if is_of_use(&line) => {
                size += line.len() + 1;
                lines.push(line);
            }
            Ok(_) => {}
            Err(error) => part.flaw(&error),
        }
        if size > MOST_KEPT {
            lines.pop();
            let most = mebibytes(MOST_KEPT);
            left_out = Some(format!("only the last {most} of engine lines in the journal were kept"));
            break;
        }
        if Instant::now() >= span.until {
            left_out = Some("no time was left to read more of the journal".to_owned());
            break;
        }
    }
    (lines.iter().rev().flat_map(|line| [line.as_str(), "\n"]).collect::<String>().into_bytes(), left_out)
}

/// Whether the reader of the log makes something of the line. What the kernel says is mostly of no use.
fn is_of_use(line: &str) -> bool {
    let reading = Reading { written: Timestamp::UNIX_EPOCH, offset_seconds: 0, since: None };
    let log = read("", line, &reading);
    !log.lines.is_empty() || !log.lost.is_empty()
}

#[cfg(test)]
mod tests;
