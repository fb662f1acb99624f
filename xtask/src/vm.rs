//! `cargo xtask lab vm`: the doctor where VIPs work, and where the kernel has no IPVS, in a guest.

mod report;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use lab::Guest;

use report::Report;

#[derive(Args)]
pub(crate) struct Vm {
    /// Only with IPVS, as most servers are
    #[arg(long, conflicts_with = "without_ipvs")]
    with_ipvs: bool,
    /// Only without, as where the distribution's extra modules are not installed
    #[arg(long)]
    without_ipvs: bool,
    /// The most that one guest may take, in minutes
    #[arg(long, default_value_t = 30)]
    limit: u64,
    /// Print what the doctor found as well
    #[arg(long)]
    findings: bool,
}

impl Vm {
    pub(crate) fn run(self) -> Result<()> {
        let guest = Guest::find()?;
        let doctor = doctor()?;
        let variants = [("with IPVS", true, !self.without_ipvs), ("without IPVS", false, !self.with_ipvs)];
        let mut passed = true;
        let mut ends = Vec::new();
        for (name, ipvs, _) in variants.into_iter().filter(|(.., wanted)| *wanted) {
            println!("{name}:");
            let began = Instant::now();
            let end = self.boot(&guest, &doctor, ipvs);
            let took = began.elapsed().as_secs();
            passed &= end.is_ok();
            ends.push(match end {
                Ok(reports) => format!("pass: {name}, all {reports} reports are right, {took} s"),
                Err(error) => format!("FAIL: {name}, after {took} s: {error:#}"),
            });
        }
        println!("{}", ends.join("\n"));
        ensure!(passed, "the doctor is not right in every guest");
        Ok(())
    }

    /// Boots one guest, holds each report in it to what is expected, and tells how many there were.
    fn boot(&self, guest: &Guest, doctor: &Path, ipvs: bool) -> Result<usize> {
        let folder = tempfile::tempdir()?;
        let payload = folder.path().join("payload");
        fs::create_dir(&payload)?;
        fs::copy(doctor, payload.join("swarm-doctor"))?;
        fs::copy(env::current_exe()?, payload.join("xtask"))?;
        fs::write(payload.join("run"), include_str!("../../tests/lab/guest/scenarios.sh"))?;
        let words: &[&str] = if ipvs { &[] } else { &["without=ip_vs"] };
        let began = Instant::now();
        let (mut wrong, mut seen) = (Vec::new(), Vec::new());
        guest.run(&payload, words, Duration::from_secs(60 * self.limit), |line| {
            let at = began.elapsed().as_secs();
            let Some(report) = line.strip_prefix("report ") else {
                println!("{at:>4} s  {line}");
                return Ok(());
            };
            let report = Report::read(report).with_context(|| format!("failed to read {report:?}"))?;
            println!("{at:>4} s  {report}");
            if self.findings {
                println!("{:#}", report.json["findings"]);
            }
            if let Err(error) = report.hold_to(ipvs) {
                wrong.push(format!("{report}\n{error:#}\n{:#}", report.json["findings"]));
            }
            seen.push(format!("{} {}", report.scenario, report.node));
            Ok(())
        })?;
        ensure!(
            wrong.is_empty(),
            "{} of {} reports are wrong:\n{}",
            wrong.len(),
            seen.len(),
            wrong.join("\n")
        );
        let due = report::scenarios(ipvs)
            .iter()
            .flat_map(|name| ["node1", "node2"].map(|node| format!("{name} {node}")));
        ensure!(due.eq(seen.iter().cloned()), "there are other reports than expected: {}", seen.join(", "));
        Ok(seen.len())
    }
}

/// The doctor, built for this machine, whose Debian release is the guest's.
fn doctor() -> Result<PathBuf> {
    let status = Command::new("cargo")
        .current_dir(crate::root())
        .args(["build", "--package", "swarm-doctor"])
        .status()
        .context("failed to start cargo")?;
    ensure!(status.success(), "the build failed");
    Ok(crate::target_directory().join("debug/swarm-doctor"))
}
