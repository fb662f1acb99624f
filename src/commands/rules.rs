//! `rules`: lint, test and new.

use super::print;
use crate::cli::Rules;
use crate::error::ExpectedError;
use crate::exit::ExitCode;
use crate::report::Printable;
use crate::rules::{self, Catalogue, TEMPLATE};
use std::io::Write as _;
use std::path::{Path, PathBuf};

pub(super) fn execute(command: &Rules) -> Result<ExitCode, ExpectedError> {
    match command {
        Rules::Lint { files } => lint(files),
        Rules::Test { folder } => test(folder),
        Rules::New { file } => new(file),
    }
}

fn lint(files: &[PathBuf]) -> Result<ExitCode, ExpectedError> {
    let catalogue = Catalogue::of_files(files);
    let mut lines: Vec<String> = catalogue.faults.iter().map(ToString::to_string).collect();
    let valid = lines.is_empty();
    if valid {
        lines.extend(files.iter().map(|file| format!("{}: valid", file.display())));
    }
    written(&lines, valid)
}

fn test(folder: &Path) -> Result<ExitCode, ExpectedError> {
    let trials = rules::test(folder)?;
    let passed = trials.iter().all(|trial| trial.outcome.is_ok());
    let lines: Vec<String> = trials.iter().map(ToString::to_string).collect();
    written(&lines, passed)
}

fn new(file: &Path) -> Result<ExitCode, ExpectedError> {
    let mut options = std::fs::OpenOptions::new();
    let created = options.write(true).create_new(true).open(file);
    created
        .and_then(|mut created| created.write_all(TEMPLATE.as_bytes()))
        .map_err(|error| ExpectedError::file("write", file, &error))?;
    written(&[format!("Wrote {}; check it with `swarm-doctor rules lint`.", file.display())], true)
}

fn written(lines: &[String], passed: bool) -> Result<ExitCode, ExpectedError> {
    print(|out| lines.iter().try_for_each(|line| writeln!(out, "{}", Printable::new(line))))?;
    Ok(if passed { ExitCode::Healthy } else { ExitCode::Errors })
}
