//! What counts: which checks are asked, how much what they find weighs, and what is known and ignored, with the reason.
//!
//! All of it can be said on the command line, and most of it in a file; the command line goes before the file.

mod baseline;
mod file;
mod ignore;
mod init;
mod selection;

use crate::check_id;
use crate::cli::Gate;
use crate::error::ExpectedError;
use crate::exit::FailOn;
use checks::{Finding, Severity, Thresholds};
use facts::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::path::Path;

use baseline::Baseline;
pub use file::DEFAULT;
use file::File;
pub use ignore::Ignore;
pub use init::init;
pub use selection::Selection;

/// What counts.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Which checks are asked.
    pub selection: Selection,
    /// How much the findings of a check weigh, where the user says so.
    pub severities: BTreeMap<String, Severity>,
    /// From where on something is said.
    pub thresholds: Thresholds,
    /// What is ignored.
    pub ignores: Vec<Ignore>,
    /// What was there before.
    baseline: Option<Baseline>,
    /// From which weight on a finding fails the run.
    pub fail_on: FailOn,
    /// What could not be told fails no run.
    pub allow_unknown: bool,
}

/// Why a finding does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excuse {
    /// The reason, in the words of whoever ignores it.
    pub reason: String,
    /// The last day on which it holds.
    pub until: Option<Date>,
    /// Where it is said, such as `--ignore` or `/etc/swarm-doctor.toml:12`.
    pub by: String,
}

impl Policy {
    /// What the command line and the file say. Checks that are named on the command line go before those of the file.
    pub fn of(gate: &Gate, chosen: &[String]) -> Result<Self, ExpectedError> {
        let (file, path) = File::find(gate.config.as_deref())?;
        let flag = |name: &str, why: String| ExpectedError::usage(format!("{name}: {why}"));
        let selection = match (chosen, file.checks) {
            ([], Some((checks, by))) => {
                Selection::of(&checks, &by).map_err(|why| ExpectedError::usage(format!("{by}: {why}")))?
            }
            ([], None) => Selection::default(),
            (chosen, _) => Selection::of(chosen, "the command line").map_err(ExpectedError::usage)?,
        };
        let mut severities = file.severities;
        for said in &gate.severity {
            let (check, severity) = weight(said).map_err(|why| flag("--severity", why))?;
            severities.insert(check, severity);
        }
        let mut thresholds = file.thresholds;
        for said in &gate.threshold {
            let (name, value) = said.split_once('=').unwrap_or((said, ""));
            thresholds.set(name, value).map_err(|why| flag("--threshold", why))?;
        }
        let mut ignores = Vec::new();
        for said in &gate.ignore {
            ignores.push(said.parse().map_err(|why| flag("--ignore", why))?);
        }
        ignores.extend(file.ignores);
        // A path in the file is seen from there.
        let beside = |said: String| path.parent().unwrap_or(Path::new("/")).join(said);
        let baseline = gate.baseline.clone().or_else(|| file.baseline.map(beside));
        Ok(Self {
            selection,
            severities,
            thresholds,
            ignores,
            baseline: baseline.map(|path| Baseline::read(&path)).transpose()?,
            fail_on: gate.fail_on.or(file.fail_on).unwrap_or_default(),
            allow_unknown: gate.allow_unknown || file.allow_unknown,
        })
    }

    /// The same with every check asked: a preflight that leaves something out on a file's word promises too much.
    pub fn asking_all(self) -> Self {
        Self { selection: Selection::default(), ..self }
    }

    /// The same for one check that somebody asks for by its name: nothing of it is ignored.
    pub fn for_one(self) -> Self {
        Self { ignores: Vec::new(), baseline: None, ..self.asking_all() }
    }

    /// Why each of these does not count, where it does not; and what is to be said of what is ignored in vain. A check
    /// could tell where `told` says so.
    pub(crate) fn excuses(
        &self,
        found: &[Finding],
        taken: Timestamp,
        told: impl Fn(&str) -> bool,
    ) -> (Vec<Option<Excuse>>, Vec<String>) {
        let today = TimeZone::UTC.to_datetime(taken).date();
        let mut notes = Vec::new();
        let ignored = |finding: &Finding| {
            let mut covering = self.ignores.iter().filter(|ignore| ignore.covers(finding));
            covering.find(|ignore| ignore.holds(today)).map(Ignore::excuse)
        };
        let (known, stale) = match &self.baseline {
            Some(baseline) => baseline.known(found, told),
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

/// Reads `CHECK=WEIGHT`.
fn weight(said: &str) -> Result<(String, Severity), String> {
    let (check, severity) =
        said.split_once('=').ok_or("a check, = and a weight are expected, such as host/ipvs-missing=info")?;
    known_check(check)?;
    Ok((check.to_owned(), severity_named(severity)?))
}

/// The weight of this name.
fn severity_named(name: &str) -> Result<Severity, String> {
    let all = [Severity::Error, Severity::Warning, Severity::Info];
    all.into_iter()
        .find(|severity| severity.as_str() == name)
        .ok_or_else(|| format!("{name:?} is not one of error, warning, info"))
}

/// Says so where there is no check of this id, and which one may have been meant.
fn known_check(id: &str) -> Result<(), String> {
    check_id::exact(id).map(drop)
}

#[cfg(test)]
mod tests;
