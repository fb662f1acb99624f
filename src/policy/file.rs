//! The configuration file, `swarm-doctor.toml`.

use super::{Excuse, Ignore, current, severity_named};
use crate::check_id;
use crate::error::ExpectedError;
use crate::exit::FailOn;
use crate::rules::Catalogue;
use crate::toml_place::{place, wrong};
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
    pub(super) fn find(
        named: Option<&Path>,
        catalogue: &Catalogue,
    ) -> Result<(Self, PathBuf), ExpectedError> {
        let path = named.unwrap_or(Path::new(DEFAULT));
        let text = match read(path) {
            Ok(text) => text,
            Err(error) if named.is_none() && error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(ExpectedError::file("read", path, &error)),
        };
        let file = Self::parse(&text, path, catalogue).map_err(|(at, what)| {
            ExpectedError::usage(format!("{}:{}: {what}", path.display(), place(&text, at).0))
        })?;
        Ok((file, path.to_owned()))
    }

    pub(super) fn parse(text: &str, path: &Path, catalogue: &Catalogue) -> Result<Self, Wrong> {
        let written: Written = toml::from_str(text).map_err(|error| wrong(&error))?;
        let at_line = |at: usize| format!("{}:{}", path.display(), place(text, at).0);
        let mut file =
            Self { allow_unknown: written.allow_unknown, baseline: written.baseline, ..Self::default() };
        if let Some(value) = written.fail_on {
            let severity = FailOn::from_str(value.as_ref(), false);
            let why = format!("{:?} is not one of error, warning, never", value.as_ref());
            file.fail_on = Some(severity.map_err(|_| (value.span().start, why))?);
        }
        for (check, value) in written.severity {
            let found =
                check_id::exact(check.as_ref(), catalogue).map_err(|why| (check.span().start, why))?;
            let severity = severity_named(value.as_ref()).map_err(|why| (value.span().start, why))?;
            file.notices.extend(found.notice());
            file.severities.insert(found.id().to_owned(), severity);
        }
        for (name, value) in written.threshold {
            let set =
                file.thresholds.set(current(name.as_ref(), catalogue, &mut file.notices), value.as_ref());
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
            let excuse = Excuse { reason, until, by: at_line(at) };
            file.ignores.push(Ignore::new(check, subject, excuse, catalogue).map_err(|why| (at, why))?);
        }
        file.checks = written
            .checks
            .map(|checks| (at_line(checks.span().start), checks.into_inner()))
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
