//! Log lines of the engine, of systemd about its units, and of the kernel.

use crate::{Gap, Seen, Why};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Log lines in chronological order, and the places where lines are known to be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Log {
    /// The lines that concern the engine.
    pub lines: Vec<Line>,
    /// Where lines are known to be missing.
    pub lost: Vec<LostLines>,
    /// The time of its last line, if it is a copy: the state may have changed since. `None` for the log of a running host,
    /// which is complete up to the time of collection.
    #[serde(default)]
    pub ends: Option<Timestamp>,
}

impl Log {
    /// Lines of the engine that may be missing at or after a time; at any time for `None`.
    pub fn lost_since(&self, since: Option<Timestamp>) -> Option<&LostLines> {
        let concerns_engine = |lost: &&LostLines| matches!(lost.program, None | Some(Program::Engine));
        let recent = |lost: &&LostLines| since.zip(lost.at).is_none_or(|(since, at)| at >= since);
        self.lost.iter().filter(concerns_engine).find(recent)
    }

    /// The reason for which a line that is absent since a time proves nothing, if lines of that time may be missing.
    pub fn gap_since(seen: &Seen<Self>, since: Option<Timestamp>) -> Result<(), Gap> {
        match seen.lost_since(since) {
            Some(lost) => {
                let what = format!("the engine log is incomplete: {}", lost.text);
                Err(Gap { source: seen.source.clone(), why: Why::Undecidable { what } })
            }
            None => Ok(()),
        }
    }
}

/// One message without its outer layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// The file it was read from.
    pub file: String,
    /// Its line number in that file, from 1.
    pub number: u32,
    /// When it was written. The engine's own `time=` where there is one, because only that has nanoseconds, a year and a
    /// zone; otherwise the stamp of syslog or journald.
    pub at: Option<Timestamp>,
    /// The host in the stamp of syslog or journald.
    pub host: Option<String>,
    /// The program that wrote it.
    pub program: Program,
    /// The pid of that program, if the log has it.
    pub pid: Option<u32>,
    /// Its level. Not journald's `PRIORITY`, which is 6 for everything that a daemon writes to standard error.
    pub level: Level,
    /// The message, unquoted; `msg=` of an engine line.
    pub message: String,
    /// The other fields of an engine line, unquoted. With `log-format: json` a duration is a number of nanoseconds; as text
    /// it is `100ms`.
    pub fields: BTreeMap<String, String>,
    /// How many times it was written; above 1 where syslog folded repetitions into one line.
    pub repeated: u32,
    /// Whether its end is missing: rsyslog truncates at 8 KiB, journald at 48 KiB.
    pub truncated: bool,
}

impl Line {
    /// Its `error` field; empty where it has none.
    pub fn error(&self) -> &str {
        self.fields.get("error").map(String::as_str).unwrap_or_default()
    }
}

/// The program that wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Program {
    /// The Docker daemon, `dockerd`, `dockerd-current` or `docker`.
    Engine,
    /// containerd, where it has its own log.
    Containerd,
    /// systemd, about the units of the engine and of containerd.
    Systemd,
    /// The kernel.
    Kernel,
}

/// The level of a line, in ascending order.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// No level: lines of systemd and the kernel, and a crash of the engine.
    #[default]
    Unknown,
    /// `trace`, which the engine never uses.
    Trace,
    /// `debug`.
    Debug,
    /// `info`.
    Info,
    /// `warning`.
    Warning,
    /// `error`.
    Error,
    /// `fatal`: the engine exits after it.
    Fatal,
    /// `panic`.
    Panic,
}

/// Lines that are missing from the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LostLines {
    /// The file that they are missing from.
    pub file: String,
    /// The line number of the message about it, from 1; 0 where the file itself could not be read.
    pub number: u32,
    /// When the loss was noticed. `None` where it may have happened at any time.
    pub at: Option<Timestamp>,
    /// The program that wrote them, if known.
    pub program: Option<Program>,
    /// How many are missing, if known.
    pub count: Option<u64>,
    /// The message about it.
    pub text: String,
}
