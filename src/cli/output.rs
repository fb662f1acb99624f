//! Options of the output.

use super::values;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

pub use crate::report::When;

/// How the report is written.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output options")]
pub struct Output {
    /// Format of the report
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        default_value = "human",
        env = "SWARM_DOCTOR_OUTPUT",
        hide_env = true
    )]
    pub format: Format,
    /// Also write a report to a file (repeatable)
    ///
    /// Such as sarif=swarm.sarif. The file is complete or unchanged.
    #[arg(long = "report", value_name = "FORMAT=PATH", value_parser = values::wanted)]
    pub reports: Vec<Wanted>,
    /// Show all evidence and every check
    #[arg(short, long)]
    pub verbose: bool,
    /// Print only the summary, and nothing if all is well
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto", env = "SWARM_DOCTOR_COLOR", hide_env = true)]
    pub color: When,
}

impl Output {
    /// Whether a line on standard error may show the progress.
    pub fn wants_progress(&self) -> bool {
        self.format.is_prose() && !self.quiet
    }
}

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people
    Human,
    /// One line per root cause
    Short,
    /// JSON; `swarm-doctor schema` prints its schema
    Json,
    /// JSON, pinned to version 1 of the schema
    JsonV1,
    /// JSON lines: the run, then each finding, check and node
    Jsonl,
    /// JUnit XML
    Junit,
    /// SARIF 2.1.0
    Sarif,
    /// Metrics for the Prometheus textfile collector
    Prometheus,
    /// Output and exit code of a monitoring plugin
    Nagios,
    /// Annotations of a GitHub workflow
    Github,
    /// Markdown for tickets
    Markdown,
    /// A web page in one file, with a picture of the swarm
    Html,
}

impl Format {
    /// Whether it is text for people.
    pub fn is_prose(self) -> bool {
        matches!(self, Self::Human | Self::Short)
    }
}

/// A report that goes into a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its format.
    pub format: Format,
    /// The file.
    pub path: PathBuf,
}

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// Text for people
    Table,
    /// JSON
    Json,
}

/// Options of commands that print a table.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output options")]
pub struct TableOutput {
    /// Format of the table
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "table")]
    pub format: Layout,
    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto", env = "SWARM_DOCTOR_COLOR", hide_env = true)]
    pub color: When,
}
