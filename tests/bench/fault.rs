//! The file format of a fault.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::variables::Variables;

/// One fault: how to inject and undo it, and what the doctor must report.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Fault {
    /// Path below the folder of all faults without extension, followed by the varied values.
    #[serde(skip)]
    pub name: String,
    /// The fault in one sentence.
    pub say: String,
    /// Size of the swarm.
    #[serde(default)]
    pub swarm: Swarm,
    /// Part of the subset that CI runs.
    #[serde(default)]
    pub ci: bool,
    /// The swarm is not usable for other faults afterwards.
    #[serde(default)]
    pub fresh: bool,
    /// Engines with which the fault exists; all if empty.
    #[serde(default)]
    pub engines: Vec<String>,
    /// Known not to be reported yet, with the reason.
    pub owed: Option<String>,
    /// Variables with their values; each combination is a separate fault.
    #[serde(default)]
    pub vary: BTreeMap<String, Vec<String>>,
    /// Steps that inject it.
    #[serde(default)]
    pub make: Vec<Step>,
    /// Steps that undo it.
    #[serde(default)]
    pub undo: Vec<Step>,
    /// Expected reports.
    pub expect: Vec<Expect>,
    /// The varied values, by upper-case name.
    #[serde(skip)]
    pub values: Variables,
}

/// The size of a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Swarm {
    /// Number of managers.
    pub managers: usize,
    /// Number of workers.
    #[serde(default)]
    pub workers: usize,
    /// Number of nodes outside the swarm; numbered after its members.
    #[serde(default)]
    pub nodes: usize,
}

impl Default for Swarm {
    fn default() -> Self {
        Self { managers: 1, workers: 2, nodes: 0 }
    }
}

/// One step on one node.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Node that runs the step.
    pub on: String,
    /// Run a script as root.
    pub sh: Option<String>,
    /// The script must fail.
    #[serde(default)]
    pub fails: bool,
    /// Store the output of the script in this variable.
    #[serde(rename = "let")]
    pub variable: Option<String>,
    /// Start, stop or pause the engine.
    pub engine: Option<EngineStep>,
    /// Flags of dockerd for a start.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Switch the node on or off.
    pub power: Option<Power>,
    /// Write this file.
    pub file: Option<String>,
    /// Content of the file.
    pub text: Option<String>,
    /// Start a script that runs until the fault is undone.
    pub spawn: Option<String>,
    /// Repeat a script until it succeeds.
    pub wait: Option<String>,
    /// Time limit of `sh` or `wait`, in seconds.
    pub within: Option<u64>,
}

/// An action on dockerd.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineStep {
    /// SIGTERM, and wait for its exit.
    Stop,
    /// Start, and wait until the API answers.
    Start,
    /// Stop and start.
    Restart,
    /// SIGKILL.
    Kill,
    /// SIGSTOP.
    Freeze,
    /// SIGCONT.
    Thaw,
    /// Start, and expect an immediate exit.
    FailsToStart,
}

/// The power of a node.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// Boot the node.
    On,
    /// Kill all processes of the node.
    Off,
}

/// An expected report.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Node where the doctor runs.
    pub from: String,
    /// Command with arguments; `run` if empty.
    #[serde(default)]
    pub run: Vec<String>,
    /// Check of the first finding.
    pub check: Option<String>,
    /// Subject of the finding, as displayed.
    pub subject: Option<String>,
    /// Texts that the summary must contain.
    #[serde(default)]
    pub words: Vec<String>,
    /// Texts that the evidence must contain.
    #[serde(default)]
    pub proof: Vec<String>,
    /// Texts that the remedy must contain.
    #[serde(default)]
    pub remedy: Vec<String>,
    /// Texts that the report must not contain.
    #[serde(default)]
    pub never: Vec<String>,
    /// Checks with further correct findings.
    #[serde(default)]
    pub also: Vec<String>,
    /// No finding is expected.
    #[serde(default)]
    pub silent: bool,
    /// Time limit in seconds.
    pub within: Option<u64>,
    /// Its fix, if the doctor has one.
    pub fix: Option<Fix>,
}

