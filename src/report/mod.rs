//! Reports: a diagnosis as a person or a program reads it.

mod difference;
mod evidence;
mod explain;
mod finding;
mod ignored;
mod json;
mod list;
mod matrices;
mod matrix;
mod peers;
mod pen;
mod progress;
mod remedy;
#[cfg(test)]
mod sample;
mod stats;
mod table;
mod terminal;
mod text;
mod verdicts;
mod voice;

use crate::judge::Diagnosis;
use std::io::{self, Write};

pub use difference::{json as difference_json, table as difference};
pub use explain::{explain, nearest};
pub use json::Json;
pub use list::list;
pub use matrices::{json as matrices_json, table as matrices};
pub use matrix::{json as matrix_json, table as matrix};
pub use progress::Progress;
pub use table::Table;
pub use terminal::{Terminal, ascii_wanted, color_wanted, width};
pub use voice::{Tone, Voice};

/// The JSON Schema of what [`Json`] writes.
pub const SCHEMA: &str = include_str!("schema.json");

/// The JSON Schema of what [`matrix_json`] writes.
pub const MATRIX_SCHEMA: &str = include_str!("matrix.schema.json");

/// One way to write a diagnosis down.
pub trait Format {
    /// Writes the whole diagnosis.
    fn render(&self, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()>;
}
