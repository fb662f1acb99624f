//! Arguments of the commands that examine a host or bundles.

use super::fixing::Fixing;
use super::fleet::Fleet;
use super::gate::Gate;
use super::output::{Output, TableOutput};
use super::source::Source;
use super::values;
use crate::fix::Level;
use clap::{ArgGroup, Args};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Arguments of `run`.
#[derive(Clone, Debug, Args)]
pub struct Chosen {
    /// Run only these checks or categories; `!` excludes one
    ///
    /// `swarm-doctor list` prints the ids. Only the facts that these checks need are collected.
    #[arg(value_name = "CHECK")]
    pub checks: Vec<String>,
    /// The options.
    #[command(flatten)]
    pub run: Run,
}

/// Options of `run`.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// Where facts are collected from.
    #[command(flatten)]
    pub source: Source,
    /// Which other nodes are examined.
    #[command(flatten)]
    pub fleet: Fleet,
    /// Examine a bundle instead of this host (repeatable)
    ///
    /// Several bundles are judged as one swarm.
    #[arg(
        long,
        value_name = "PATH",
        conflicts_with_all = ["host", "context", "root", "all_nodes"],
        help_heading = "Source options"
    )]
    pub bundle: Vec<PathBuf>,
    /// Also save the collected facts as a bundle
    #[arg(long, value_name = "PATH", conflicts_with = "bundle", help_heading = "Source options")]
    pub save: Option<PathBuf>,
    /// How the report is written.
    #[command(flatten)]
    pub output: Output,
    /// Which findings fail the run.
    #[command(flatten)]
    pub gate: Gate,
    /// Retry until the run passes or the time is over
    ///
    /// The last run gives the report and the exit code.
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = values::duration,
        conflicts_with_all = ["bundle", "watch", "fix", "dry_run", "emit_script"],
        help_heading = "Repeat options"
    )]
    pub wait: Option<Duration>,
    /// Run again at this interval and print changes
    ///
    /// Until it is interrupted.
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = values::duration,
        conflicts_with_all = ["bundle", "fix", "dry_run", "emit_script"],
        help_heading = "Repeat options"
    )]
    pub watch: Option<Duration>,
    /// Print how long each fact and check took
    #[arg(long, hide_short_help = true, help_heading = "Output options")]
    pub stats: bool,
    /// Apply remedies, the root cause first
    ///
    /// Asks before each one. With --yes it applies those up to LEVEL without asking.
    #[arg(long, value_name = "LEVEL", num_args = 0..=1, require_equals = true, help_heading = "Fix options")]
    pub fix: Option<Option<Level>>,
    /// How remedies are applied.
    #[command(flatten)]
    pub fixing: Fixing,
}

impl Run {
    /// Whether this host alone is examined as it is now, rather than a bundle or the files of another system.
    pub fn is_live(&self) -> bool {
        self.bundle.is_empty() && !self.fleet.all_nodes && self.source.root == Path::new("/")
    }
}

/// Arguments of `preflight`.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("target").required(true).args(["join", "stack"]))]
pub struct Preflight {
    /// The swarm to join.
    #[command(flatten)]
    pub join: Join,
    /// The stack to deploy.
    #[command(flatten)]
    pub stack: Stack,
    /// Where facts are collected from.
    #[command(flatten)]
    pub source: Source,
    /// Also save the collected facts as a bundle
    #[arg(long, value_name = "PATH", help_heading = "Source options")]
    pub save: Option<PathBuf>,
    /// How the report is written.
    #[command(flatten)]
    pub output: Output,
    /// Which findings fail the run.
    #[command(flatten)]
    pub gate: Gate,
    /// Retry until the run passes or the time is over
    #[arg(long, value_name = "DURATION", value_parser = values::duration, help_heading = "Repeat options")]
    pub wait: Option<Duration>,
}

