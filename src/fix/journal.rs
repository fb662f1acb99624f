//! The journal of a fix: a line for each event, on disk before the event. Each line begins with a checksum over itself
//! and all lines before it, so that a damaged or missing record is an error and never an empty history.

use super::FixContext;
use super::error::{FixError, Result};
use super::ops::Operation;
use super::system::{Identity, System};
use facts::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The version of the format.
const FORMAT: u32 = 1;
/// The number of hexadecimal digits of a checksum.
const DIGITS: usize = 16;
const JOURNAL: &str = "journal";

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Event {
    /// A fix begins.
    Begun(Begun),
    /// An operation is about to be applied.
    Applying {
        /// The operation, with the state that it replaces.
        operation: Box<Operation>,
    },
    /// The last operation was applied.
    Applied,
    /// The last operation failed.
    Failed {
        /// Why.
        why: String,
    },
    /// An operation was rolled back, or had nothing to roll back.
    Reverted {
        /// Its number, from 0.
        index: usize,
    },
    /// The fix is over.
    Closed {
        /// How it ended.
        outcome: Outcome,
        /// The engine and the host at that time.
        identity: Identity,
    },
}

/// What a receipt is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Begun {
    /// The version of the journal's format.
    pub(super) format: u32,
    /// When.
    pub(super) at: Timestamp,
    /// The check.
    pub(super) check: String,
    /// The subject of its finding.
    pub(super) subject: String,
    /// The title of the remedy.
    pub(super) title: String,
    /// The version of swarm-doctor.
    pub(super) tool: String,
    /// How many operations are planned.
    pub(super) operations: usize,
    /// Other nodes have a necessary part in the remedy.
    pub(super) shared: bool,
    /// The engine and the host before.
    pub(super) identity: Identity,
}

/// How a fix ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// The check ran again and no longer finds it.
    Fixed,
    /// The part of this node is done; other nodes have theirs to do.
    DoneHere,
    /// All operations were applied, and the check could not run again.
    Unverified,
    /// It cannot be rolled back, and the check still finds it.
    NotFixed,
    /// Everything was rolled back.
    RolledBack,
    /// Something could not be rolled back.
    PartlyRolledBack,
}

impl Outcome {
    /// The word for it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::DoneHere => "done here",
            Self::Unverified => "applied, not verified",
            Self::NotFixed => "not fixed",
            Self::RolledBack => "rolled back",
            Self::PartlyRolledBack => "partly rolled back",
        }
    }
}

/// What a journal records.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) begun: Begun,
    /// What was applied or was about to be, in order.
    pub(super) steps: Vec<RecordedStep>,
    /// How it ended, and the engine and the host at that time; none where it was interrupted.
    pub(super) closed: Option<(Outcome, Identity)>,
}

/// An operation that was applied or was about to be.
#[derive(Clone, Debug)]
pub(super) struct RecordedStep {
    pub(super) operation: Operation,
    pub(super) state: StepState,
}

/// How far an operation went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepState {
    /// It was begun; whether it took effect is unknown.
    Begun,
    Applied,
    Failed,
    Reverted,
}

/// A receipt: a journal and the backups beside it.
pub(super) struct Receipt<'a> {
    pub(super) id: String,
    pub(super) directory: PathBuf,
    /// The valid content of the journal.
    text: Vec<u8>,
    system: &'a dyn System,
}

impl<'a> Receipt<'a> {
    pub(super) fn begin(receipts: &Path, begun: Begun, system: &'a dyn System) -> Result<Self> {
        let check = begun.check.rsplit('/').next().unwrap_or_default();
        let stem = format!("{}-{check}", begun.at.strftime("%Y%m%dT%H%M%SZ"));
        let ids = std::iter::once(stem.clone()).chain((2..100).map(|number| format!("{stem}-{number}")));
        for id in ids {
            let directory = receipts.join(&id);
            if !system.create_directory(&directory)? {
                continue;
            }
            let mut receipt = Self { id, directory, text: Vec::new(), system };
            let line = receipt.line(&Event::Begun(begun))?;
            system.create(&receipt.directory.join(JOURNAL), &line)?;
            receipt.text = line;
            return Ok(receipt);
        }
        Err(FixError::Failed(format!("{} has too many receipts of this second", receipts.display())))
    }

