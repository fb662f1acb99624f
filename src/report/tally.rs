//! The numbers of a report. Every format takes them from here, so that no two places of a report disagree.

use super::text::count;
use crate::judge::{Diagnosis, Status};
use checks::Severity;

/// Findings by severity, and checks by how they ended. A check that found something may be incomplete, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) errors: usize,
    pub(super) warnings: usize,
    pub(super) infos: usize,
    pub(super) ignored: usize,
    pub(super) passed: usize,
    pub(super) incomplete: usize,
    pub(super) skipped: usize,
}

impl Tally {
    pub(super) fn of(diagnosis: &Diagnosis) -> Self {
        let found =
            |severity| diagnosis.all_findings().filter(|finding| finding.severity == severity).count();
        Self {
            errors: found(Severity::Error),
            warnings: found(Severity::Warning),
            infos: found(Severity::Info),
            ignored: diagnosis.ignored.len(),
            passed: diagnosis.count(Status::Healthy),
            incomplete: diagnosis.open().count(),
            skipped: diagnosis.count(Status::Skipped),
        }
    }

    /// The findings, such as `3 errors, 1 warning`; empty where there are none.
    pub(super) fn findings(&self) -> String {
        let parts = [
            (self.errors, count(self.errors, "error")),
            (self.warnings, count(self.warnings, "warning")),
            (self.infos, format!("{} info", self.infos)),
            (self.ignored, format!("{} ignored", self.ignored)),
        ];
        listed(&parts)
    }

    /// The checks, such as `76 checks passed, 2 skipped`.
    pub(super) fn checks(&self) -> String {
        let others = listed(&[
            (self.incomplete, format!("{} incomplete", self.incomplete)),
            (self.skipped, format!("{} skipped", self.skipped)),
        ]);
        let passed = format!("{} passed", count(self.passed, "check"));
        if others.is_empty() { passed } else { format!("{passed}, {others}") }
    }

    /// Both, as one line.
    pub(super) fn line(&self) -> String {
        let findings = self.findings();
        if findings.is_empty() { self.checks() } else { format!("{findings} · {}", self.checks()) }
    }
}

fn listed(parts: &[(usize, String)]) -> String {
    let there: Vec<&str> =
        parts.iter().filter(|(number, _)| *number > 0).map(|(_, text)| text.as_str()).collect();
    there.join(", ")
}
