//! `cargo xtask lab vm`: runs the doctor in a guest, on a kernel with IPVS and on one without.

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
    /// Only on a kernel with IPVS, as on most servers
    #[arg(long, conflicts_with = "without_ipvs")]
    with_ipvs: bool,
    /// Only on a kernel without IPVS, as without the distribution's extra modules
    #[arg(long)]
    without_ipvs: bool,
    /// Timeout for one guest, in minutes
    #[arg(long, default_value_t = 30)]
    limit: u64,
    /// Print the findings as well
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
                Ok(reports) => format!("pass: {name}, all {reports} reports are as expected, {took} s"),
                Err(error) => format!("FAIL: {name}, after {took} s: {error:#}"),
            });
        }
        println!("{}", ends.join("\n"));
        ensure!(passed, "a report differs from the expectation");
        Ok(())
    }

    /// Boots one guest and compares each report with the expectation; returns the number of reports.
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
            if let Err(error) = report.verify(ipvs) {
                wrong.push(format!("{report}\n{error:#}\n{:#}", report.json["findings"]));
            }
            seen.push(format!("{} {}", report.scenario, report.node));
            Ok(())
        })?;
        ensure!(
            wrong.is_empty(),
            "{} of {} reports differ from the expectation:\n{}",
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

/// Builds the doctor for this host; the guest has the same Debian release.
fn doctor() -> Result<PathBuf> {
    let status = Command::new("cargo")
        .current_dir(crate::root())
        .args(["build", "--package", "swarm-doctor"])
        .status()
        .context("failed to start cargo")?;
    ensure!(status.success(), "the build failed");
    Ok(crate::target_directory().join("debug/swarm-doctor"))
}