    /// The receipt of an earlier fix. A last line that an interruption cut off is removed: its event never happened.
    pub(super) fn resume(receipts: &Path, id: &str, system: &'a dyn System) -> Result<Self> {
        let directory = receipts.join(id);
        let path = directory.join(JOURNAL);
        let mut text = system.read(&path)?.unwrap_or_default();
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole < text.len() {
            text.truncate(whole);
            system.truncate(&path, whole as u64)?;
        }
        Ok(Self { id: id.to_owned(), directory, text, system })
    }

    fn line(&self, event: &Event) -> Result<Vec<u8>> {
        let json = serde_json::to_string(event).map_err(|error| FixError::Failed(error.to_string()))?;
        Ok(format!("{} {json}\n", checksum(&self.text, &json)).into_bytes())
    }

    /// Records an event; on disk when it returns.
    pub(super) fn note(&mut self, event: &Event) -> Result<()> {
        let line = self.line(event)?;
        let path = self.directory.join(JOURNAL);
        if let Err(error) = self.system.append(&path, &line) {
            // It may be on disk all the same, and the next record follows the last valid one.
            drop(self.system.truncate(&path, self.text.len() as u64));
            return Err(error);
        }
        self.text.extend(line);
        Ok(())
    }

    /// Saves a backup; on disk when it returns. Its name.
    pub(super) fn save(&self, content: &[u8]) -> Result<String> {
        let name = format!("backup-{}", self.system.list(&self.directory)?.len());
        self.system.create(&self.directory.join(&name), content)?;
        Ok(name)
    }

    /// What was recorded so far.
    pub(super) fn record(&self) -> Result<Record> {
        parse(&self.id, &self.text).map_err(|damage| damaged(&self.directory, damage))?.ok_or_else(|| {
            FixError::Failed(format!("the journal in {} has no record", self.directory.display()))
        })
    }
}

/// The first digits of the SHA-256 of all lines before and of this one.
fn checksum(before: &[u8], json: &str) -> String {
    let digest = Sha256::new().chain_update(before).chain_update(json).finalize();
    crate::sha256::hex(&digest)[..DIGITS].to_owned()
}

fn damaged(directory: &Path, damage: String) -> FixError {
    FixError::Failed(format!(
        "the receipt {} cannot be read: {damage}. Restore it or move it away; swarm-doctor neither reverts nor ignores it",
        directory.display()
    ))
}

/// The receipts with their ids, oldest first; an error for each that is damaged.
pub(super) fn records(receipts: &Path, system: &dyn System) -> Result<Vec<(String, Result<Record>)>> {
    let mut all = Vec::new();
    for id in system.list(receipts)? {
        let directory = receipts.join(&id);
        let record = system.read(&directory.join(JOURNAL)).and_then(|text| {
            parse(&id, &text.unwrap_or_default()).map_err(|damage| damaged(&directory, damage))
        });
        // A receipt whose first record was cut off by an interruption did nothing.
        if let Some(record) = record.transpose() {
            all.push((id, record));
        }
    }
    Ok(all)
}

/// What a journal records; none where nothing was begun before an interruption.
fn parse(id: &str, text: &[u8]) -> std::result::Result<Option<Record>, String> {
    let mut record: Option<Record> = None;
    let mut begin = 0;
    let mut number = 0;
    while let Some(length) = text[begin..].iter().position(|byte| *byte == b'\n') {
        number += 1;
        let line = &text[begin..begin + length];
        let at = |what: &str| format!("line {number}: {what}");
        let line = std::str::from_utf8(line).map_err(|_| at("it is not UTF-8"))?;
        let (sum, json) = line.split_once(' ').ok_or_else(|| at("there is no checksum"))?;
        if sum != checksum(&text[..begin], json) {
            return Err(at("the checksum does not match"));
        }
        let event = serde_json::from_str(json);
        let event = event.map_err(|error| at(&format!("the record is unknown or newer: {error}")))?;
        apply(event, id, &mut record).map_err(|why| at(&why))?;
        begin += length + 1;
    }
    // A last line without an end was cut off by an interruption: its event never happened.
    if record.is_none() && number == 0 && begin == text.len() && !text.is_empty() {
        return Err("it has no record".into());
    }
    Ok(record)
}

