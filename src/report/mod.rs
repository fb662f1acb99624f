//! Reports: a diagnosis as a person or a program reads it.

mod console;
mod difference;
mod evidence;
mod explain;
mod finding;
mod github;
mod grouping;
mod headline;
mod html;
mod human;
mod ignored;
mod json;
mod jsonl;
mod junit;
mod list;
mod markdown;
mod matrix;
mod nagios;
mod peers;
mod progress;
mod prometheus;
mod remedy;
#[cfg(test)]
mod sample;
mod sarif;
mod short;
mod stats;
mod summary;
mod tally;
mod terminal;
mod text;
mod verdicts;
mod writer;

use crate::judge::Diagnosis;
use facts::Timestamp;
use std::io::{self, Write};

// The old names are used by the fix until it is renamed.
pub use console::{Console as Voice, MessageKind as Tone};
pub use console::{Console, MessageKind, Stream};
pub use difference::{json as difference_json, table as difference};
pub use explain::explain;
pub use github::Github;
pub use html::Html;
pub use human::Human;
pub use json::Json;
pub use jsonl::JsonLines;
pub use junit::Junit;
pub use list::{json as list_json, list};
pub use markdown::Markdown;
pub use matrix::many::{json as matrices_json, table as matrices};
pub use matrix::{json as matrix_json, table as matrix};
pub use nagios::Nagios;
pub use progress::Progress;
pub use prometheus::Prometheus;
pub use sarif::Sarif;
pub use short::Short;
pub use terminal::{Terminal, When, ascii_wanted, color_wanted, width};
pub use text::Printable;

/// The JSON Schema of what [`Json`] writes.
pub const SCHEMA: &str = include_str!("schema.json");

/// The JSON Schema of what [`matrix_json`] writes.
pub const MATRIX_SCHEMA: &str = include_str!("matrix.schema.json");

/// The version that reports name.
const TOOL_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where the pages of the checks are.
const HOME: &str = env!("CARGO_PKG_REPOSITORY");

/// The page of a check; for a rule of the user, the list of checks, which leads to the page about rules.
fn page_of(check: &str) -> String {
    if check == crate::fleet::NOT_EXAMINED {
        return format!("{HOME}/blob/main/docs/fleet.md");
    }
    match checks::built_in().any(|built_in| built_in.meta.id == check) {
        true => format!("{HOME}/blob/main/docs/checks/{check}.md"),
        false => format!("{HOME}/blob/main/docs/checks/README.md"),
    }
}

/// A format of the report.
pub trait Format {
    /// Writes the whole diagnosis.
    fn render(&self, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()>;
}

/// How a report for people is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Show all evidence, and passed, skipped and incomplete checks one by one.
    pub verbose: bool,
    /// Write the verdict and the last lines only, and nothing where nothing was found.
    pub quiet: bool,
    /// What the output can show.
    pub terminal: Terminal,
    /// How long the run took, for the tally.
    pub elapsed_ms: Option<u64>,
    /// Set where the report is about the host that it is read on, now.
    pub here: Option<Here>,
}

/// What the reader can do on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Here {
    /// Whether `run --fix` can apply a remedy.
    pub fixable: bool,
}

impl Page {
    /// A page in a file.
    pub const PLAIN: Self =
        Self { verbose: false, quiet: false, terminal: Terminal::PLAIN, elapsed_ms: None, here: None };
}

/// How much of the findings is shown, and the time that ages are counted from.
#[derive(Clone, Copy, Debug)]
struct Detail {
    verbose: bool,
    taken: Timestamp,
}
