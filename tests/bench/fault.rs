//! What a fault is, as it stands in its file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::words::Words;

/// One fault: how it is made and undone, and what the doctor has to report.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Fault {
    /// Its path below the folder of all faults, without the ending, and what was varied.
    #[serde(skip)]
    pub name: String,
    /// What is done to the swarm, in one sentence.
    pub say: String,
    /// The swarm that it is done to.
    #[serde(default)]
    pub swarm: Swarm,
    /// Whether it is part of the subset that CI runs.
    #[serde(default)]
    pub ci: bool,
    /// Whether the swarm is of no use to others afterwards.
    #[serde(default)]
    pub fresh: bool,
    /// The engines that know the fault; all where none is named.
    #[serde(default)]
    pub engines: Vec<String>,
    /// Why the doctor cannot say it yet, where that is known.
    pub owed: Option<String>,
    /// Variables that make one fault of each combination of their values.
    #[serde(default)]
    pub vary: BTreeMap<String, Vec<String>>,
    /// How it is made.
    #[serde(default)]
    pub make: Vec<Step>,
    /// How it is undone.
    #[serde(default)]
    pub undo: Vec<Step>,
    /// What has to be said, and where.
    pub expect: Vec<Expect>,
    /// The values of what is varied, by upper-case name.
    #[serde(skip)]
    pub values: Words,
}

/// The swarm that a fault is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Swarm {
    /// How many managers.
    pub managers: usize,
    /// How many workers.
    #[serde(default)]
    pub workers: usize,
    /// How many machines outside the swarm; they are numbered after its members.
    #[serde(default)]
    pub nodes: usize,
}

impl Default for Swarm {
    fn default() -> Self {
        Self { managers: 1, workers: 2, nodes: 0 }
    }
}

/// One thing that is done on one node.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The node.
    pub on: String,
    /// A script, run as root.
    pub sh: Option<String>,
    /// The script has to fail.
    #[serde(default)]
    pub fails: bool,
    /// What the script prints becomes this variable.
    #[serde(rename = "let")]
    pub variable: Option<String>,
    /// Something done to the engine.
    pub engine: Option<EngineStep>,
    /// The flags that the engine is started with.
    #[serde(default)]
    pub flags: Vec<String>,
    /// The power.
    pub power: Option<Power>,
    /// A file that is written.
    pub file: Option<String>,
    /// Its text.
    pub text: Option<String>,
    /// A program that runs until it is undone.
    pub spawn: Option<String>,
    /// A script that is run until it succeeds.
    pub wait: Option<String>,
    /// How many seconds that may take.
    pub within: Option<u64>,
}

/// What is done to an engine.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineStep {
    /// Ended as the system would end it.
    Stop,
    /// Started, until it answers.
    Start,
    /// Both.
    Restart,
    /// Killed.
    Kill,
    /// Stopped by a signal.
    Freeze,
    /// Let go on.
    Thaw,
    /// Started, and it ends at once.
    FailsToStart,
}

/// The power of a node.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// On.
    On,
    /// Off.
    Off,
}

/// What has to be said, and where.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The node where the doctor runs.
    pub from: String,
    /// The command and its flags; `run` where none is given.
    #[serde(default)]
    pub run: Vec<String>,
    /// The check that has to be first.
    pub check: Option<String>,
    /// Subject of the finding, as the report shows it.
    pub subject: Option<String>,
    /// What its summary has to hold.
    #[serde(default)]
    pub words: Vec<String>,
    /// What its evidence has to hold.
    #[serde(default)]
    pub proof: Vec<String>,
    /// What its remedy has to hold.
    #[serde(default)]
    pub remedy: Vec<String>,
    /// What the whole report must not hold.
    #[serde(default)]
    pub never: Vec<String>,
    /// Other findings that are true as well.
    #[serde(default)]
    pub also: Vec<String>,
    /// Nothing may be said.
    #[serde(default)]
    pub silent: bool,
    /// How many seconds it may take to show.
    pub within: Option<u64>,
    /// The fix there, if the doctor has one.
    pub fix: Option<Fix>,
}

/// The fix of a fault: `run --fix` on the node of the expectation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fix {
    /// The level that it takes.
    pub level: String,
    /// More flags.
    #[serde(default)]
    pub flags: Vec<String>,
    /// What it reads from standard input.
    pub stdin: Option<String>,
    /// It is said before that it cannot be taken back.
    #[serde(default, rename = "final")]
    pub last: bool,
    /// It has to be refused, in these words.
    pub refused: Option<String>,
    /// The check that still finds there what another node has to do.
    pub leaves: Option<String>,
    /// What has to succeed there afterwards.
    pub then: Option<String>,
}

impl Fault {
    /// The faults of one file, one for each combination of what it varies.
    fn of_file(path: &Path, name: &str) -> Result<Vec<Self>> {
        let text = fs::read_to_string(path)?;
        let plan: Self = toml::from_str(&text)?;
        plan.check()?;
        let mut combinations = vec![(name.to_owned(), Words::default())];
        for (key, values) in &plan.vary {
            let extend = |(name, words): &(String, Words)| {
                let one = |value: &String| {
                    (format!("{name} {value}"), words.clone().with(&key.to_uppercase(), value))
                };
                values.iter().map(one).collect::<Vec<_>>()
            };
            combinations = combinations.iter().flat_map(extend).collect();
        }
        let named = |(name, values): (String, Words)| {
            let say = values.put_into(&plan.say);
            Self { name, say, values, ..plan.clone() }
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
            ensure!(count == 1, "a step on {} does {count} things and has to do one", step.on);
            ensure!(step.file.is_some() == step.text.is_some(), "a file needs its text");
        }
        for expect in &self.expect {
            ensure!(expect.silent != expect.check.is_some(), "either a check or silence is expected");
        }
        Ok(())
    }
}

/// All faults below a folder, in the order of their names.
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
    fn every_file_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../live/faults");
        assert!(!faults(&folder).unwrap().is_empty());
    }

    #[test]
    fn a_step_does_one_thing_and_something_is_expected() {
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
