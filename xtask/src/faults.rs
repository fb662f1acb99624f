//! `cargo xtask faults`: the fault bench.

use anyhow::{Context, Result, bail, ensure};
use bench::{Bench, Fault, Swarm};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

#[derive(Args)]
pub(crate) struct Faults {
    /// Only faults whose names start with this, such as `firewall` or `quorum/one-of-two`
    names: Vec<String>,
    /// Engine version or Debian suite; several are assigned to the nodes round-robin
    #[arg(long = "engine", value_name = "VERSION")]
    engines: Vec<String>,
    /// Also write the outcomes to this JSON file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only the faults that CI runs
    #[arg(long)]
    ci: bool,
    /// Only faults with a fix: apply it, check again, undo it
    #[arg(long)]
    fix: bool,
    /// List the faults and exit
    #[arg(long)]
    list: bool,
    /// Number of workers, for faults in a swarm of the default size
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(2..))]
    workers: Option<u8>,
    /// Number of labs at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    jobs: usize,
    /// Run the doctor this often on healthy swarms, without faults
    #[arg(long, value_name = "RUNS", conflicts_with_all = ["names", "ci", "list", "json", "workers"])]
    healthy: Option<usize>,
    /// Run the doctor for this time on a healthy swarm that changes, without faults
    #[arg(long, value_name = "MINUTES", conflicts_with_all = ["names", "ci", "list", "json", "workers", "healthy"])]
    churn: Option<u64>,
    /// The program under test [default: build it]
    #[arg(long, value_name = "FILE")]
    doctor: Option<PathBuf>,
}

impl Faults {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let faults = self.selected()?;
        if self.list {
            for fault in &faults {
                println!("{}: {}", fault.name, fault.say);
            }
            return Ok(ExitCode::SUCCESS);
        }
        let missing = lab::missing();
        ensure!(missing.is_empty(), "no lab can run here: {}", missing.join(", "));
        let doctor = match self.doctor {
            // In a node it is installed under its file name.
            Some(doctor) => {
                ensure!(doctor.ends_with("swarm-doctor"), "{} is not called swarm-doctor", doctor.display());
                doctor
            }
            None => build()?,
        };
        let bench = Bench { doctor, engines: self.engines, jobs: self.jobs, fix: self.fix };
        match (self.healthy, self.churn) {
            (Some(runs), _) => healthy(&bench, runs),
            (None, Some(minutes)) => churn(&bench, minutes),
            (None, None) => broken(&bench, faults, self.json.as_deref()),
        }
    }

    fn selected(&self) -> Result<Vec<Fault>> {
        let mut faults = bench::faults(&crate::root().join("tests/live/faults"))?;
        faults.retain(|fault| !self.ci || fault.ci);
        faults.retain(|fault| !self.fix || fault.expect.iter().any(|expect| expect.fix.is_some()));
        if !self.names.is_empty() {
            for name in &self.names {
                let any = faults.iter().any(|fault| fault.name.starts_with(name.as_str()));
                ensure!(any, "no fault's name starts with {name:?}; --list shows them");
            }
            faults.retain(|fault| self.names.iter().any(|name| fault.name.starts_with(name.as_str())));
        }
        if let Some(workers) = self.workers {
            for fault in faults.iter_mut().filter(|fault| fault.swarm == Swarm::default()) {
                fault.swarm.workers = workers.into();
            }
        }
        Ok(faults)
    }
}

fn broken(bench: &Bench, faults: Vec<Fault>, json: Option<&Path>) -> Result<ExitCode> {
    let (began, count) = (Instant::now(), faults.len());
    let outcomes = bench.run(faults, |outcome| {
        eprintln!("{:5.0} s  {}  {:?}", outcome.seconds, outcome.fault, outcome.verdict);
    });
    println!("{}", bench::table(&outcomes, 160));
    if let Some(path) = json {
        let text = serde_json::to_string_pretty(&outcomes)?;
        std::fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))?;
    }
    let failed = outcomes.iter().filter(|outcome| outcome.verdict.fails()).count();
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    println!("{count} faults, {} verdicts, {failed} failed, {minutes:.1} min", outcomes.len());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn healthy(bench: &Bench, runs: usize) -> Result<ExitCode> {
    let alarms = bench::healthy(bench, runs, |line| println!("{line}"))?;
    for alarm in &alarms {
        println!("false alarm: {alarm}");
    }
    Ok(if alarms.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn churn(bench: &Bench, minutes: u64) -> Result<ExitCode> {
    let (runs, alarms) = bench::churn(bench, Duration::from_secs(60 * minutes), |line| println!("{line}"))?;
    for alarm in &alarms {
        println!("not confirmed: {alarm}");
    }
    println!("{runs} runs, {} alarms that the settled swarm does not confirm", alarms.len());
    Ok(if alarms.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds the doctor; returns its path.
fn build() -> Result<PathBuf> {
    let status =
        Command::new("cargo").current_dir(crate::root()).args(["build", "--bin", "swarm-doctor"]).status();
    if !status.context("failed to start cargo")?.success() {
        bail!("the doctor does not build");
    }
    Ok(crate::target_directory().join("debug/swarm-doctor"))
}
