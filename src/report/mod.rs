//! Reports: a diagnosis as a person or a program reads it.

mod alike;
mod deliver;
mod difference;
mod evidence;
mod explain;
mod finding;
mod github;
mod html;
mod human;
mod ignored;
mod json;
mod jsonl;
mod junit;
mod list;
mod markdown;
mod matrices;
mod matrix;
mod nagios;
mod peers;
mod pen;
mod place;
mod progress;
mod prometheus;
mod remedy;
#[cfg(test)]
mod sample;
mod sarif;
mod sentence;
mod short;
mod stats;
mod terminal;
mod text;
mod verdicts;
mod voice;

use crate::judge::Diagnosis;
use std::io::{self, Write};

pub use difference::{json as difference_json, table as difference};
pub use explain::{explain, nearest};
pub use github::Github;
pub use html::Html;
pub use human::Human;
pub use json::Json;
pub use jsonl::JsonLines;
pub use junit::Junit;
pub use list::list;
pub use markdown::Markdown;
pub use matrices::{json as matrices_json, table as matrices};
pub use matrix::{json as matrix_json, table as matrix};
pub use nagios::Nagios;
pub use progress::Progress;
pub use prometheus::Prometheus;
pub use sarif::Sarif;
pub use short::Short;
pub use terminal::{Terminal, ascii_wanted, color_wanted, width};
pub use voice::{Tone, Voice};

/// The JSON Schema of what [`Json`] writes.
pub const SCHEMA: &str = include_str!("schema.json");

/// The JSON Schema of what [`matrix_json`] writes.
pub const MATRIX_SCHEMA: &str = include_str!("matrix.schema.json");

/// The version that reports name.
const TOOL_VERSION: &str = env!("CARGO_PKG_VERSION");

/// One way to write a diagnosis down.
pub trait Format {
    /// Writes the whole diagnosis.
    fn render(&self, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()>;
}

/// What a report for people is written on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Show all evidence, and healthy, skipped and unknown checks one by one.
    pub verbose: bool,
    /// The columns there are.
    pub width: u16,
    /// Whether to use colour.
    pub color: bool,
    /// Whether to write nothing but ASCII.
    pub ascii: bool,
    /// How long the run took, to be shown on the last line.
    pub elapsed_ms: Option<u64>,
}

impl Page {
    /// A page in a file.
    pub const PLAIN: Self = Self { verbose: false, width: 80, color: false, ascii: false, elapsed_ms: None };
}
