//! The command line: clap types, nothing else.

use crate::exit::FailOn;
use crate::fix::Level;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// A doctor for Docker Swarm: finds the cause, shows the proof, says what to do where.
#[derive(Debug, Parser)]
#[command(name = "swarm-doctor", version, after_help = EXIT_CODES, max_term_width = 100, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; `run` where nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags of `run`, so that it may be left out.
    #[command(flatten)]
    pub run: Run,
}

const EXIT_CODES: &str = "Exit codes:
  0    no finding at or above --fail-on, and everything required was checked
  1    at least one error
  2    wrong command line, or a file that it names
  3    a check could not tell, and nothing worse was found
  4    warnings only, and --fail-on warning was given
  5    a fix was refused, for nobody was there to be asked or it may not be; or it did not heal, and was taken back
  130  interrupted";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Examine this node, or a bundle, and say what is wrong. Changes nothing on the host, but with --fix.
    Run(Chosen),
    /// Carry out the remedy of one check, as `run --fix` does for all.
    Fix(Fix),
    /// Take back what a fix did.
    Undo {
        /// The receipt, as the fix and `history` name it.
        receipt: String,
        /// Where to look.
        #[command(flatten)]
        source: Source,
        /// Where receipts are.
        #[command(flatten)]
        receipts: Receipts,
    },
    /// List what fixes did on this node.
    History(Receipts),
    /// Say what would go wrong before it is done: of a join, or of a stack. Changes nothing, here or there.
    Preflight(Preflight),
    /// Show the paths from this node to each other, layer by layer: proven, refuted, or unknown and why.
    Matrix(Matrix),
    /// Examine a bundle recorded from a swarm that was really broken; needs no engine.
    Demo(Output),
    /// Write what a run would collect into a bundle, with secrets taken out.
    Collect(Collect),
    /// Say what changed between two bundles: in what the doctor says, and in the facts.
    Diff(Diff),
    /// Judge the bundles of several nodes as one swarm, or put them into one bundle.
    Merge(Merge),
    /// Serve the report over HTTP: /healthz, /metrics, /report. Looks only while somebody asks.
    Serve(Serve),
    /// List the checks.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Explain a check: why it matters, how to fix it, when it is wrong.
    Explain {
        /// The id, such as `swarm/lost-quorum`.
        check: String,
    },
    /// Write a commented swarm-doctor.toml to begin with.
    Init {
        /// Where.
        #[arg(value_name = "FILE", default_value = crate::policy::DEFAULT)]
        file: PathBuf,
        /// Write it anew where there is one.
        #[arg(long)]
        force: bool,
    },
    /// Print the JSON Schema of `-o json`.
    Schema {
        /// Of which document.
        #[arg(value_name = "DOCUMENT", default_value = "report")]
        of: Document,
    },
    /// Print what makes a shell complete the command line, such as `swarm-doctor completions bash`.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, of all or of one command.
    Man {
        /// The command.
        #[arg(value_name = "COMMAND")]
        of: Option<String>,
    },
}

impl Command {
    /// What it shows, where that is a report.
    pub fn output(&self) -> Option<&Output> {
        match self {
            Self::Run(chosen) => Some(&chosen.run.output),
            Self::Fix(fix) => Some(&fix.output),
            Self::Preflight(preflight) => Some(&preflight.run.output),
            Self::Merge(merge) => Some(&merge.output),
            Self::Demo(output) => Some(output),
            _ => None,
        }
    }
}

/// `run`, with what is asked.
#[derive(Clone, Debug, Args)]
pub struct Chosen {
    /// Ask these alone: ids and categories, as `list` names them; '!' before one leaves it out. What they need is collected
    #[arg(value_name = "CHECK")]
    pub checks: Vec<String>,
    /// How.
    #[command(flatten)]
    pub run: Run,
}

