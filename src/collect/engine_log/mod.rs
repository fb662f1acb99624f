//! The log of the engine: the files that syslog writes, and the journal where these hold no line of the engine.
//!
//! Only relevant lines are stored. They are numbered as in the artifact, not as in the file, because the beginning of the
//! file is not read; the origin mentions it.
//!
//! Where the files are those of a machine that does not run here, the time to look back counts from where its logs
//! end: what was copied last year is still all there is.

mod below;
mod files;
mod journal;
mod tail;

use super::{Artifact, Place, Session, apart, why};
use below::Root;
use facts::bundle::{ArtifactStatus, Bundle};
use facts::log::Program;
use facts::parse::log::{Reading, read};
use facts::{Need, Timestamp, Why};
use jiff::SignedDuration;
use std::io;
use std::path::Path;
use std::time::Instant;

/// The time span to read, and what is needed to parse timestamps.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// Older lines are left out.
    since: Timestamp,
    /// The clock of the logs, for stamps without a zone.
    offset_seconds: i32,
    /// When there is no time left to begin anything more.
    until: Instant,
}

/// The lines that bear on the engine, from wherever the machine keeps them.
pub(super) async fn engine_log(session: &Session) -> Vec<Artifact> {
    let place = whole();
    if let Some(why) = session.remote() {
        return vec![place.missed(why)];
    }
    let back = SignedDuration::try_from(session.options.since).unwrap_or(SignedDuration::MAX);
    let taken = session.taken;
    let is_copy = session.is_elsewhere();
    // Stop well before the deadline of the artifact, which would discard the lines read so far.
    let until = Instant::now() + session.options.deadline / 2;
    let root = Root(session.options.root.clone());
    let collect = move || {
        let offset_seconds = jiff::tz::TimeZone::system().to_offset(taken).seconds();
        let end = if is_copy { end(&root, offset_seconds).unwrap_or(taken) } else { taken };
        let since = end.saturating_sub(back).unwrap_or(Timestamp::MIN);
        Ok(collected(&root, &Span { since, offset_seconds, until }))
    };
    apart(collect).await.unwrap_or_else(|why| vec![place.missed(why)])
}

/// What syslog calls the machine, where nothing but its logs is there.
pub(super) fn host(bundle: &Bundle) -> Option<String> {
    let reading = Reading { written: bundle.manifest.taken, offset_seconds: 0, since: None };
    let mut entries = bundle.entries(Need::EngineLog);
    entries.find_map(|entry| {
        let text = String::from_utf8_lossy(bundle.artifacts.get(&entry.artifact)?).into_owned();
        text.lines().rev().find_map(|line| read("", line, &reading).lines.pop()?.host)
    })
}

/// When the engine below the root last wrote anything.
fn end(root: &Root, offset_seconds: i32) -> Option<Timestamp> {
    files::end(root, offset_seconds).or_else(|| journal::end(root))
}

/// The log as a whole.
fn whole() -> Place {
    Place::new(Need::EngineLog, "unseen/log", "the log of the engine")
}

fn collected(root: &Root, span: &Span) -> Vec<Artifact> {
    let mut artifacts = files::logs(root, span);
    if artifacts.iter().any(has_engine_lines) {
        return artifacts;
    }
    let journal = journal::logs(root, span);
    let is_in_journal = journal.iter().any(|artifact| artifact.entry.status == ArtifactStatus::Collected);
    artifacts.extend(journal);
    if is_in_journal {
        return artifacts;
    }
    // What the kernel wrote to the files is kept all the same.
    let what = format!(
        "no log file and no journal has a line of the engine that is recent enough: looked at {} and in {}",
        files::NAMES,
        journal::DIRECTORIES.join(" and "),
    );
    artifacts.push(whole().missed(Why::Unreachable { what }));
    // The first of the gaps is taken for the reason.
    artifacts.sort_by_key(|artifact| match &artifact.entry.status {
        ArtifactStatus::Failed { why: Why::Denied { .. } } => 0,
        ArtifactStatus::Failed { why } if why.leaves_open() => 1,
        _ => 2,
    });
    artifacts
}

/// Whether any line is from the engine itself. Starts with the last one, which is faster.
fn has_engine_lines(artifact: &Artifact) -> bool {
    let reading = Reading { written: Timestamp::UNIX_EPOCH, offset_seconds: 0, since: None };
    let is_of_engine = |line: &[u8]| {
        let log = read("", &String::from_utf8_lossy(line), &reading);
        log.lines.iter().any(|line| line.program == Program::Engine)
    };
    artifact.content.as_deref().unwrap_or_default().rsplit(|b| *b == b'\n').any(is_of_engine)
}

/// A gap for what is wrong with a file, beside what was kept of it.
fn gap(path: &Path, why: Why) -> Artifact {
    let artifact = format!("unseen/{}", artifact(path));
    Place::new(Need::EngineLog, artifact, path.display().to_string()).missed(why)
}

/// The artifact of a file. `/var/log/upstart/docker.log` has to stay apart from `/var/log/docker.log`.
fn artifact(path: &Path) -> String {
    let below = path.strip_prefix("/var/log").or_else(|_| path.strip_prefix("/"));
    format!("log/{}", below.unwrap_or(path).display())
}

/// What is wrong with a file that cannot be opened, or not read to its end.
fn broken(error: &io::Error, path: &Path) -> Why {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    match error.kind() {
        // No system call ends like this: it is what we and the unpackers say of a file that is not as it should be.
        InvalidData | InvalidInput | Other | UnexpectedEof => {
            Why::Malformed { line: 0, what: format!("{}: {error}", path.display()) }
        }
        _ => why(error, &format!("read {}", path.display())),
    }
}

/// A size in words.
fn mebibytes(bytes: usize) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests;
