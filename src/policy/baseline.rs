//! What was there before: a saved JSON report. Only what is not in it counts.

use super::Excuse;
use crate::error::ExpectedError;
use checks::{Finding, Severity, Subject};
use facts::Timestamp;
use serde::Deserialize;
use std::path::Path;

/// How many findings that are gone are named.
const NAMED: usize = 5;

/// What was found before.
#[derive(Clone, Debug)]
pub(super) struct Baseline {
    file: String,
    taken: Timestamp,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    check: String,
    subject: Subject,
    severity: Severity,
    summary: String,
}

/// As much of a report as is needed.
#[derive(Deserialize)]
struct Report {
    schema: String,
    taken: Timestamp,
    findings: Vec<Found>,
    #[serde(default)]
    ignored: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    check: String,
    severity: String,
    subject: Whom,
    summary: String,
    #[serde(default)]
    consequences: Vec<Self>,
    /// Where it was ignored, and by whom.
    #[serde(default)]
    by: String,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Whom {
    Cluster,
    Node { name: String },
    Link { from: String, to: String },
    Service { name: String },
    Network { name: String },
}

impl Baseline {
    /// Reads a report that `-o json` wrote.
    pub(super) fn read(path: &Path) -> Result<Self, ExpectedError> {
        let text =
            std::fs::read(path).map_err(|error| ExpectedError::file("read the baseline", path, &error))?;
        let refused = |why: String| {
            let file = path.display();
            ExpectedError::usage(format!(
                "failed to read the baseline {file}: {why}; `swarm-doctor run -o json > {file}` writes one"
            ))
        };
        let report: Report =
            serde_json::from_slice(&text).map_err(|error| refused(format!("it is no report: {error}")))?;
        if report.schema != "swarm-doctor.report/v1" {
            return Err(refused(format!("its layout {:?} is not known", report.schema)));
        }
        // What a baseline excused belongs into the next; what the user ignores is the user's to ignore.
        let excused = report.ignored.into_iter().filter(|found| found.by.starts_with(BY));
        let mut found: Vec<Found> = report.findings.into_iter().chain(excused).collect();
        let mut entries = Vec::new();
        while let Some(one) = found.pop() {
            found.extend(one.consequences);
            entries.push(Entry {
                check: one.check,
                subject: one.subject.into(),
                severity: super::severity_named(&one.severity).map_err(refused)?,
                summary: one.summary,
            });
        }
        Ok(Self { file: path.display().to_string(), taken: report.taken, entries })
    }

    /// Which of these were there before and are no worse now, and what is to be said of those that are gone. One finding
    /// before excuses one now.
    pub(super) fn known(
        &self,
        found: &[Finding],
        told: impl Fn(&str) -> bool,
    ) -> (Vec<Option<Excuse>>, Option<String>) {
        let mut left: Vec<&Entry> = self.entries.iter().collect();
        let mut known = vec![None; found.len()];
        // Numbers in a summary change; where it is the same it is the same finding.
        for exact in [true, false] {
            for (finding, known) in found.iter().zip(&mut known).filter(|(_, known)| known.is_none()) {
                let same = |entry: &&Entry| {
                    entry.check == finding.check
                        && entry.subject == finding.subject
                        && (!exact || entry.summary == finding.summary)
                };
                if let Some(at) = left.iter().position(same) {
                    *known = Some(left.remove(at).severity >= finding.severity);
                }
            }
        }
        let excuse = Excuse {
            reason: format!("known since {}", self.taken),
            until: None,
            by: format!("{BY}{}", self.file),
        };
        let known = known.into_iter().map(|known| (known == Some(true)).then(|| excuse.clone())).collect();
        left.retain(|entry| told(&entry.check));
        let mut names: Vec<String> =
            left.iter().take(NAMED).map(|entry| format!("{} on {}", entry.check, entry.subject)).collect();
        if left.len() > NAMED {
            names.push(format!("{} more", left.len() - NAMED));
        }
        let gone = (!left.is_empty()).then(|| {
            format!("no longer found, and still in the baseline {}: {}", self.file, names.join(", "))
        });
        (known, gone)
    }
}

/// How an excuse says that a baseline gave it.
const BY: &str = "the baseline ";

impl From<Whom> for Subject {
    fn from(whom: Whom) -> Self {
        match whom {
            Whom::Cluster => Self::Cluster,
            Whom::Node { name } => Self::Node(name.as_str().into()),
            Whom::Link { from, to } => Self::Link { from: from.as_str().into(), to: to.as_str().into() },
            Whom::Service { name } => Self::Service(name),
            Whom::Network { name } => Self::Network(name),
        }
    }
}
