//! Which checks run, their severities and thresholds, and which findings are ignored, with the reason.
//!
//! The command line overrides the configuration file.

mod baseline;
mod file;
mod ignore;
mod init;
mod selection;

use crate::check_id::{self, Resolved};
use crate::cli::Gate;
use crate::error::{ExpectedError, notice};
use crate::exit::FailOn;
use crate::rules::Catalogue;
use checks::{Finding, Severity, Thresholds};
use facts::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use baseline::Baseline;
pub use file::DEFAULT;
use file::File;
pub use ignore::Ignore;
pub use init::init;
pub use selection::Selection;

/// The policy of a run.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The checks there are.
    pub catalogue: Catalogue,
    /// Which checks run.
    pub selection: Selection,
    /// Severities that the user sets, by check.
    pub severities: BTreeMap<String, Severity>,
    /// Thresholds of the checks.
    pub thresholds: Thresholds,
    /// The ignore rules.
    pub ignores: Vec<Ignore>,
    /// The baseline.
    baseline: Option<Baseline>,
    /// Minimum severity that fails the run.
    pub fail_on: FailOn,
    /// Incomplete checks do not fail the run.
    pub allow_unknown: bool,
    /// Checks that were named by an id that they had before.
    notices: BTreeSet<String>,
}

/// Why a finding is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excuse {
    /// The reason, as the user wrote it.
    pub reason: String,
    /// The last day on which the rule applies.
    pub until: Option<Date>,
    /// Where the rule is, such as `--ignore` or `/etc/swarm-doctor.toml:12`.
    pub by: String,
}

impl Policy {
    /// The policy of the command line and the file. Checks that the command line names replace those of the file.
    pub fn of(gate: &Gate, chosen: &[String]) -> Result<Self, ExpectedError> {
        let catalogue = Catalogue::load(&gate.rules.rules)?;
        catalogue.faults.iter().for_each(|fault| notice(&fault.to_string()));
        let (file, path) = File::find(gate.config.as_deref(), &catalogue)?;
        let flag = |name: &str, why: String| ExpectedError::usage(format!("{name}: {why}"));
        let selection = match (chosen, file.checks) {
            ([], Some((checks, by))) => Selection::of(&checks, &by, &catalogue)
                .map_err(|why| ExpectedError::usage(format!("{by}: {why}")))?,
            ([], None) => Selection::default(),
            (chosen, _) => {
                Selection::of(chosen, "the command line", &catalogue).map_err(ExpectedError::usage)?
            }
        };
        let mut notices = file.notices;
        let mut severities = file.severities;
        for text in &gate.severity {
            let (check, severity) = severity(text, &catalogue).map_err(|why| flag("--severity", why))?;
            notices.extend(check.notice());
            severities.insert(check.id().to_owned(), severity);
        }
        let mut thresholds = file.thresholds;
        for text in &gate.threshold {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            let name = current(name, &catalogue, &mut notices);
            thresholds.set(name, value).map_err(|why| flag("--threshold", why))?;
        }
        let mut ignores = Vec::new();
        for text in &gate.ignore {
            ignores.push(Ignore::parse(text, &catalogue).map_err(|why| flag("--ignore", why))?);
        }
        ignores.extend(file.ignores);
        notices.extend(ignores.iter().filter_map(|ignore| ignore.notice.clone()));
        notices.extend(selection.notices().iter().cloned());
        // A path in the file is relative to the file.
        let beside = |text: String| path.parent().unwrap_or(Path::new("/")).join(text);
        let baseline = gate.baseline.clone().or_else(|| file.baseline.map(beside));
        Ok(Self {
            catalogue,
            selection,
            severities,
            thresholds,
            ignores,
            baseline: baseline.map(|path| Baseline::read(&path)).transpose()?,
            fail_on: gate.fail_on.or(file.fail_on).unwrap_or_default(),
            allow_unknown: gate.allow_unknown || file.allow_unknown,
            notices,
        })
    }

    /// The policy that runs these checks.
    pub fn of_checks(catalogue: Catalogue, selection: Selection) -> Self {
        Self { catalogue, selection, ..Self::default() }
    }

    /// The same with every check: a preflight must not leave one out because of a file.
    pub fn asking_all(self) -> Self {
        Self { selection: Selection::default(), ..self }
    }

    /// The same for one check that the user names: none of its findings is ignored.
    pub fn for_one(self) -> Self {
        Self { ignores: Vec::new(), baseline: None, ..self.asking_all() }
    }

    /// Why each finding is ignored, if it is; and notes on old ids, expired rules and resolved findings. `complete` is whether
    /// a check was complete.
    pub(crate) fn excuses(
        &self,
        found: &[Finding],
        taken: Timestamp,
        complete: impl Fn(&str) -> bool,
    ) -> (Vec<Option<Excuse>>, Vec<String>) {
        let today = TimeZone::UTC.to_datetime(taken).date();
        let mut notes: Vec<String> = self.notices.iter().cloned().collect();
        let ignored = |finding: &Finding| {
            let mut covering = self.ignores.iter().filter(|ignore| ignore.covers(finding));
            covering.find(|ignore| ignore.holds(today)).map(Ignore::excuse)
        };
        let (known, stale) = match &self.baseline {
            Some(baseline) => baseline.known(found, complete),
            None => (vec![None; found.len()], None),
        };
        let excuses = found.iter().zip(known).map(|(finding, known)| ignored(finding).or(known)).collect();
        for ignore in self.ignores.iter().filter(|ignore| !ignore.holds(today)) {
            if let Some(finding) = found.iter().find(|finding| ignore.covers(finding)) {
                notes.push(ignore.expired(finding));
            }
        }
        notes.extend(stale);
        (excuses, notes)
    }
}

impl From<Selection> for Policy {
    fn from(selection: Selection) -> Self {
        Self { selection, ..Self::default() }
    }
}

/// Parses `CHECK=SEVERITY`.
fn severity(text: &str, catalogue: &Catalogue) -> Result<(Resolved, Severity), String> {
    let (check, severity) =
        text.split_once('=').ok_or("CHECK=SEVERITY is expected, such as host/ipvs-missing=info")?;
    Ok((check_id::exact(check, catalogue)?, severity_named(severity)?))
}

/// The severity of this name.
fn severity_named(name: &str) -> Result<Severity, String> {
    let all = [Severity::Error, Severity::Warning, Severity::Info];
    all.into_iter()
        .find(|severity| severity.as_str() == name)
        .ok_or_else(|| format!("{name:?} is not one of error, warning, info"))
}

/// The present id of a check that may be named by an old one; a notice tells of it. Another text stays as it is.
fn current<'a>(text: &'a str, catalogue: &Catalogue, notices: &mut BTreeSet<String>) -> &'a str {
    let Ok(found) = check_id::exact(text, catalogue) else { return text };
    notices.extend(found.notice());
    found.id()
}

#[cfg(test)]
mod tests;
