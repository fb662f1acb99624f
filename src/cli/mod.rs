//! The command line: its options, and nothing that acts on them.

mod fixing;
mod fleet;
mod gate;
mod order;
mod output;
mod plugin;
mod relay;
mod run;
mod source;
mod values;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

pub use fixing::{Confirmation, Fix, Fixing, Receipts};
pub use fleet::{Fleet, SshArguments, Via};
pub use gate::Gate;
pub use order::ordered;
pub use output::{Format, Layout, Output, TableOutput, Wanted, When};
pub use plugin::{Invocation, invocation};
pub use relay::Relay;
pub use run::{Chosen, Collect, Diff, Join, Matrix, Merge, Preflight, Run, Serve, Stack};
pub use source::{App, Source};
pub(crate) use values::duration;

/// Diagnose a Docker Swarm: root cause, evidence, remedy
///
/// Finds the root cause of a broken Docker Swarm, shows the evidence, and prints the commands that fix it. Without a
/// command it runs `run`. Options may stand before or after the command.
#[derive(Debug, Parser)]
#[command(
    name = "swarm-doctor",
    version,
    after_help = EXIT_CODES,
    after_long_help = AFTER_LONG_HELP,
    max_term_width = 100,
    subcommand_required = true
)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

macro_rules! exit_codes {
    () => {
        "Exit codes:
  0    no finding at or above --fail-on, and every check is complete
  1    at least one error
  2    usage error, or a file that cannot be read or written
  3    a check is incomplete, and nothing worse was found
  4    warnings only, with --fail-on warning
  5    a fix was not confirmed or not allowed, or it was rolled back
  130  interrupted"
    };
}

const EXIT_CODES: &str = exit_codes!();

const AFTER_LONG_HELP: &str = concat!(
    exit_codes!(),
    "

Environment:
  DOCKER_HOST, DOCKER_CONTEXT, SWARM_JOIN_TOKEN
  SWARM_DOCTOR_SINCE, _TIMEOUT, _CHECK_TIMEOUT, _LISTEN     source options
  SWARM_DOCTOR_OUTPUT, _COLOR                               output options
  SWARM_DOCTOR_FAIL_ON, _ALLOW_UNKNOWN, _BASELINE, _CONFIG  gate options
  SWARM_DOCTOR_STATE_DIR                                    receipts of fixes
  NO_COLOR, CLICOLOR_FORCE, FORCE_COLOR, COLUMNS, PAGER"
);

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Examine this node, or bundles, and report problems
    ///
    /// Read-only unless --fix is given.
    #[command(visible_alias = "check")]
    Run(Box<Chosen>),
    /// Apply the remedy of one check
    ///
    /// Like `run --fix` for a single check.
    Fix(Fix),
    /// Roll back a fix
    Undo {
        /// Receipt of the fix; without it, the receipts are listed
        receipt: Option<String>,
        /// Where facts are collected from.
        #[command(flatten)]
        source: Source,
        /// Where receipts are.
        #[command(flatten)]
        receipts: Receipts,
        /// How it is confirmed.
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// List the fixes that were applied on this node
    History(Receipts),
    /// Check whether a join or a stack deployment would succeed
    ///
    /// Changes nothing, neither on this host nor on the manager.
    Preflight(Preflight),
    /// Show the network paths to the other nodes by layer
    ///
    /// Each path is ok, broken, or unknown with the reason. Without --listen it captures gossip for at most 30 s.
    Matrix(Matrix),
    /// Report on a bundle of a broken swarm; needs no engine
    Demo(Output),
    /// Save what a run would collect as a bundle
    ///
    /// Secrets are removed.
    Collect(Collect),
    /// Compare two bundles: findings and facts
    Diff(Diff),
    /// Judge bundles as one swarm, or merge them into one
    Merge(Merge),
    /// Serve reports and metrics over HTTP
    ///
    /// /report, /metrics and /healthz. The checks run on request only.
    Serve(Serve),
    /// List the checks
    List {
        /// Also list the facts that each check reads
        #[arg(short, long)]
        verbose: bool,
        /// Print JSON
        #[arg(long, conflicts_with = "verbose")]
        json: bool,
        /// Where rules are.
        #[command(flatten)]
        rules: RuleFolders,
    },
    /// Explain a check: why it matters, and how to fix it
    Explain {
        /// Id of the check, or an unambiguous part of it
        #[arg(required_unless_present = "log")]
        check: Option<String>,
        /// Name the checks that know this line of a log instead
        #[arg(long, value_name = "LINE", conflicts_with = "check")]
        log: Option<String>,
        /// Where rules are.
        #[command(flatten)]
        rules: RuleFolders,
    },
    /// Check, test and start rules: checks of your own
    ///
    /// A rule is a TOML file in /etc/swarm-doctor/checks.d or in a folder that --checks names. See docs/rules.
    #[command(subcommand)]
    Rules(Rules),
    /// Write a commented configuration file
    Init {
        /// File to write
        #[arg(value_name = "PATH", default_value = crate::policy::DEFAULT)]
        file: PathBuf,
        /// Overwrite an existing file
        #[arg(long)]
        force: bool,
    },
    /// Print the JSON Schema of a document
    Schema {
        /// The document
        #[arg(value_name = "DOCUMENT", default_value = "report")]
        of: Document,
    },
    /// Print a completion script for a shell
    ///
    /// Such as `source <(swarm-doctor completions bash)`. It completes check ids, docker contexts and receipts.
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page of the program or of a command
    Man {
        /// The command
        #[arg(value_name = "COMMAND")]
        of: Option<String>,
    },
    /// Print the version, the commit and the target
    Version,
    /// Let the engine of this node start `collect-host`
    #[command(hide = true, override_usage = "swarm-doctor relay [OPTIONS] -- [ARGUMENT]...")]
    Relay(Relay),
    /// Enter the namespaces of the host and collect
    #[command(hide = true)]
    CollectHost(Box<Collect>),
}

