//! The stand-in for a rule that could not be loaded: its verdict is unknown, with what is wrong in the file.

use super::file::Fault;
use checks::{Check, Findings, Meta, Severity, Subject, View};
use facts::{Gap, Need, Source, Why};
use std::borrow::Cow;
use std::path::Path;

/// A rule that could not be loaded.
pub(super) struct Broken {
    meta: Meta,
    gap: Gap,
}

impl Broken {
    /// The stand-in for the rule of a file: by its id where it has one, else by the name of the file.
    pub(super) fn of(path: &Path, faults: &[Fault]) -> Option<Self> {
        let first = faults.first()?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let id = first.id.clone().unwrap_or_else(|| format!("rules/{name}"));
        let source = Source {
            need: Need::Info,
            artifact: path.display().to_string(),
            origin: path.display().to_string(),
        };
        let what = format!("column {}: {}", first.column, first.what);
        Some(Self {
            meta: Meta {
                id: Cow::Owned(id),
                title: Cow::Borrowed("the rule file is not valid"),
                healthy: Cow::Borrowed(""),
                severity: Severity::Error,
                explain: Cow::Owned(format!("The rule is not valid:\n\n{}", Fault::list(faults))),
                needs: Cow::Borrowed(&[]),
                caused_by: Cow::Borrowed(&[]),
                remaining: false,
            },
            gap: Gap { source, why: Why::Malformed { line: first.line, what } },
        })
    }
}

impl Check for Broken {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn judge(&self, _: &View<'_>, out: &mut Findings<'_>) {
        out.inconclusive(Subject::Cluster, self.gap.clone());
    }
}