/// The fix of a fault: `run --fix` on the node of the expectation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fix {
    /// Required level (`--fix=LEVEL`).
    pub level: String,
    /// Further options.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Standard input.
    pub stdin: Option<String>,
    /// The plan must declare it irreversible.
    #[serde(default, rename = "final")]
    pub last: bool,
    /// The fix must be refused with this text.
    pub refused: Option<String>,
    /// Check that still has a finding, because another node has to act.
    pub leaves: Option<String>,
    /// Script that must succeed on the node after the fix.
    pub then: Option<String>,
}

impl Fault {
    /// The faults of one file, one for each combination of varied values.
    fn of_file(path: &Path, name: &str) -> Result<Vec<Self>> {
        let text = fs::read_to_string(path)?;
        let plan: Self = toml::from_str(&text)?;
        plan.check()?;
        let mut combinations = vec![(name.to_owned(), Variables::default())];
        for (key, values) in &plan.vary {
            let extend = |(name, variables): &(String, Variables)| {
                let one = |value: &String| {
                    (format!("{name} {value}"), variables.clone().with(&key.to_uppercase(), value))
                };
                values.iter().map(one).collect::<Vec<_>>()
            };
            combinations = combinations.iter().flat_map(extend).collect();
        }
        let named = |(name, values): (String, Variables)| {
            let say = values.substitute(&plan.say);
            let mut expect = plan.expect.clone();
            for check in expect.iter_mut().filter_map(|expect| expect.check.as_mut()) {
                *check = values.substitute(check);
            }
            Self { name, say, expect, values, ..plan.clone() }
        };
        Ok(combinations.into_iter().map(named).collect())
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.expect.is_empty(), "nothing is expected");
        for step in self.make.iter().chain(&self.undo) {
            let kinds = [
                step.sh.is_some(),
                step.engine.is_some(),
                step.power.is_some(),
                step.file.is_some(),
                step.spawn.is_some(),
                step.wait.is_some(),
            ];
            let count = kinds.iter().filter(|given| **given).count();
            ensure!(count == 1, "a step on {} has {count} actions instead of one", step.on);
            ensure!(step.file.is_some() == step.text.is_some(), "a file needs its text");
        }
        for expect in &self.expect {
            ensure!(expect.silent != expect.check.is_some(), "either a check or silence is expected");
        }
        Ok(())
    }
}

/// All faults below a folder, sorted by name.
///
/// # Errors
/// If a file cannot be read or is invalid.
pub fn faults(folder: &Path) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    for path in files(folder)? {
        let name = path.strip_prefix(folder).unwrap_or(&path).with_extension("");
        let read = Fault::of_file(&path, &name.to_string_lossy());
        faults.append(&mut read.with_context(|| format!("failed to read {}", path.display()))?);
    }
    Ok(faults)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.append(&mut files(&path)?);
        } else if path.extension().is_some_and(|end| end == "toml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{Fault, faults};
    use std::path::Path;

    #[test]
    fn every_fault_file_is_valid() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../live/faults");
        assert!(!faults(&folder).unwrap().is_empty());
    }

    #[test]
    fn a_step_with_two_actions_or_no_expectation_is_rejected() {
        let read = |text: &str| toml::from_str::<Fault>(text).unwrap().check();
        let expect = "[[expect]]\nfrom = \"node1\"\nsilent = true\n";
        assert!(read(&format!("say = 'x'\n{expect}")).is_ok());
        assert!(read("say = 'x'\nexpect = []").is_err());
        assert!(read(&format!("say = 'x'\n[[make]]\non = 'node1'\n{expect}")).is_err());
        assert!(
            read(&format!("say = 'x'\n[[make]]\non = 'node1'\nsh = 'a'\npower = 'off'\n{expect}")).is_err()
        );
    }
}
