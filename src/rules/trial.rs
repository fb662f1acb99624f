//! Tests of rules: each is run on bundles on which it has to find something, and on others on which it has not.

use super::catalogue::{Catalogue, files_in};
use crate::error::ExpectedError;
use crate::examine;
use crate::policy::{Policy, Selection};
use std::fmt;
use std::path::{Path, PathBuf};

/// A rule with comments.
pub const TEMPLATE: &str = include_str!("template.toml");

/// What became of a rule on one bundle.
#[derive(Debug)]
pub struct Trial {
    /// The rule, or its file if it is not valid.
    pub rule: String,
    /// The name of the bundle; empty for a fault of the rule itself.
    pub bundle: String,
    /// Why it is not as expected, otherwise.
    pub outcome: Result<(), String>,
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = [self.rule.as_str(), self.bundle.as_str()].join(" ");
        match &self.outcome {
            Ok(()) => write!(f, "ok      {}", place.trim_end()),
            Err(why) => write!(f, "failed  {}: {why}", place.trim_end()),
        }
    }
}

/// Runs each rule `NAME.toml` of a folder on the bundles in `NAME/`.
pub fn test(folder: &Path) -> Result<Vec<Trial>, ExpectedError> {
    let files = files_in(folder).map_err(|error| ExpectedError::file("read", folder, &error))?;
    if files.is_empty() {
        return Err(ExpectedError::usage(format!("{} has no rules (*.toml)", folder.display())));
    }
    Ok(files.iter().flat_map(|file| test_one(file)).collect())
}

fn test_one(file: &Path) -> Vec<Trial> {
    let catalogue = Catalogue::without_others(&[file.to_owned()]);
    let rule = catalogue.rules().next().map(|rule| rule.meta().id.to_string()).unwrap_or_default();
    let trial = |bundle: &str, outcome| Trial { rule: rule.clone(), bundle: bundle.to_owned(), outcome };
    if !catalogue.faults.is_empty() {
        return catalogue.faults.iter().map(|fault| trial("", Err(fault.to_string()))).collect();
    }
    let policy = match Selection::of(std::slice::from_ref(&rule), "rules test", &catalogue) {
        Ok(selection) => Policy::of_checks(catalogue, selection),
        Err(why) => return vec![trial("", Err(why))],
    };
    let mut trials = Vec::new();
    let bundles = bundles(&file.with_extension(""));
    for (kind, fires) in [("fires", true), ("silent", false)] {
        let mut any = false;
        for (name, path) in bundles.iter().filter(|(name, _)| name.starts_with(kind)) {
            any = true;
            trials.push(trial(name, judged(path, &rule, &policy, fires)));
        }
        if !any {
            trials.push(trial(
                "",
                Err(format!("there is no bundle {}/{kind}*", file.with_extension("").display())),
            ));
        }
    }
    trials
}

/// The bundles of a rule, by name.
fn bundles(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut bundles: Vec<(String, PathBuf)> =
        entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect();
    bundles.sort();
    bundles
}

fn judged(path: &Path, rule: &str, policy: &Policy, fires: bool) -> Result<(), String> {
    let bundle = [path.to_owned()];
    let (_, diagnosis) = examine::offline(&bundle, policy).map_err(|error| error.to_string())?;
    let mut found = diagnosis.all_findings().filter(|finding| finding.check == rule);
    let unknown = diagnosis.verdicts.iter().filter(|verdict| verdict.check == rule).flat_map(|it| it.open());
    match (found.next(), fires) {
        (Some(_), true) => Ok(()),
        (Some(finding), false) => Err(format!("finds {}: {}", finding.subject, finding.summary)),
        (None, _) => match unknown.map(|(subject, gap)| format!("{subject}: {}", gap.why)).next() {
            Some(why) => Err(format!("is unknown: {why}")),
            None if fires => Err("finds nothing".to_owned()),
            None => Ok(()),
        },
    }
}
