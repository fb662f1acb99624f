//! Which checks run, and which facts they need.

use super::current;
use crate::check_id::hint;
use checks::{BuiltIn, Meta, built_in};
use facts::Need;
use std::collections::BTreeSet;

/// The header of a report is made of these.
const HEAD: [Need; 3] = [Need::Info, Need::Version, Need::OsRelease];

/// Which checks run: all, unless the user chooses.
#[derive(Clone, Debug, Default)]
pub struct Selection(Option<Chosen>);

#[derive(Clone, Debug)]
struct Chosen {
    /// The requested checks.
    asked: BTreeSet<&'static str>,
    /// Their possible causes, directly and indirectly. They run, too, and are shown where they explain a finding.
    behind: BTreeSet<&'static str>,
    /// Where they were chosen.
    by: String,
    /// Checks that were named by an old id.
    notices: BTreeSet<String>,
}

impl Selection {
    /// Selects ids and categories; `!` before one excludes it, also as a possible cause.
    pub fn of(words: &[String], by: &str) -> Result<Self, String> {
        let mut wanted = BTreeSet::new();
        let mut refused = BTreeSet::new();
        let mut any = false;
        let mut notices = BTreeSet::new();
        for word in words {
            match word.strip_prefix('!') {
                Some(word) => refused.extend(named(current(word, &mut notices))?),
                None => {
                    any = true;
                    wanted.extend(named(current(word, &mut notices))?);
                }
            }
        }
        if !any {
            wanted = built_in().map(id).collect();
        }
        let asked: BTreeSet<&'static str> = wanted.difference(&refused).copied().collect();
        if asked.is_empty() {
            return Err(format!("{} leaves no check to run", words.join(" ")));
        }
        let mut behind = BTreeSet::new();
        let mut next: Vec<&'static str> = asked.iter().copied().collect();
        while let Some(check) = next.pop() {
            let remaining = built_in().any(|other| id(other) == check && other.meta.remaining);
            let causes =
                built_in().filter(|other| id(other) == check).flat_map(|check| check.meta.caused_by.iter());
            // What remains unexplained depends on all other checks.
            let others = built_in().filter(|_| remaining).map(id).filter(|other| *other != check);
            for cause in causes.map(AsRef::as_ref).chain(others) {
                if !refused.contains(cause) && !asked.contains(cause) && behind.insert(cause) {
                    next.push(cause);
                }
            }
        }
        Ok(Self(Some(Chosen { asked, behind, by: by.to_owned(), notices })))
    }

    /// The notices on checks that were named by an old id.
    pub(super) fn notices(&self) -> &BTreeSet<String> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        self.0.as_ref().map_or(&NONE, |chosen| &chosen.notices)
    }

    /// Whether this check was requested.
    pub fn asks(&self, check: &Meta) -> bool {
        self.0.as_ref().is_none_or(|chosen| chosen.asked.contains(check.id.as_ref()))
    }

    /// Whether this check runs: it was requested, or may be the cause of one that was.
    pub fn judges(&self, check: &Meta) -> bool {
        self.asks(check) || self.0.as_ref().is_some_and(|chosen| chosen.behind.contains(check.id.as_ref()))
    }

    /// Whether a check that runs needs this kind of artifact.
    pub fn needs(&self, need: Need) -> bool {
        self.0.is_none()
            || HEAD.contains(&need)
            || built_in().any(|check| self.judges(&check.meta) && check.meta.needs.contains(&need))
    }

    /// The note on what was left out.
    pub(crate) fn note(&self) -> Option<String> {
        let Chosen { asked, behind, by, .. } = self.0.as_ref()?;
        let all = built_in().count();
        let behind = match behind.len() {
            0 => String::new(),
            1 => "; 1 more ran as a possible cause".to_owned(),
            more => format!("; {more} more ran as possible causes"),
        };
        Some(format!("{} of {all} checks selected by {by}{behind}", asked.len()))
    }
}

fn id(check: &'static BuiltIn) -> &'static str {
    check.meta.id.as_ref()
}

fn category(check: &'static BuiltIn) -> &'static str {
    id(check).split('/').next().unwrap_or_default()
}

/// The ids that a word selects.
fn named(word: &str) -> Result<Vec<&'static str>, String> {
    let found: Vec<_> =
        built_in().filter(|check| id(check) == word || category(check) == word).map(id).collect();
    if found.is_empty() {
        let known: BTreeSet<_> = built_in().flat_map(|check| [category(check), id(check)]).collect();
        return Err(format!("there is no check or category {word:?}{}", hint(word, known.into_iter())));
    }
    Ok(found)
}