/// The flags of `run`.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// Where to look.
    #[command(flatten)]
    pub source: Source,
    /// Examine this bundle instead of this node; several are judged as one swarm.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["host", "context", "root"])]
    pub bundle: Vec<PathBuf>,
    /// Also write what was collected into this bundle; `run --bundle` on it gives the same report.
    #[arg(long, value_name = "FILE", conflicts_with = "bundle")]
    pub save: Option<PathBuf>,
    /// What to show.
    #[command(flatten)]
    pub output: Output,
    /// What counts.
    #[command(flatten)]
    pub gate: Gate,
    /// Look until nothing fails the run, this long at most; the last look counts
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with_all = ["bundle", "watch", "fix", "dry_run", "emit_script"])]
    pub wait: Option<std::time::Duration>,
    /// Look again every so often, and show what changed, until interrupted
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with_all = ["bundle", "fix", "dry_run", "emit_script"])]
    pub watch: Option<std::time::Duration>,
    /// Show on standard error how long each kind of fact and each check took
    #[arg(long)]
    pub stats: bool,
    /// Carry out remedies, one by one and the cause first: asked for each, or with --yes up to this level
    #[arg(long, value_name = "LEVEL", num_args = 0..=1, require_equals = true)]
    pub fix: Option<Option<Level>>,
    /// How to fix.
    #[command(flatten)]
    pub fixing: Fixing,
}

/// `fix`.
#[derive(Clone, Debug, Args)]
pub struct Fix {
    /// The id, such as `engine/live-restore`.
    pub check: String,
    /// The level that --yes is for
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<Level>,
    /// Where to look.
    #[command(flatten)]
    pub source: Source,
    /// What to show.
    #[command(flatten)]
    pub output: Output,
    /// How to fix.
    #[command(flatten)]
    pub fixing: Fixing,
}

impl Run {
    /// Whether this host is examined as it is now, rather than a bundle or the files of another system.
    pub fn is_live(&self) -> bool {
        self.bundle.is_empty() && self.source.root == std::path::Path::new("/")
    }
}

impl From<Fix> for Run {
    /// All that is looked at is what every run looks at.
    fn from(fix: Fix) -> Self {
        let Fix { level, source, output, fixing, .. } = fix;
        let gate = Gate::default();
        Self {
            source,
            bundle: Vec::new(),
            save: None,
            output,
            gate,
            wait: None,
            watch: None,
            stats: false,
            fix: Some(level),
            fixing,
        }
    }
}

/// How to fix.
#[derive(Clone, Debug, Args)]
pub struct Fixing {
    /// Do not ask; what is more than safe needs its level named
    #[arg(long)]
    pub yes: bool,
    /// Show what would be done, and touch nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Write what would be done as a script for the nodes that it is for, and touch nothing else
    #[arg(long, value_name = "FILE")]
    pub emit_script: Option<PathBuf>,
    /// With --yes, allow a destructive remedy, naming the node or the cluster that it will hurt
    #[arg(long, value_name = "CHECK=NAME")]
    pub confirm: Vec<String>,
    /// Declare a manager gone for good, by its address, although its machine answers
    #[arg(long, value_name = "ADDRESS")]
    pub lost: Vec<String>,
    /// A bundle of another manager, whose raft log must not be newer where a swarm is founded anew
    #[arg(long, value_name = "BUNDLE")]
    pub compare: Vec<PathBuf>,
    /// The address that a swarm founded anew advertises; the old one where none is given
    #[arg(long, value_name = "ADDRESS")]
    pub advertise_addr: Option<String>,
    /// Read the unlock key from standard input
    #[arg(long)]
    pub key_stdin: bool,
    /// Read the join token from standard input
    #[arg(long, conflicts_with = "key_stdin")]
    pub token_stdin: bool,
    /// The manager to join; one that this node remembers where none is given
    #[arg(long, value_name = "ADDRESS")]
    pub manager: Option<String>,
    /// Where receipts are.
    #[command(flatten)]
    pub receipts: Receipts,
}

/// Where receipts are.
#[derive(Clone, Debug, Args)]
pub struct Receipts {
    /// Where the journal and the backups of fixes are kept
    #[arg(long, value_name = "DIR", default_value = "/var/lib/swarm-doctor")]
    pub state_dir: PathBuf,
}

/// `preflight`. All that `run` says of this machine it says, too.
#[derive(Clone, Debug, Args)]
pub struct Preflight {
    /// How to look, and what to show.
    #[command(flatten)]
    pub run: Run,
    /// The swarm to join.
    #[command(flatten)]
    pub join: Join,
    /// The stack to deploy.
    #[command(flatten)]
    pub stack: Stack,
}

/// The stack that a preflight is for.
#[derive(Clone, Debug, Args)]
pub struct Stack {
    /// Whether this stack can be deployed on this swarm
    #[arg(long = "stack", value_name = "FILE", conflicts_with_all = ["bundle", "join"])]
    pub file: Option<PathBuf>,
    /// The name it will be deployed under
    #[arg(long = "stack-name", value_name = "NAME", requires = "file")]
    pub name: Option<String>,
}

