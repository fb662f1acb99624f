//! The baseline: a saved JSON report. Findings in it are ignored.

use super::Excuse;
use crate::error::ExpectedError;
use checks::{Finding, Severity, Subject};
use facts::Timestamp;
use serde::Deserialize;
use std::path::Path;

/// How many resolved findings are named.
const NAMED: usize = 5;

/// The findings of the saved report.
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

/// The fields of a report that are needed.
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
    subject: SavedSubject,
    summary: String,
    #[serde(default)]
    consequences: Vec<Self>,
    /// The rule that ignored it.
    #[serde(default)]
    by: String,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum SavedSubject {
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
                "cannot read the baseline {file}: {why}; `swarm-doctor run -o json > {file}` writes one"
            ))
        };
        let report: Report =
            serde_json::from_slice(&text).map_err(|error| refused(format!("not a report: {error}")))?;
        if report.schema != "swarm-doctor.report/v1" {
            return Err(refused(format!("unknown schema {:?}", report.schema)));
        }
        // Findings that an earlier baseline ignored belong to the next one. Those that a rule ignores do not.
        let excused = report.ignored.into_iter().filter(|found| found.by.starts_with(BY));
        let mut found: Vec<Found> = report.findings.into_iter().chain(excused).collect();
        let mut entries = Vec::new();
        while let Some(one) = found.pop() {
            found.extend(one.consequences);
            entries.push(Entry {
                check: checks::renamed(&one.check).map_or(one.check, str::to_owned),
                subject: one.subject.into(),
                severity: super::severity_named(&one.severity).map_err(refused)?,
                summary: one.summary,
            });
        }
        Ok(Self { file: path.display().to_string(), taken: report.taken, entries })
    }

    /// Which of these are in the baseline and not worse, and a note on those that are resolved. One finding of the baseline
    /// covers one now.
    pub(super) fn known(
        &self,
        found: &[Finding],
        complete: impl Fn(&str) -> bool,
    ) -> (Vec<Option<Excuse>>, Option<String>) {
        let mut left: Vec<&Entry> = self.entries.iter().collect();
        let mut known = vec![None; found.len()];
        // Numbers in a summary change. Equal summaries are matched first.
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
        left.retain(|entry| complete(&entry.check));
        let mut names: Vec<String> =
            left.iter().take(NAMED).map(|entry| format!("{} on {}", entry.check, entry.subject)).collect();
        if left.len() > NAMED {
            names.push(format!("{} more", left.len() - NAMED));
        }
        let gone = (!left.is_empty())
            .then(|| format!("resolved, and still in the baseline {}: {}", self.file, names.join(", ")));
        (known, gone)
    }
}

/// How `Excuse::by` of a baseline begins.
const BY: &str = "the baseline ";

impl From<SavedSubject> for Subject {
    fn from(saved: SavedSubject) -> Self {
        match saved {
            SavedSubject::Cluster => Self::Cluster,
            SavedSubject::Node { name } => Self::Node(name.as_str().into()),
            SavedSubject::Link { from, to } => {
                Self::Link { from: from.as_str().into(), to: to.as_str().into() }
            }
            SavedSubject::Service { name } => Self::Service(name),
            SavedSubject::Network { name } => Self::Network(name),
        }
    }
}
