//! Runs the doctor in a node and parses its report.

use lab::Node;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) exit: i32,
    /// The JSON report.
    pub(crate) json: Value,
    pub(crate) stderr: String,
    /// Duration, including `nsenter`.
    pub(crate) took: Duration,
}

/// Copies the program under test to a node.
pub(crate) fn install(node: &Node) {
    node.install(Path::new(env!("CARGO_BIN_EXE_swarm-doctor"))).unwrap();
}

/// `swarm-doctor run -o json`, as root.
pub(crate) fn run(node: &Node) -> Report {
    run_as(node, &[], None)
}

/// `swarm-doctor run -o json` with further options, and as another user.
pub(crate) fn run_as(node: &Node, flags: &[&str], user: Option<(u32, u32)>) -> Report {
    let words = [&["swarm-doctor", "run", "-o", "json"], flags].concat();
    let mut command = node.command(&words).unwrap();
    if let Some((uid, gid)) = user {
        command = command.user(uid, gid);
    }
    let began = Instant::now();
    let output = command.run().unwrap();
    let took = began.elapsed();
    let json = serde_json::from_str(&output.stdout)
        .unwrap_or_else(|error| panic!("{}: {error}: {} {}", node.name(), output.stdout, output.stderr));
    Report { exit: output.status.code().unwrap_or(-1), json, stderr: output.stderr, took }
}

impl Report {
    /// The check ids of the root causes in order of display, without a missing IPVS.
    pub(crate) fn causes(&self) -> Vec<&str> {
        let findings = self.json["findings"].as_array().expect("findings");
        findings
            .iter()
            .map(|f| f["check"].as_str().unwrap())
            .filter(|id| *id != "host/ipvs-missing")
            .collect()
    }

    /// The first root cause, as `check severity subject: summary`.
    pub(crate) fn first(&self) -> String {
        let findings = self.json["findings"].as_array().expect("findings");
        let first = findings.iter().find(|f| f["check"] != "host/ipvs-missing");
        first.map_or_else(String::new, |f| {
            format!("{} {} {}: {}", f["check"], f["severity"], f["subject"], f["summary"])
        })
    }

    /// The status of a check.
    pub(crate) fn status(&self, check: &str) -> &str {
        let checks = self.json["checks"].as_array().expect("checks");
        let one = checks.iter().find(|c| c["id"] == check).unwrap_or_else(|| panic!("no check {check}"));
        one["status"].as_str().unwrap()
    }
}