/// The swarm that a preflight is for.
#[derive(Clone, Debug, Args)]
pub struct Join {
    /// Whether this machine can join the swarm of this manager
    #[arg(id = "join", long = "join", value_name = "MANAGER[:PORT]", conflicts_with = "bundle")]
    pub manager: Option<String>,
    /// The join token; a file or the environment keeps it out of the list of processes [env: SWARM_JOIN_TOKEN]
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// The file with the join token
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,
    /// Show the token in the command that joins
    #[arg(long)]
    pub show_token: bool,
}

/// `matrix`.
#[derive(Clone, Debug, Args)]
pub struct Matrix {
    /// Where to look. Without --listen, it is listened for as long as silence needs to tell something, and 30s at most.
    #[command(flatten)]
    pub source: Source,
    /// Show the paths that this bundle tells of, instead of this node's; of several, those between all of them.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["host", "context", "root"])]
    pub bundle: Vec<PathBuf>,
    /// The format
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "table")]
    pub format: Layout,
    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: When,
}

/// How a table is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// `collect`.
#[derive(Clone, Debug, Args)]
pub struct Collect {
    /// Where to look.
    #[command(flatten)]
    pub source: Source,
    /// The bundle to write, such as `node1.tar.zst`.
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
    /// Keep no more than this many lines of each log, the last ones
    #[arg(long, value_name = "NUMBER")]
    pub log_lines: Option<usize>,
    /// Put pseudonyms in the place of names and addresses. Of several nodes, `merge --anonymize` gives them the same
    #[arg(long)]
    pub anonymize: bool,
}

/// `diff`.
#[derive(Clone, Debug, Args)]
pub struct Diff {
    /// The bundle from before.
    pub before: PathBuf,
    /// The bundle from after.
    pub after: PathBuf,
    /// The format
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "table")]
    pub format: Layout,
    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: When,
}

/// `merge`.
#[derive(Clone, Debug, Args)]
pub struct Merge {
    /// The bundles, each of one node or of several.
    #[arg(value_name = "BUNDLE", required = true)]
    pub bundles: Vec<PathBuf>,
    /// Write them into this bundle instead of judging them; `run --bundle` judges it
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Put pseudonyms in the place of names and addresses, the same in all of them
    #[arg(long, requires = "file")]
    pub anonymize: bool,
    /// What to show.
    #[command(flatten)]
    pub output: Output,
    /// What counts.
    #[command(flatten)]
    pub gate: Gate,
}

/// `serve`.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// Where to look.
    #[command(flatten)]
    pub source: Source,
    /// The address and port to serve on; the report tells much of a swarm, so that others reach it only if told so
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9787")]
    pub address: std::net::SocketAddr,
    /// What counts.
    #[command(flatten)]
    pub gate: Gate,
    /// For how long a look is good for all who ask
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub fresh: std::time::Duration,
}

/// Where to look.
#[derive(Clone, Debug, Args)]
pub struct Source {
    /// The engine, as docker takes it: unix:///path or tcp://host:port [env: DOCKER_HOST]
    #[arg(short = 'H', long, value_name = "URL", conflicts_with = "context")]
    pub host: Option<String>,
    /// The docker context that names the engine [env: DOCKER_CONTEXT]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Read files below this directory, as if it were /
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// How far back to read the engine's log, such as 90m, 24h or 7d
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    pub since: std::time::Duration,
    /// The most one request to the engine may take
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub timeout: std::time::Duration,
    /// The most collecting one kind of fact may take, for which checks wait [default: 4s more than --timeout]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub check_timeout: Option<std::time::Duration>,
    /// Listen for gossip on the wire, this long at most, to prove 7946/udp; 5s is enough for three nodes
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub listen: Option<std::time::Duration>,
    /// Take SERVICE for an application that is not recognised by itself, such as nifi=stack1_ingest
    #[arg(long = "app", value_name = "PROGRAM=SERVICE", value_parser = app)]
    pub apps: Vec<App>,
}

/// A service and the program that it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// The program, by the name it has here.
    pub program: String,
    /// The service, by name.
    pub service: String,
}

/// What to show.
#[derive(Clone, Debug, Args)]
pub struct Output {
    /// The format
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "human")]
    pub format: Format,
    /// Also write a report into a file, such as sarif=swarm.sarif; as often as wanted
    #[arg(long = "report", value_name = "FORMAT=PATH", value_parser = wanted)]
    pub reports: Vec<Wanted>,
    /// Show all evidence, and passed, skipped and incomplete checks
    #[arg(short, long)]
    pub verbose: bool,
    /// Print the verdict and the summary only, and nothing if all is well
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: When,
}