fn apply(event: Event, id: &str, record: &mut Option<Record>) -> std::result::Result<(), String> {
    match (event, record) {
        (Event::Begun(begun), record @ None) => {
            if begun.format != FORMAT {
                return Err(format!("format {} is not supported, only {FORMAT}", begun.format));
            }
            *record = Some(Record { id: id.to_owned(), begun, steps: Vec::new(), closed: None });
        }
        (Event::Begun(_), Some(_)) | (_, None) => return Err("the order of the records is wrong".into()),
        (Event::Applying { operation }, Some(record)) => {
            record.steps.push(RecordedStep { operation: *operation, state: StepState::Begun });
        }
        (Event::Applied, Some(record)) => {
            record.steps.last_mut().ok_or("no operation was begun")?.state = StepState::Applied;
        }
        (Event::Failed { .. }, Some(record)) => {
            record.steps.last_mut().ok_or("no operation was begun")?.state = StepState::Failed;
        }
        (Event::Reverted { index }, Some(record)) => {
            record.steps.get_mut(index).ok_or("no such operation")?.state = StepState::Reverted;
        }
        (Event::Closed { outcome, identity }, Some(record)) => record.closed = Some((outcome, identity)),
    }
    Ok(())
}

impl Begun {
    pub(super) fn new(
        check: &str,
        subject: &str,
        title: &str,
        operations: usize,
        shared: bool,
        identity: Identity,
        context: &FixContext<'_>,
    ) -> Self {
        Self {
            format: FORMAT,
            at: context.system.now(),
            check: check.to_owned(),
            subject: subject.to_owned(),
            title: title.to_owned(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            operations,
            shared,
            identity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Outcome, checksum, parse};
    use crate::fix::system::Identity;

    fn journal(events: &[&str]) -> Vec<u8> {
        let mut text = Vec::new();
        for json in events {
            let line = format!("{} {json}\n", checksum(&text, json));
            text.extend(line.into_bytes());
        }
        text
    }

    const BEGUN: &str = r#"{"event":"begun","format":1,"at":"2026-01-01T00:00:00Z","check":"a/b","subject":"n","title":"t","tool":"0","operations":1,"shared":false,"identity":{"node_id":null,"cluster_id":null,"machine_id":"","boot_id":""}}"#;

    #[test]
    fn one_changed_letter_is_an_error_and_not_an_empty_receipt() {
        let closed = Event::Closed { outcome: Outcome::Fixed, identity: Identity::default() };
        let closed = serde_json::to_string(&closed).unwrap();
        let good = journal(&[BEGUN, &closed]);
        assert_eq!(parse("x", &good).unwrap().unwrap().closed.unwrap().0, Outcome::Fixed);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(at + 1 == good.len() || parse("x", &bad).is_err(), "{at}");
        }
        // A line that is gone is noticed by the next one.
        let all = journal(&[BEGUN, r#"{"event":"applied"}"#, &closed]);
        let first = all.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let second = first + all[first..].iter().position(|byte| *byte == b'\n').unwrap() + 1;
        assert!(parse("x", &[&all[..first], &all[second..]].concat()).is_err());
    }

    #[test]
    fn a_newer_or_unknown_record_is_an_error() {
        assert!(parse("x", &journal(&[&BEGUN.replace("\"format\":1", "\"format\":2")])).is_err());
        assert!(parse("x", &journal(&[BEGUN, r#"{"event":"teleported"}"#])).is_err());
    }

    #[test]
    fn a_line_that_was_cut_off_never_happened() {
        let good = journal(&[BEGUN]);
        let mut torn = good.clone();
        torn.extend(b"0123 {\"event\":\"clo");
        assert!(parse("x", &torn).unwrap().unwrap().closed.is_none());
        assert!(parse("x", &good[..20]).unwrap().is_none());
    }
}
