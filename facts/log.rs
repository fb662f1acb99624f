//! What the engine, and the system beneath it, wrote to the logs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Log lines in the order they happened, and the places where lines are known to be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The lines that bear on the engine.
    pub lines: Vec<Line>,
    /// Where the record says of itself that it is not whole.
    pub holes: Vec<Hole>,
    /// When it ends, where it is a copy: what was going on then may be over since, and nothing else tells. The log of
    /// a machine that was looked at while it ran goes on until then.
    #[serde(default)]
    pub ends: Option<Timestamp>,
}

/// One message, whatever layers it came wrapped in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The file it was read from.
    pub file: String,
    /// The line's number in that file, from 1.
    pub number: u32,
    /// When it was written. The engine's own `time=` where there is one, for it alone has nanoseconds, a
    /// year and a zone; else the stamp of syslog or journald.
    pub at: Option<Timestamp>,
    /// The machine that syslog or journald says it is from.
    pub host: Option<String>,
    /// Who wrote it.
    pub program: Program,
    /// The process that wrote it, where the log says so.
    pub pid: Option<u32>,
    /// How grave its writer thought it. Journald's `PRIORITY` has no part in this: it is 6 for everything
    /// that a daemon writes to its standard error.
    pub level: Level,
    /// What it says, unquoted; `msg=` of an engine's line.
    pub message: String,
    /// The other fields of an engine's line, unquoted. With `log-format: json` a duration is a number of
    /// nanoseconds here, as text it reads `100ms`.
    pub fields: BTreeMap<String, String>,
    /// How many times it was written; above 1 where syslog folded repetitions into one line.
    pub repeated: u32,
    /// Whether its end is lost, as rsyslog cuts at 8 KiB and journald at 48 KiB.
    pub truncated: bool,
}

/// Who wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Program {
    /// The Docker daemon, `dockerd`, `dockerd-current` or `docker`.
    Engine,
    /// Containerd, where it logs for itself.
    Containerd,
    /// Systemd, about the units of the engine and of containerd.
    Systemd,
    /// The kernel.
    Kernel,
}

/// How grave a line's writer thought it, in rising order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The writer did not say: lines of systemd and the kernel, and a crash of the engine.
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
    /// `fatal`: the engine ends after it.
    Fatal,
    /// `panic`.
    Panic,
}

/// A sign that lines are missing from the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    /// The file it was read from.
    pub file: String,
    /// The line's number in that file, from 1.
    pub number: u32,
    /// When it was noticed.
    pub at: Option<Timestamp>,
    /// Whose lines are missing; where the log does not tell, anyone's may be.
    pub whose: Option<Program>,
    /// How many lines are missing, where the log tells.
    pub lost: Option<u64>,
    /// What the log says of it.
    pub text: String,
}
