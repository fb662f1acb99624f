//! The configuration file, `swarm-doctor.toml`.

use super::{Excuse, Ignore, current, severity_named};
use crate::check_id;
use crate::check_id::hint;
use crate::error::ExpectedError;
use crate::exit::FailOn;
use checks::{Severity, Thresholds};
use clap::ValueEnum as _;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use toml::Spanned;

/// The default path, and the only one.
pub const DEFAULT: &str = "/etc/swarm-doctor.toml";

/// The largest file that is read.
const MOST: u64 = 1 << 20;

/// The content of the file.
#[derive(Default)]
pub(super) struct File {
    /// Which checks run, and the line that names them.
    pub(super) checks: Option<(Vec<String>, String)>,
    pub(super) severities: BTreeMap<String, Severity>,
    pub(super) thresholds: Thresholds,
    pub(super) ignores: Vec<Ignore>,
    pub(super) baseline: Option<String>,
    pub(super) fail_on: Option<FailOn>,
    pub(super) allow_unknown: bool,
    /// Checks that are named by an old id.
    pub(super) notices: BTreeSet<String>,
}

/// The file as it is written.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    checks: Option<Spanned<Vec<String>>>,
    fail_on: Option<Spanned<String>>,
    allow_unknown: bool,
    baseline: Option<String>,
    severity: BTreeMap<Spanned<String>, Spanned<String>>,
    threshold: BTreeMap<Spanned<String>, Spanned<String>>,
    ignore: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    check: String,
    subject: Option<String>,
    reason: String,
    until: Option<Spanned<toml::value::Datetime>>,
}

/// Something wrong, and at which byte.
type Wrong = (usize, String);

impl File {
    /// The file of --config, or the default one if it exists; with its path.
    pub(super) fn find(named: Option<&Path>) -> Result<(Self, PathBuf), ExpectedError> {
        let path = named.unwrap_or(Path::new(DEFAULT));
        let text = match read(path) {
            Ok(text) => text,
            Err(error) if named.is_none() && error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(ExpectedError::file("read", path, &error)),
        };
        let file = Self::parse(&text, path).map_err(|(at, what)| {
            ExpectedError::usage(format!("{}:{}: {what}", path.display(), line(&text, at)))
        })?;
        Ok((file, path.to_owned()))
    }

    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, Wrong> {
        let written: Written = toml::from_str(text).map_err(|error| wrong(&error))?;
        let place = |at: usize| format!("{}:{}", path.display(), line(text, at));
        let mut file =
            Self { allow_unknown: written.allow_unknown, baseline: written.baseline, ..Self::default() };
        if let Some(value) = written.fail_on {
            let severity = FailOn::from_str(value.as_ref(), false);
            let why = format!("{:?} is not one of error, warning, never", value.as_ref());
            file.fail_on = Some(severity.map_err(|_| (value.span().start, why))?);
        }
        for (check, value) in written.severity {
            let found = check_id::exact(check.as_ref()).map_err(|why| (check.span().start, why))?;
            let severity = severity_named(value.as_ref()).map_err(|why| (value.span().start, why))?;
            file.notices.extend(found.notice());
            file.severities.insert(found.id().to_owned(), severity);
        }
        for (name, value) in written.threshold {
            let set = file.thresholds.set(current(name.as_ref(), &mut file.notices), value.as_ref());
            set.map_err(|why| (name.span().start, why))?;
        }
        for entry in written.ignore {
            let at = entry.span().start;
            let Entry { check, subject, reason, until } = entry.into_inner();
            let until = match until {
                Some(until) => {
                    let date = until.as_ref().to_string().parse();
                    let why =
                        || (until.span().start, "a day is expected, such as until = 2027-01-31".to_owned());
                    Some(date.map_err(|_| why())?)
                }
                None => None,
            };
            let excuse = Excuse { reason, until, by: place(at) };
            file.ignores.push(Ignore::new(check, subject, excuse).map_err(|why| (at, why))?);
        }
        file.checks = written
            .checks
            .map(|checks| (place(checks.span().start), checks.into_inner()))
            .map(|(by, checks)| (checks, by));
        Ok(file)
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MOST + 1).read_to_string(&mut text)?;
    match text.len() as u64 > MOST {
        true => Err(std::io::Error::other("larger than 1 MiB")),
        false => Ok(text),
    }
}

/// The number of the line, from 1, in which this byte is.
fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// The error, with the key that was probably meant.
fn wrong(error: &toml::de::Error) -> Wrong {
    let what = error.message().trim().replace('\n', "; ");
    // "unknown field `chekcs`, expected one of `checks`, ..."
    let mut names = what.split('`').skip(1).step_by(2);
    let hint = match names.next().filter(|_| what.starts_with("unknown field")) {
        Some(unknown) => hint(unknown, names),
        None => String::new(),
    };
    (error.span().map_or(0, |span| span.start), format!("{what}{hint}"))
}