/// The swarm that a preflight is for.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Join options")]
pub struct Join {
    /// Check whether this host can join this manager's swarm
    #[arg(id = "join", long = "join", value_name = "MANAGER[:PORT]")]
    pub manager: Option<String>,
    /// Join token [env: SWARM_JOIN_TOKEN]
    ///
    /// A file or the environment keeps it out of the process list.
    #[arg(long, value_name = "TOKEN", conflicts_with = "stack")]
    pub token: Option<String>,
    /// File with the join token
    #[arg(long, value_name = "PATH", conflicts_with_all = ["token", "stack"])]
    pub token_file: Option<PathBuf>,
    /// Print the token in the join command
    #[arg(long, conflicts_with = "stack")]
    pub show_token: bool,
}

/// The stack that a preflight is for.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Stack options")]
pub struct Stack {
    /// Check whether this stack file can be deployed
    #[arg(id = "stack", long = "stack", value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// Name to deploy the stack under
    #[arg(long = "stack-name", value_name = "NAME", requires = "stack")]
    pub name: Option<String>,
}

/// Arguments of `matrix`.
#[derive(Clone, Debug, Args)]
pub struct Matrix {
    /// Where facts are collected from.
    #[command(flatten)]
    pub source: Source,
    /// Which other nodes are examined.
    #[command(flatten)]
    pub fleet: Fleet,
    /// Show the paths of a bundle instead (repeatable)
    ///
    /// Of several bundles, the paths between all their nodes.
    #[arg(
        long,
        value_name = "PATH",
        conflicts_with_all = ["host", "context", "root", "all_nodes"],
        help_heading = "Source options"
    )]
    pub bundle: Vec<PathBuf>,
    /// How the table is written.
    #[command(flatten)]
    pub output: TableOutput,
}

/// Arguments of `collect`.
#[derive(Clone, Debug, Args)]
pub struct Collect {
    /// Where facts are collected from.
    #[command(flatten)]
    pub source: Source,
    /// Which other nodes are examined.
    #[command(flatten)]
    pub fleet: Fleet,
    /// Bundle to write, such as node1.tar.zst; - is stdout
    #[arg(short, long, value_name = "PATH")]
    pub file: PathBuf,
    /// Also collect the clocks that only `matrix` shows
    #[arg(long)]
    pub clocks: bool,
    /// Keep only the last lines of each log
    #[arg(long, value_name = "NUMBER")]
    pub log_lines: Option<usize>,
    /// Replace names and addresses by pseudonyms
    ///
    /// `merge --anonymize` gives the bundles of several nodes the same pseudonyms.
    #[arg(long, conflicts_with = "all_nodes")]
    pub anonymize: bool,
}

/// Arguments of `diff`.
#[derive(Clone, Debug, Args)]
pub struct Diff {
    /// The earlier bundle
    pub before: PathBuf,
    /// The later bundle
    pub after: PathBuf,
    /// How the table is written.
    #[command(flatten)]
    pub output: TableOutput,
}

/// Arguments of `merge`.
#[derive(Clone, Debug, Args)]
pub struct Merge {
    /// Bundles, each of one node or of several
    #[arg(value_name = "BUNDLE", required = true)]
    pub bundles: Vec<PathBuf>,
    /// Write one merged bundle instead of a report
    #[arg(short, long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// Replace names and addresses by pseudonyms
    #[arg(long, requires = "file")]
    pub anonymize: bool,
    /// How the report is written.
    #[command(flatten)]
    pub output: Output,
    /// Which findings fail the run.
    #[command(flatten)]
    pub gate: Gate,
}

/// Arguments of `serve`.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// Where facts are collected from.
    #[command(flatten)]
    pub source: Source,
    /// Address and port to listen on
    ///
    /// The report describes the swarm in detail, so only this host can read it by default.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9787")]
    pub address: std::net::SocketAddr,
    /// Maximum age of a report before the checks run again
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = values::duration)]
    pub fresh: Duration,
    /// Which findings fail the run.
    #[command(flatten)]
    pub gate: Gate,
}
