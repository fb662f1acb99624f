//! All checks of a run: the built-in ones, then those of the user.

use super::broken::Broken;
use super::file::{self, Fault};
use crate::error::ExpectedError;
use checks::{Check, Meta, built_in};
use std::collections::BTreeSet;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The folder of rules that every run reads.
pub const FOLDER: &str = "/etc/swarm-doctor/checks.d";

/// The most files that are read from one folder.
const MOST_FILES: usize = 500;

/// All checks of a run. Rules are loaded once and live as long as the process, as built-in checks do.
#[derive(Clone, Default)]
pub struct Catalogue {
    rules: Vec<&'static dyn Check>,
    /// What is wrong with the files of the rules that are broken.
    pub faults: Vec<Fault>,
}

impl Catalogue {
    /// The rules in `/etc/swarm-doctor/checks.d` and in these folders. A broken rule is replaced by a check that is unknown.
    /// Only a named folder that cannot be read is an error.
    pub fn load(folders: &[PathBuf]) -> Result<Self, ExpectedError> {
        let mut catalogue = Self::default();
        let mut read = BTreeSet::new();
        let default = PathBuf::from(FOLDER);
        for folder in std::iter::once(&default).chain(folders) {
            let files = match files_in(folder) {
                Ok(files) => files,
                Err(error) if *folder == default && error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(ExpectedError::file("read", folder, &error)),
            };
            for path in files {
                if read.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
                    catalogue.add(&path);
                }
            }
        }
        catalogue.check_causes();
        Ok(catalogue)
    }

    /// The rules in these files alone, with what is wrong in them.
    pub fn of_files(paths: &[PathBuf]) -> Self {
        let mut catalogue = Self::without_others(paths);
        catalogue.check_causes();
        catalogue
    }

    /// The same where the causes may be rules of other files.
    pub(super) fn without_others(paths: &[PathBuf]) -> Self {
        let mut catalogue = Self::default();
        paths.iter().for_each(|path| catalogue.add(path));
        catalogue
    }

    fn add(&mut self, path: &Path) {
        let taken = |id: &str| self.metas().any(|meta| meta.id == id);
        match file::read(path, &taken) {
            Ok(rule) => self.rules.push(Box::leak(Box::new(rule))),
            Err(faults) => {
                if let Some(broken) = Broken::of(path, &faults) {
                    self.rules.push(Box::leak(Box::new(broken)));
                }
                self.faults.extend(faults);
            }
        }
    }

    /// Causes may be rules of files that are read later, so they are checked last. An unknown one has no effect.
    fn check_causes(&mut self) {
        let ids: BTreeSet<&str> = self.metas().map(|meta| meta.id.as_ref()).collect();
        let mut faults = Vec::new();
        for meta in self.rules.iter().map(|rule| rule.meta()) {
            for cause in meta.caused_by.iter().filter(|cause| !ids.contains(cause.as_ref())) {
                let hint = crate::check_id::hint(cause, ids.iter().copied());
                faults.push(Fault::of_rule(&meta.id, format!("there is no check {cause:?}{hint}")));
            }
        }
        self.faults.extend(faults);
    }

    /// Every check, the built-in ones first.
    pub fn checks(&self) -> impl Iterator<Item = &'static dyn Check> {
        built_in().map(|check| check as &dyn Check).chain(self.rules.iter().copied())
    }

    /// The rules of the user.
    pub fn rules(&self) -> impl Iterator<Item = &'static dyn Check> {
        self.rules.iter().copied()
    }

    /// What is known of every check.
    pub fn metas(&self) -> impl Iterator<Item = &'static Meta> {
        self.checks().map(|check| check.meta())
    }
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rules.iter().map(|rule| &rule.meta().id)).finish()
    }
}

/// The `.toml` files in a folder, in the order of their names.
pub(super) fn files_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            files.push(path);
        }
    }
    files.sort();
    match files.len() > MOST_FILES {
        true => Err(std::io::Error::other(format!("more than {MOST_FILES} rules"))),
        false => Ok(files),
    }
}
