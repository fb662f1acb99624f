//! `cargo xtask lab`: labs that stay up between commands.

use std::env;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use lab::{Engine, Lab, Node, SUITES};

use crate::vm;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Start a lab
    Up(Up),
    /// Run a command in a node; returns its exit code
    Exec {
        #[command(flatten)]
        name: Name,
        /// node1, node2, ...
        node: String,
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// List labs and their nodes
    Status,
    /// Stop and remove a lab
    Down {
        #[command(flatten)]
        name: Name,
        /// All labs on this host, including those of running tests
        #[arg(long)]
        all: bool,
    },
    /// Run the doctor in an emulated guest, on a kernel with and without IPVS
    Vm(vm::Vm),
    /// List engines, and download those named
    Engines {
        /// Versions or Debian suites to download
        engines: Vec<String>,
    },
}

#[derive(Args)]
pub(crate) struct Name {
    /// Name of the lab; needed if there are several
    #[arg(long = "lab", default_value = "lab")]
    name: String,
}

#[derive(Args)]
pub(crate) struct Up {
    #[command(flatten)]
    name: Name,
    /// Number of managers
    #[arg(long, default_value_t = 1)]
    managers: usize,
    /// Number of workers
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Number of nodes outside the swarm
    #[arg(long, default_value_t = 0)]
    nodes: usize,
    /// Engine version or Debian suite, assigned to the nodes round-robin [default: engine of the host]
    #[arg(long = "engine", value_name = "VERSION")]
    engines: Vec<String>,
    /// Lets root of each node log in on all others with ssh
    #[arg(long)]
    ssh: bool,
    /// Gives each node the image lab/NAME:1 with this program as its entrypoint
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

impl Command {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Up(up) => up.run()?,
            Self::Exec { name, node, command } => return exec(&name.name, &node, &command),
            Self::Status => status()?,
            Self::Down { name, all } => down(&name.name, all)?,
            Self::Vm(vm) => vm.run()?,
            Self::Engines { engines } => list_engines(&engines)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Up {
    fn run(self) -> Result<()> {
        let missing = lab::missing();
        let packages = lab::APT_PACKAGES.join(" ");
        ensure!(
            missing.is_empty(),
            "no lab can run here: {}; Debian's packages are: {packages}",
            missing.join(", ")
        );
        let start = Instant::now();
        let engines: Vec<&str> = self.engines.iter().map(String::as_str).collect();
        let lab = Lab::builder()
            .managers(self.managers)
            .workers(self.workers)
            .nodes(self.nodes)
            .engines(&engines)
            .name(&self.name.name)
            .keep()
            .up()?;
        if self.ssh {
            lab.start_ssh()?;
        }
        if let Some(program) = &self.program {
            let name = program.file_name().unwrap_or_default().to_string_lossy();
            lab.import_program(program, &format!("lab/{name}:1"))?;
        }
        let took = start.elapsed();
        show(&lab);
        eprintln!("up in {:.1} s", took.as_secs_f64());
        Ok(())
    }
}

fn exec(lab: &str, node: &str, words: &[String]) -> Result<ExitCode> {
    let lab = Lab::open(lab)?;
    let node = lab.nodes().iter().find(|known| known.name() == node);
    let node = node.with_context(|| format!("lab {} has no such node", lab.name()))?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let terminal = env::var("TERM").unwrap_or_else(|_| "dumb".to_owned());
    let status = node
        .command(&words)?
        .env("TERM", &terminal)
        .into_std()
        .status()
        .context("failed to start nsenter")?;
    // As a shell does: 128 plus the number of the signal.
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    Ok(ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

fn status() -> Result<()> {
    for name in lab::names()? {
        match Lab::open(&name) {
            Ok(lab) => show(&lab),
            Err(error) => println!("{name}: {error:#}"),
        }
    }
    Ok(())
}

fn down(name: &str, all: bool) -> Result<()> {
    if !all {
        return Lab::take_down(name);
    }
    let mut left = Vec::new();
    for name in lab::names()? {
        match Lab::take_down(&name) {
            Ok(()) => println!("{name} is down"),
            Err(error) => left.push(format!("{name}: {error:#}")),
        }
    }
    ensure!(left.is_empty(), "{}", left.join("; "));
    Ok(())
}

fn list_engines(wanted: &[String]) -> Result<()> {
    for wanted in wanted {
        Engine::find(wanted)?;
    }
    if let Ok(host) = Engine::host() {
        println!("{:<10} host      /", host.version());
    }
    for (suite, version) in SUITES {
        match Engine::fetched(suite) {
            Some(engine) => println!("{:<10} {suite:<9} {}", engine.version(), engine.root()),
            None => println!("{version:<10} {suite:<9} not fetched"),
        }
    }
    Ok(())
}

/// Prints the lab and its nodes. A closed pipe, for example with `head`, is not an error.
fn show(lab: &Lab) {
    let mut text = format!("{} in {}\n", lab.name(), lab.dir().display());
    for node in lab.nodes() {
        let pid = node.pid1().map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let (name, address, version, state) =
            (node.name(), node.address(), node.engine().version(), state(node));
        text += &format!("  {name:<8} {address:<12} {version:<9} pid {pid:<8} {state}\n");
    }
    let _ = io::stdout().write_all(text.as_bytes());
}

/// The current role of the node, which a test may have changed.
fn state(node: &Node) -> String {
    if node.pid1().is_none() {
        return "off".to_owned();
    }
    if node.engine_pid().is_none() {
        return "no engine".to_owned();
    }
    if !node.engine_answers() {
        return "engine does not answer".to_owned();
    }
    let format = "{{.Swarm.LocalNodeState}}{{if .Swarm.ControlAvailable}} manager{{end}}";
    match node.docker(&["info", "--format", format]) {
        Ok(state) if state == "active" => "active worker".to_owned(),
        Ok(state) => state,
        Err(error) => format!("{error:#}"),
    }
}