impl Command {
    /// The options of its output, where it prints a report.
    pub fn output(&self) -> Option<&Output> {
        match self {
            Self::Run(chosen) => Some(&chosen.run.output),
            Self::Fix(fix) => Some(&fix.output),
            Self::Preflight(preflight) => Some(&preflight.output),
            Self::Merge(merge) => Some(&merge.output),
            Self::Demo(output) => Some(output),
            _ => None,
        }
    }
}

/// Folders with rules.
#[derive(Clone, Debug, Default, Args)]
pub struct RuleFolders {
    /// Folder with rules of your own (repeatable)
    ///
    /// Those in /etc/swarm-doctor/checks.d are always read. See docs/rules.
    #[arg(long = "checks", id = "rule_folders", value_name = "DIR")]
    pub rules: Vec<PathBuf>,
}

/// What is done with rules.
#[derive(Debug, Subcommand)]
pub enum Rules {
    /// Check whether rule files are valid
    ///
    /// Files that name each other's rules as causes are checked together.
    Lint {
        /// Rule files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Run each rule of a folder on its bundles
    ///
    /// The bundles of NAME.toml are in the folder NAME: on those that begin with `fires` the rule must have a finding, on
    /// those that begin with `silent` none.
    Test {
        /// Folder with rules
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Write a commented rule
    New {
        /// File to write
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// The documents with a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Document {
    /// The report of `run`, `preflight`, `merge` and `demo`
    Report,
    /// The table of `matrix`
    Matrix,
    /// The facts that rules read
    Facts,
}

/// The names of all commands.
pub fn command_names() -> Vec<String> {
    use clap::CommandFactory as _;
    Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// Every page of help, as `--help` prints it on a terminal of 100 columns.
pub fn help_pages() -> String {
    use clap::CommandFactory as _;
    let mut cli = Cli::command().term_width(100);
    cli.build();
    let names: Vec<String> = cli.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let mut pages = format!("$ swarm-doctor --help\n{}", cli.render_long_help());
    for name in names.iter().filter(|name| *name != "help") {
        if let Some(command) = cli.find_subcommand_mut(name).filter(|command| !command.is_hide_set()) {
            let page = command.clone().term_width(100).render_long_help();
            pages.push_str(&format!("\n$ swarm-doctor {name} --help\n{page}"));
        }
    }
    let lines: Vec<&str> = pages.lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests;
