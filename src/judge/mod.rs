//! Judging: every check over one snapshot, and their findings in the order in which a person should read them.

mod causes;
mod header;

use checks::{Check, Finding, Findings, Severity, Step, Str, Subject, View};
use facts::bundle::Manifest;
use facts::{Gap, Need, Snapshot, Source, Why};
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use header::Header;

/// What the doctor has to say.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// Where, when and on what.
    pub header: Header,
    /// What is wrong: causes, worst first, each with what follows from it.
    pub findings: Vec<Cause>,
    /// What became of each check, in the order of the checks.
    pub verdicts: Vec<Verdict>,
    /// What to do next, where a preflight found nothing in the way.
    pub next: Vec<Step>,
}

/// A finding with what follows from it.
#[derive(Clone, Debug)]
pub struct Cause {
    /// The finding.
    pub finding: Finding,
    /// Findings that would not be there without it.
    pub consequences: Vec<Finding>,
}

/// What became of one check.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Its id.
    pub check: Str,
    /// Its title: the ailment it looks for.
    pub title: Str,
    /// How it ended.
    pub status: Status,
    /// What it could not judge, and why.
    pub unknown: Vec<(Subject, Gap)>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It looked, and all is well.
    Healthy,
    /// The question does not arise here, or was not asked.
    Skipped,
    /// It could not look at everything it had to.
    Unknown,
    /// Its worst finding is worth knowing.
    Info,
    /// Its worst finding is a warning.
    Warning,
    /// Its worst finding is an error.
    Error,
}

impl Status {
    /// The word for it, in lower case.
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Diagnosis {
    /// How many checks ended so.
    pub fn count(&self, status: Status) -> usize {
        self.verdicts.iter().filter(|verdict| verdict.status == status).count()
    }

    /// All findings, each cause followed by its consequences.
    pub fn all_findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().flat_map(|cause| std::iter::once(&cause.finding).chain(&cause.consequences))
    }
}

/// Runs the checks.
pub fn judge<'a>(
    checks: impl IntoIterator<Item = &'a dyn Check>,
    snapshot: &Snapshot,
    manifest: &Manifest,
) -> Diagnosis {
    let view = View::of(snapshot);
    let mut found = Vec::new();
    let mut verdicts = Vec::new();
    let mut causes = Vec::new();
    for check in checks {
        let mut out = Findings::of(check.meta());
        // A check that panics has judged nothing, and must not take the others with it.
        if catch_unwind(AssertUnwindSafe(|| check.judge(&view, &mut out))).is_err() {
            out = Findings::of(check.meta());
            out.lacking(Subject::Cluster, broken_check(check));
        }
        out.unknown.sort();
        out.unknown.dedup();
        if asked(&out) {
            verdicts.push(verdict(&out));
        }
        causes.push((check.meta().id.clone(), check.meta().caused_by.clone()));
        found.append(&mut out.found);
    }
    Diagnosis {
        header: header::header(snapshot, manifest),
        findings: causes::fold(found, &causes),
        verdicts,
        next: Vec::new(),
    }
}

/// Whether the check is part of this run at all: those of a preflight are not, where nobody asked for one.
fn asked(out: &Findings<'_>) -> bool {
    let not_asked = |(_, gap): &(Subject, Gap)| matches!(gap.why, Why::NotAsked { .. });
    !out.found.is_empty() || out.unknown.is_empty() || !out.unknown.iter().all(not_asked)
}

fn verdict(out: &Findings<'_>) -> Verdict {
    let open = out.unknown.iter().any(|(_, gap)| gap.why.leaves_open());
    let status = match out.found.iter().map(|finding| finding.severity).max() {
        Some(Severity::Error) => Status::Error,
        Some(Severity::Warning) => Status::Warning,
        Some(Severity::Info) => Status::Info,
        None if open => Status::Unknown,
        None if !out.unknown.is_empty() => Status::Skipped,
        None => Status::Healthy,
    };
    Verdict {
        check: out.meta.id.clone(),
        title: out.meta.title.clone(),
        status,
        unknown: out.unknown.clone(),
    }
}

fn broken_check(check: &dyn Check) -> Gap {
    let need = check.meta().needs.first().copied().unwrap_or(Need::Ping);
    let source = Source { need, artifact: check.meta().id.to_string(), origin: "the check itself".into() };
    Gap {
        source,
        why: Why::Malformed { line: 0, what: "the check panicked; this is a bug in swarm-doctor".into() },
    }
}
