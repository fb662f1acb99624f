//! A JSON report of the doctor, compared with the expectation.

use anyhow::{Context, Result};
use lab::Node;
use serde_json::Value;

use crate::fault::Expect;
use crate::variables::Variables;

/// The check that finds something in every swarm on a kernel without IPVS, such as in CI.
const KERNEL: &str = "host/ipvs-missing";

/// One run of the doctor.
#[derive(Clone, Debug)]
pub struct Report {
    /// -1 after a signal.
    pub exit: i32,
    /// The JSON report.
    pub json: Value,
}

/// The differences between a report and the expectation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Match {
    /// Position of the expected finding, from 1.
    pub(crate) rank: Option<usize>,
    /// Findings that are neither expected nor consequences.
    pub(crate) others: Vec<String>,
    /// Missing or forbidden texts.
    pub(crate) wrong: Vec<String>,
}

impl Match {
    pub(crate) fn holds(&self) -> bool {
        self.wrong.is_empty() && self.others.is_empty()
    }
}

impl Report {
    /// Runs the doctor in a node; `run` if there are no arguments.
    pub fn of(node: &Node, arguments: &[String]) -> Result<Self> {
        let mut command = vec!["swarm-doctor"];
        command.extend(arguments.iter().map(String::as_str));
        if arguments.is_empty() {
            command.push("run");
        }
        command.extend(["-o", "json"]);
        let output = node.exec(&command)?;
        let json = serde_json::from_str(&output.stdout).with_context(|| {
            format!("{}: no report but {:?} {:?}", node.name(), output.stdout, output.stderr)
        })?;
        Ok(Self { exit: output.status.code().unwrap_or(-1), json })
    }

    /// The findings in order of display, without consequences and without a missing IPVS.
    pub fn findings(&self) -> impl Iterator<Item = &Value> {
        self.json["findings"].as_array().into_iter().flatten().filter(|finding| finding["check"] != KERNEL)
    }

    /// One line for each finding.
    pub fn lines(&self) -> Vec<String> {
        self.findings().map(line).collect()
    }

    pub(crate) fn against(&self, expect: &Expect, variables: &Variables) -> Match {
        let mut result = Match::default();
        let expected = |finding: &&Value| {
            let subject = expect.subject.as_ref().map(|subject| variables.substitute(subject));
            Some(finding["check"].as_str().unwrap_or_default()) == expect.check.as_deref()
                && subject.is_none_or(|wanted| wanted == subject_of(finding))
        };
        let also = |finding: &&Value| expect.also.iter().any(|id| finding["check"] == id.as_str());
        let others = self.findings().filter(|finding| !expected(finding) && !also(finding));
        result.others = others.map(line).collect();
        let whole = self.json.to_string();
        for never in expect.never.iter().map(|text| variables.substitute(text)) {
            if whole.contains(&never) {
                result.wrong.push(format!("{never:?} is in the report"));
            }
        }
        if expect.silent {
            return result;
        }
        let Some((at, finding)) = self.findings().enumerate().find(|(_, finding)| expected(finding)) else {
            result.wrong.push(format!("not reported; the first finding is {:?}", self.lines().first()));
            return result;
        };
        result.rank = Some(at + 1);
        if at > 0 {
            result.wrong.push(format!("it comes as number {}", at + 1));
        }
        let parts = [
            ("summary", &expect.words, text(&finding["summary"])),
            ("evidence", &expect.proof, text(&finding["evidence"])),
            ("remedy", &expect.remedy, text(&finding["remedy"])),
        ];
        for (part, wanted, text) in parts {
            for wanted in wanted.iter().map(|wanted| variables.substitute(wanted)) {
                if !text.contains(&wanted) {
                    result.wrong.push(format!("no {wanted:?} in its {part}: {text:?}"));
                }
            }
        }
        result
    }
}

/// `check on subject: summary`.
pub(crate) fn line(finding: &Value) -> String {
    let word = |key: &str| finding[key].as_str().unwrap_or_default();
    format!("{} ({}) on {}: {}", word("check"), word("severity"), subject_of(finding), word("summary"))
}

/// The subject as displayed in text reports.
pub(crate) fn subject_of(finding: &Value) -> String {
    let subject = &finding["subject"];
    let word = |key: &str| subject[key].as_str().unwrap_or_default().to_owned();
    match subject["kind"].as_str() {
        Some("cluster") => "the swarm".to_owned(),
        Some("link") => format!("{} -> {}", word("from"), word("to")),
        Some("node") => word("name"),
        Some(kind) => format!("{kind} {}", word("name")),
        None => String::new(),
    }
}

/// All strings in a JSON value, one per line.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text}\n"),
        Value::Array(values) => values.iter().map(text).collect(),
        Value::Object(map) => map.values().map(text).collect(),
        _ => String::new(),
    }
}
