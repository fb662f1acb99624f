//! An entry of the journal in the form of `journalctl -o json`.

use super::file::JournalFile;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::io;

/// What the reader of the log uses, beside the time.
pub(super) const WANTED: [&str; 9] = [
    MESSAGE,
    "_HOSTNAME",
    "SYSLOG_IDENTIFIER",
    "_COMM",
    "_PID",
    "_SYSTEMD_UNIT",
    "UNIT",
    "_TRANSPORT",
    "_LINE_BREAK",
];
const MESSAGE: &str = "MESSAGE";

/// Set only on what containers wrote, by the engine's driver for their logs.
const CONTAINER: &str = "CONTAINER_ID";

/// The most fields that are remembered of one file.
const MOST_REMEMBERED: usize = 50_000;

/// The longest value that is remembered.
const LONGEST_REMEMBERED: usize = 256;

/// Reads the entries of one file. They share most of their fields, so what was read of these is kept by its place.
#[derive(Debug, Default)]
pub(super) struct Records(HashMap<u64, Field>);

/// What a field is to us.
#[derive(Clone, Debug)]
enum Field {
    Wanted(&'static str, Value),
    OfContainer,
    Unwanted,
}

impl Records {
    /// The entry as a line of JSON; `None` for one that a container wrote.
    pub(super) fn json(&mut self, file: &JournalFile, entry: u64, micros: u64) -> io::Result<Option<String>> {
        let mut record = Map::new();
        record.insert("__REALTIME_TIMESTAMP".into(), micros.to_string().into());
        for at in file.fields(entry)? {
            match self.field(file, at)? {
                Field::Wanted(name, value) => add(&mut record, name, value),
                Field::OfContainer => return Ok(None),
                Field::Unwanted => {}
            }
        }
        Ok(Some(Value::Object(record).to_string()))
    }

    fn field(&mut self, file: &JournalFile, at: u64) -> io::Result<Field> {
        if let Some(field) = self.0.get(&at) {
            return Ok(field.clone());
        }
        let bytes = file.field(at)?;
        let field = Field::read(&bytes);
        let is_message = matches!(field, Field::Wanted(MESSAGE, _));
        if !is_message && bytes.len() <= LONGEST_REMEMBERED && self.0.len() < MOST_REMEMBERED {
            self.0.insert(at, field.clone());
        }
        Ok(field)
    }
}

impl Field {
    fn read(bytes: &[u8]) -> Self {
        let Some(end) = bytes.iter().position(|b| *b == b'=') else { return Self::Unwanted };
        let (name, value) = (&bytes[..end], &bytes[end + 1..]);
        if name == CONTAINER.as_bytes() {
            return Self::OfContainer;
        }
        match WANTED.iter().find(|wanted| wanted.as_bytes() == name) {
            Some(wanted) => Self::Wanted(wanted, json(value)),
            None => Self::Unwanted,
        }
    }
}

/// A value as `journalctl` writes it: its bytes, where it would not print.
fn json(value: &[u8]) -> Value {
    let odd = |c: char| c.is_control() && c != '\n' && c != '\t';
    match std::str::from_utf8(value) {
        Ok(text) if !text.contains(odd) => text.into(),
        _ => value.into(),
    }
}

/// A field that is there more than once has a list for its value.
fn add(record: &mut Map<String, Value>, name: &str, value: Value) {
    match record.get_mut(name) {
        None => drop(record.insert(name.into(), value)),
        Some(Value::Array(values)) if !values.iter().all(Value::is_number) => values.push(value),
        Some(first) => *first = vec![first.take(), value].into(),
    }
}
