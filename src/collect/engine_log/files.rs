//! The files that syslog, or an engine without systemd, writes below `/var/log`.

use super::below::{Root, is_absent};
use super::tail::{self, Kept};
use super::{Artifact, Place, Span, artifact, broken, gap, mebibytes, why};
use facts::{Need, Timestamp, Why};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The most that is kept of all files.
const MOST_IN_ALL: usize = 24 << 20;

/// Where these files are.
const DIRECTORIES: [&str; 2] = ["/var/log", "/var/log/upstart"];

/// What they are called, before `.log` and what rotation puts behind it.
const STEMS: [&str; 5] = ["messages", "syslog", "docker", "daemon", "kern"];

/// What was looked for, in words.
pub(super) const NAMES: &str =
    "messages, syslog, docker.log, daemon.log and kern.log in /var/log and /var/log/upstart";

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
    /// Rare enough that the doctor has nothing to read it with.
    Other,
}

/// A log file that was written late enough to matter.
struct Log {
    place: Place,
    path: PathBuf,
    file: File,
    packing: Packing,
    written: Timestamp,
}

/// The latest timestamp in any of the files. A compressed file is read only if no other has one.
pub(super) fn end(root: &Root, offset_seconds: i32) -> Option<Timestamp> {
    let mut logs = Vec::new();
    all(root, &mut logs, &mut Vec::new());
    let (plain, packed): (Vec<_>, Vec<_>) = logs.into_iter().partition(|log| log.packing == Packing::Plain);
    let end = |log: Log| {
        let dates = tail::Dates { since: Timestamp::MIN, written: log.written, offset_seconds };
        match log.packing {
            Packing::Plain => tail::last_time(&log.file, &dates).ok()?,
            Packing::Gzip => {
                tail::unpacked(MultiGzDecoder::new(log.file), &dates, tail::MOST_KEPT).end(&dates)
            }
            Packing::Zstd => {
                tail::unpacked(zstd::Decoder::new(log.file).ok()?, &dates, tail::MOST_KEPT).end(&dates)
            }
            Packing::Other => None,
        }
    };
    plain.into_iter().filter_map(end).max().or_else(|| packed.into_iter().filter_map(end).max())
}

/// An artifact for each file that holds something of use, and a gap for each that could not be read.
pub(super) fn logs(root: &Root, span: &Span) -> Vec<Artifact> {
    let mut artifacts = Vec::new();
    let mut logs = Vec::new();
    all(root, &mut logs, &mut artifacts);
    logs.retain(|log| log.written >= span.since);
    // Where there is not room for all, the newest win.
    logs.sort_by(|a, b| b.written.cmp(&a.written).then_with(|| a.path.cmp(&b.path)));
    let mut room = MOST_IN_ALL;
    for log in logs {
        read(log, span, &mut room, &mut artifacts);
    }
    artifacts
}

/// Opens all of the files; what cannot be opened is a gap.
fn all(root: &Root, logs: &mut Vec<Log>, gaps: &mut Vec<Artifact>) {
    for directory in DIRECTORIES.map(Path::new) {
        let names = match root.names(directory) {
            Ok(names) => names,
            Err(error) => {
                gaps.push(gap(directory, why(&error, &format!("list {}", directory.display()))));
                continue;
            }
        };
        for name in &names {
            let Some(packing) = name.to_str().and_then(packing) else { continue };
            let path = directory.join(name);
            match open(root, &path, packing) {
                Ok(log) => logs.extend(log),
                Err(why) => gaps.push(gap(&path, why)),
            }
        }
    }
}

/// How a file is packed, if it is a log by its name: `messages-20260802.gz`, `daemon.log.1`, `kern-20260802.log`.
fn packing(name: &str) -> Option<Packing> {
    let (name, packing) = match name.rsplit_once('.') {
        Some((name, "gz")) => (name, Packing::Gzip),
        Some((name, "zst")) => (name, Packing::Zstd),
        Some((name, "xz" | "bz2" | "lz4" | "lzma")) => (name, Packing::Other),
        _ => (name, Packing::Plain),
    };
    let rest = STEMS.iter().find_map(|stem| name.strip_prefix(stem))?;
    let rest = rest.strip_prefix(".log").or_else(|| rest.strip_suffix(".log")).unwrap_or(rest);
    let rotation = rest.strip_prefix(['-', '.']).unwrap_or("none");
    let numbered = rotation.bytes().all(|b| b.is_ascii_digit() || b"-._".contains(&b))
        && rotation.starts_with(|first: char| first.is_ascii_digit());
    (rest.is_empty() || numbered).then_some(packing)
}

/// Opens a file; `None` where there is none.
fn open(root: &Root, path: &Path, packing: Packing) -> Result<Option<Log>, Why> {
    let place =
        Place::new(Need::EngineLog, artifact(path), format!("{} (engine lines only)", path.display()));
    let file = match root.open_regular(path) {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(broken(&error, path)),
    };
    let modified =
        file.metadata().and_then(|metadata| metadata.modified()).map_err(|error| broken(&error, path))?;
    let written = Timestamp::try_from(modified).unwrap_or(Timestamp::MAX);
    Ok(Some(Log { place, path: path.to_owned(), file, packing, written }))
}

/// Reads one file into what of the room is left.
fn read(log: Log, span: &Span, room: &mut usize, artifacts: &mut Vec<Artifact>) {
    let Log { place, path, file, packing, written } = log;
    let not_asked = |reason: String| Why::NotAsked { reason };
    let name = path.display();
    if packing == Packing::Other {
        let what = format!("{name} is packed in a way that this program does not read");
        return artifacts.push(gap(&path, Why::Unreachable { what }));
    }
    if Instant::now() >= span.until {
        return artifacts.push(gap(&path, not_asked(format!("no time was left to read {name}"))));
    }
    if *room == 0 {
        let reason = format!("newer files filled the {} that are kept in all", mebibytes(MOST_IN_ALL));
        return artifacts.push(gap(&path, not_asked(reason)));
    }
    let dates = tail::Dates { since: span.since, written, offset_seconds: span.offset_seconds };
    let most = tail::MOST_KEPT.min(*room);
    let kept = match packing {
        Packing::Gzip => Ok(tail::unpacked(MultiGzDecoder::new(file), &dates, most)),
        Packing::Zstd => zstd::Decoder::new(file).map(|file| tail::unpacked(file, &dates, most)),
        Packing::Plain | Packing::Other => tail::end_of(&file, &dates, most),
    };
    let Kept { lines, left_out, error } = kept.unwrap_or_else(Kept::failed);
    let cut = left_out.map(|left_out| not_asked(left_out.of(&path, most)));
    let failed = error.map(|error| broken(&error, &path));
    if !lines.is_empty() {
        *room -= lines.len();
        let mut artifact = place.kept(lines);
        artifact.entry.written = Some(written);
        artifacts.push(artifact);
    }
    // Two gaps of one file would be one entry of the bundle; the error is the more important one.
    artifacts.extend(failed.or(cut).map(|why| gap(&path, why)));
}
