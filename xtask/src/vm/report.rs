//! One report of the doctor in the guest, and the expected findings.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

pub(super) struct Report {
    /// Name of the scenario, a step of `tests/lab/guest/scenarios.sh`.
    pub(super) scenario: String,
    pub(super) node: String,
    exit: i32,
    pub(super) json: Value,
}

/// A finding as `severity check`, with its consequences.
type Finding<'a> = (&'a str, &'a [&'a str]);

/// The scenarios of the guest's script, in order.
pub(super) fn scenarios(ipvs: bool) -> &'static [&'static str] {
    match ipvs {
        true => &[
            "before-swarm",
            "asleep",
            "idle",
            "used",
            "sealed",
            "esp-in",
            "esp-out",
            "sealed-again",
            "mistakes",
            "emptied",
            "resolved",
        ],
        false => &["before-swarm", "idle", "used"],
    }
}

const VIP_IN_HOSTS: Finding<'static> = ("warning dns/vip-pinned-in-hosts", &[]);

/// All expected findings.
fn expected(scenario: &str, node: &str, ipvs: bool) -> Result<&'static [Finding<'static>]> {
    Ok(match (scenario, node, ipvs) {
        ("before-swarm" | "idle" | "used" | "sealed" | "sealed-again" | "resolved", _, true)
        | ("emptied", "node1", true) => &[],
        ("esp-in" | "esp-out", "node1", true) => &[("error network/esp-blocked", &[])],
        ("esp-in" | "esp-out", "node2", true) => {
            &[("error host/firewall-drops-swarm", &["error network/esp-blocked"])]
        }
        ("mistakes", "node1", true) => &[("error service/target-port-closed", &[]), VIP_IN_HOSTS],
        ("mistakes", "node2", true) => &[VIP_IN_HOSTS],
        ("emptied", "node2", true) => &[("error network/vip-unreachable", &[])],
        ("before-swarm", _, false) => &[("warning host/ipvs-missing", &[])],
        ("asleep", _, true) => &[("error host/ipvs-missing", &["error network/vip-unreachable"])],
        ("idle" | "used", _, false) => &[("warning host/ipvs-missing", &["warning network/vip-unreachable"])],
        _ => bail!("no expectation for {scenario}"),
    })
}

/// Texts that the summary of the first finding must contain.
fn words(scenario: &str, node: &str) -> &'static [&'static str] {
    match (scenario, node) {
        ("esp-in" | "esp-out", "node1") => {
            &["network sealed between node1 and node2", "none comes from there"]
        }
        ("esp-in", "node2") => &["ESP (IP protocol 50) from ", "-A INPUT -p esp -j DROP"],
        ("esp-out", "node2") => &["ESP (IP protocol 50) to ", "inet site out"],
        ("asleep", _) => &["dockerd failed to load it"],
        _ => &[],
    }
}

impl Report {
    /// `SCENARIO NODE EXIT JSON`
    pub(super) fn read(line: &str) -> Result<Self> {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().context("a word is missing");
        let (scenario, node, exit) = (word()?.to_owned(), word()?.to_owned(), word()?.parse()?);
        Ok(Self { scenario, node, exit, json: serde_json::from_str(word()?)? })
    }

    fn findings(&self) -> Vec<(String, Vec<String>)> {
        let short = |finding: &Value| {
            let word = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
            format!("{} {}", word("severity"), word("check"))
        };
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let one =
            |finding: &Value| (short(finding), list(&finding["consequences"]).iter().map(short).collect());
        list(&self.json["findings"]).iter().map(one).collect()
    }

    /// Compares findings and exit code with the expectation; no check may be incomplete.
    ///
    /// # Errors
    /// The first difference.
    pub(super) fn verify(&self, ipvs: bool) -> Result<()> {
        let expected = expected(&self.scenario, &self.node, ipvs)?;
        let found = self.findings();
        let same = found.len() == expected.len()
            && found.iter().zip(expected).all(|(a, b)| a.0 == b.0 && a.1 == b.1);
        ensure!(same, "expected {expected:?}");
        let summary = self.json["findings"][0]["summary"].as_str().unwrap_or_default();
        for words in words(&self.scenario, &self.node) {
            ensure!(summary.contains(words), "expected {words:?} in {summary:?}");
        }
        let exit = i32::from(expected.iter().any(|(finding, _)| finding.starts_with("error")));
        ensure!(self.exit == exit, "expected exit code {exit}");
        ensure!(
            self.json["summary"]["checks"]["incomplete"] == 0,
            "a check is incomplete: {:#}",
            self.json["checks"]
        );
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |(finding, under): (String, Vec<String>)| match under.is_empty() {
            true => finding,
            false => format!("{finding} ({})", under.join(", ")),
        };
        let findings: Vec<String> = self.findings().into_iter().map(one).collect();
        let said = if findings.is_empty() { "no finding".to_owned() } else { findings.join("; ") };
        let took = &self.json["took_ms"];
        write!(f, "{} on {}: {said}, exit {}, {took} ms", self.scenario, self.node, self.exit)
    }
}