/// What counts. A file says the same for every run; what is said here goes before it.
#[derive(Clone, Debug, Default, Args)]
pub struct Gate {
    /// From which weight on a finding fails the run [default: error]
    #[arg(long, value_name = "WEIGHT")]
    pub fail_on: Option<FailOn>,
    /// Exit with 0 even where a check could not tell
    #[arg(long)]
    pub allow_unknown: bool,
    /// Only what is not in this report counts: one that `-o json` wrote before
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// What is known and does not count; it is shown all the same. REASON may end with `until 2027-01-31`
    #[arg(long, value_name = "CHECK[@SUBJECT]=REASON")]
    pub ignore: Vec<String>,
    /// How much the findings of a check weigh: error, warning or info
    #[arg(long, value_name = "CHECK=WEIGHT")]
    pub severity: Vec<String>,
    /// From where on a check says something, such as host/disk-full=10%
    #[arg(long, value_name = "CHECK=VALUE")]
    pub threshold: Vec<String>,
    /// What counts, from this file [default: /etc/swarm-doctor.toml, where there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// For people in a hurry: a line for each cause.
    Short,
    /// For programs; `swarm-doctor schema` describes it.
    Json,
    /// The same, for programs that will not follow when a newer layout comes.
    JsonV1,
    /// The same, a line for the run and one for each finding, check and peer.
    Jsonl,
    /// A test suite for each category, a case for each check.
    Junit,
    /// SARIF 2.1.0.
    Sarif,
    /// Metrics, for the textfile collector.
    Prometheus,
    /// What a monitoring plugin says; as -o it also ends like one, with 0, 1, 2 or 3.
    Nagios,
    /// Annotations of a GitHub workflow.
    Github,
    /// For tickets.
    Markdown,
    /// For browsers, in one file, with a picture of the swarm.
    Html,
}

impl Format {
    /// Whether a person reads it as it is.
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

/// The documents that programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Document {
    /// That of `run`, `preflight` and `demo`.
    Report,
    /// That of `matrix`.
    Matrix,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Reads `PROGRAM=SERVICE`.
fn app(text: &str) -> Result<App, String> {
    let Some((program, service)) = text.split_once('=').filter(|(_, service)| !service.is_empty()) else {
        return Err("a program, = and a service are expected, such as nifi=stack1_ingest".into());
    };
    match facts::app::Program::named(program) {
        Some(program) => Ok(App { program: program.name.to_owned(), service: service.to_owned() }),
        None => {
            let known: Vec<_> = facts::app::PROGRAMS.iter().map(|program| program.name).collect();
            Err(format!("{program:?} is not one of {}", known.join(", ")))
        }
    }
}

/// Reads `FORMAT=PATH`.
fn wanted(text: &str) -> Result<Wanted, String> {
    let Some((format, path)) = text.split_once('=').filter(|(_, path)| !path.is_empty()) else {
        return Err("a format, = and a file are expected, such as sarif=swarm.sarif".into());
    };
    let known = || Format::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    let format = Format::from_str(format, false).map_err(|_| {
        let names: Vec<_> = known().map(|value| value.get_name().to_owned()).collect();
        format!("{format:?} is not one of {}", names.join(", "))
    })?;
    Ok(Wanted { format, path: path.into() })
}

/// Reads a time such as `250ms`, `2s`, `90m`, `24h` or `7d`.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("a number with ms, s, m, h or d is expected, such as 24h".into()),
    };
    let number: u64 = number.parse().map_err(|_| "a whole number is expected before the unit".to_owned())?;
    let millis = number.checked_mul(millis).filter(|millis| *millis > 0);
    millis.map(std::time::Duration::from_millis).ok_or_else(|| "a time above zero is expected".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn help_fits_a_page_of_80_columns() {
        let mut cli = Cli::command().term_width(80);
        cli.build();
        let names: Vec<String> = cli.get_subcommands().map(|command| command.get_name().to_owned()).collect();
        let mut pages = vec![cli.render_long_help().to_string()];
        for name in names {
            let command = cli.find_subcommand_mut(&name).unwrap();
            pages.extend([command.render_help().to_string(), command.render_long_help().to_string()]);
        }
        for line in pages.iter().flat_map(|page| page.lines()) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
