//! What was done, written down before it is done: a line for each event, on the disk before the event.

use super::act::Undo;
use facts::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Event {
    /// A remedy is begun.
    Begun(Begun),
    /// It is about to be done.
    Acting {
        /// What, in words.
        text: String,
        /// How it is taken back.
        undo: Undo,
    },
    /// The last one was done.
    Acted,
    /// The last one failed.
    Failed {
        /// Why.
        why: String,
    },
    /// One was taken back, or had nothing to take back.
    Undone {
        /// Its number, from 0.
        act: usize,
    },
    /// Nothing more will be done.
    Closed {
        /// How it ended.
        outcome: Outcome,
    },
}

/// What a receipt is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Begun {
    /// When.
    pub(super) at: Timestamp,
    /// The check.
    pub(super) check: String,
    /// Whom its finding was about.
    pub(super) subject: String,
    /// The remedy.
    pub(super) title: String,
    /// The version of swarm-doctor.
    pub(super) tool: String,
}

/// How a remedy ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// The check has nothing more to say.
    Healed,
    /// This node's part of it was done, and others have theirs to do.
    Done,
    /// All that could be was taken back.
    Undone,
    /// Something could not be taken back.
    Stuck,
}

impl Outcome {
    /// The word for it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Healed => "healed",
            Self::Done => "done here",
            Self::Undone => "undone",
            Self::Stuck => "not all undone",
        }
    }
}

/// The journal of one remedy and the backups beside it.
#[derive(Debug)]
pub(super) struct Receipt {
    /// Its name.
    pub(super) id: String,
    /// Its directory.
    pub(super) directory: PathBuf,
    file: File,
}

/// What a journal says.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// The name of the receipt.
    pub(super) id: String,
    /// What it is for.
    pub(super) begun: Begun,
    /// What was done or about to be, in order.
    pub(super) acts: Vec<Done>,
    /// How it ended; none where it was interrupted.
    pub(super) outcome: Option<Outcome>,
}

/// An act that was done, or about to be.
#[derive(Clone, Debug)]
pub(super) struct Done {
    /// What, in words.
    pub(super) text: String,
    /// How it is taken back.
    pub(super) undo: Undo,
    /// It was taken back.
    pub(super) undone: bool,
    /// It failed.
    pub(super) failed: bool,
}

impl Receipt {
    /// A new one.
    pub(super) fn begin(receipts: &Path, begun: Begun) -> Result<Self, String> {
        let ailment = begun.check.rsplit('/').next().unwrap_or_default();
        let stem = format!("{}-{ailment}", begun.at.strftime("%Y%m%dT%H%M%SZ"));
        let ids = std::iter::once(stem.clone()).chain((2..100).map(|number| format!("{stem}-{number}")));
        for id in ids {
            let directory = receipts.join(&id);
            match DirBuilder::new().mode(0o700).create(&directory) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(failed(&directory, &error)),
            }
            let path = directory.join("journal");
            let mut receipt = Self { id, file: opened(&path, true)?, directory };
            receipt.note(&Event::Begun(begun))?;
            for directory in [receipt.directory.as_path(), receipts] {
                sync(directory)?;
            }
            return Ok(receipt);
        }
        Err(format!("{} is full of receipts of this very second", receipts.display()))
    }

    /// One that was begun before.
    pub(super) fn resume(receipts: &Path, id: &str) -> Result<Self, String> {
        let directory = receipts.join(id);
        let mut file = opened(&directory.join("journal"), false)?;
        // A line that was cut off by the interruption stays one by itself.
        file.write_all(b"\n").map_err(|error| failed(&directory, &error))?;
        Ok(Self { id: id.to_owned(), directory, file })
    }

    /// Writes an event down, for good.
    pub(super) fn note(&mut self, event: &Event) -> Result<(), String> {
        let mut line = serde_json::to_vec(event).map_err(|error| error.to_string())?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        written.map_err(|error| failed(&self.directory, &error))
    }

    /// Keeps a copy, for good, and gives back its name.
    pub(super) fn keep(&self, content: &[u8]) -> Result<String, String> {
        let taken = fs::read_dir(&self.directory).map_err(|error| failed(&self.directory, &error))?.count();
        let name = format!("backup-{taken}");
        let path = self.directory.join(&name);
        let kept = opened(&path, true).and_then(|mut file| {
            let kept = file.write_all(content).and_then(|()| file.sync_all());
            kept.map_err(|error| failed(&path, &error))
        });
        kept.and_then(|()| sync(&self.directory)).map(|()| name)
    }
}

/// What a copy beside a journal holds.
pub(super) fn kept(directory: &Path, name: &str) -> Result<Vec<u8>, String> {
    let path = directory.join(name);
    fs::read(&path).map_err(|error| format!("failed to read the copy {}: {error}", path.display()))
}

/// The receipts, oldest first. What was interrupted before its first line says nothing and did nothing.
pub(super) fn records(receipts: &Path) -> Result<Vec<Record>, String> {
    let entries = match fs::read_dir(receipts) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| failed(receipts, &error))?,
    };
    let mut ids: Vec<_> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    ids.sort();
    Ok(ids.iter().filter_map(|id| record(&receipts.join(id), id)).collect())
}

pub(super) fn record(directory: &Path, id: &str) -> Option<Record> {
    let text = fs::read_to_string(directory.join("journal")).ok()?;
    // Of an event that was cut off nothing was done: it is on the disk before it begins.
    let events: Vec<Event> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut record = None;
    for event in events {
        match (event, &mut record) {
            (Event::Begun(begun), record) => {
                *record = Some(Record { id: id.to_owned(), begun, acts: Vec::new(), outcome: None });
            }
            (Event::Acting { text, undo }, Some(record)) => {
                record.acts.push(Done { text, undo, undone: false, failed: false });
            }
            (Event::Failed { .. }, Some(record)) => {
                record.acts.iter_mut().last().into_iter().for_each(|done| done.failed = true);
            }
            (Event::Undone { act }, Some(record)) => {
                record.acts.iter_mut().skip(act).take(1).for_each(|done| done.undone = true);
            }
            (Event::Closed { outcome }, Some(record)) => record.outcome = Some(outcome),
            (Event::Acted, _) | (_, None) => {}
        }
    }
    record
}

fn opened(path: &Path, new: bool) -> Result<File, String> {
    let mut open = OpenOptions::new();
    let open = open.append(true).create_new(new).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    open.open(path).map_err(|error| failed(path, &error))
}

fn sync(directory: &Path) -> Result<(), String> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|error| failed(directory, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> String {
    format!("failed to keep the journal in {}: {error}", path.display())
}
