//! Options of fixes.

use super::output::Output;
use super::run::Run;
use super::source::Source;
use super::{Fleet, Gate};
use crate::fix::Level;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `fix`.
#[derive(Clone, Debug, Args)]
pub struct Fix {
    /// Id of the check, or an unambiguous part of it
    pub check: String,
    /// Highest risk that --yes applies
    #[arg(long, value_name = "LEVEL", help_heading = "Fix options")]
    pub level: Option<Level>,
    /// Where facts are collected from.
    #[command(flatten)]
    pub source: Source,
    /// How the report is written.
    #[command(flatten)]
    pub output: Output,
    /// How remedies are applied.
    #[command(flatten)]
    pub fixing: Fixing,
}

impl From<Fix> for Run {
    /// A fix examines what every run examines.
    fn from(fix: Fix) -> Self {
        let Fix { level, source, output, fixing, .. } = fix;
        Self {
            source,
            fleet: Fleet::default(),
            bundle: Vec::new(),
            save: None,
            output,
            gate: Gate::default(),
            wait: None,
            watch: None,
            stats: false,
            fix: Some(level),
            fixing,
        }
    }
}

/// How remedies are applied.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Fix options")]
pub struct Fixing {
    /// Apply without asking; above safe, name the level
    #[arg(long)]
    pub yes: bool,
    /// Print what would be done and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Write the steps as a script and change nothing
    #[arg(long, value_name = "PATH")]
    pub emit_script: Option<PathBuf>,
    /// Allow a destructive remedy with --yes (repeatable)
    ///
    /// NAME is the node or the cluster that it affects.
    #[arg(long, value_name = "CHECK=NAME", hide_short_help = true)]
    pub confirm: Vec<String>,
    /// Address of a manager that is permanently lost
    ///
    /// Needed where its host still answers. Repeatable.
    #[arg(long, value_name = "ADDRESS", hide_short_help = true)]
    pub lost: Vec<String>,
    /// Bundle of another manager to compare raft logs with
    ///
    /// A new cluster is only forced from the newest raft log. Repeatable.
    #[arg(long, value_name = "BUNDLE", hide_short_help = true)]
    pub compare: Vec<PathBuf>,
    /// Address that a forced new cluster advertises
    ///
    /// The default is the present one.
    #[arg(long, value_name = "ADDRESS", hide_short_help = true)]
    pub advertise_addr: Option<String>,
    /// Read the unlock key from standard input
    #[arg(long, hide_short_help = true)]
    pub key_stdin: bool,
    /// Read the join token from standard input
    #[arg(long, conflicts_with = "key_stdin", hide_short_help = true)]
    pub token_stdin: bool,
    /// Manager to join
    ///
    /// The default is one that this node remembers.
    #[arg(long, value_name = "ADDRESS", hide_short_help = true)]
    pub manager: Option<String>,
    /// Where receipts are.
    #[command(flatten)]
    pub receipts: Receipts,
}

/// How an undo is confirmed.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Fix options")]
pub struct Confirmation {
    /// Undo without asking; above safe, name the level
    #[arg(long)]
    pub yes: bool,
    /// Highest level that --yes allows
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<Level>,
    /// Allow a destructive undo with --yes (repeatable)
    #[arg(long, value_name = "RECEIPT=NODE", hide_short_help = true)]
    pub confirm: Vec<String>,
}

/// Where receipts are.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Fix options")]
pub struct Receipts {
    /// Directory of the receipts and backups of fixes
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/var/lib/swarm-doctor",
        env = "SWARM_DOCTOR_STATE_DIR",
        hide_env = true,
        hide_short_help = true
    )]
    pub state_dir: PathBuf,
}
