//! Which checks run, and which facts they need.

use super::current;
use crate::check_id::hint;
use crate::rules::Catalogue;
use checks::Meta;
use facts::Need;
use std::collections::BTreeSet;

/// The header of a report is made of these.
const HEAD: [Need; 3] = [Need::Info, Need::Version, Need::OsRelease];

/// The category of checks that run only where they are asked for.
const ON_REQUEST: &str = "posture";

/// Which checks run: all but those on request, unless the user chooses.
#[derive(Clone, Debug, Default)]
pub struct Selection(Option<Chosen>);

#[derive(Clone, Debug)]
struct Chosen {
    /// The requested checks.
    asked: BTreeSet<&'static str>,
    /// Their possible causes, directly and indirectly. They run, too, and are shown where they explain a finding.
    behind: BTreeSet<&'static str>,
    /// The kinds of artifacts that they read.
    needs: BTreeSet<Need>,
    /// How many checks there are.
    all: usize,
    /// Where they were chosen.
    by: String,
    /// Checks that were named by an old id.
    notices: BTreeSet<String>,
}

impl Selection {
    /// Selects ids and categories; `!` before one excludes it, also as a possible cause.
    pub fn of(words: &[String], by: &str, catalogue: &Catalogue) -> Result<Self, String> {
        let mut wanted = BTreeSet::new();
        let mut refused = BTreeSet::new();
        let mut any = false;
        let mut notices = BTreeSet::new();
        for word in words {
            match word.strip_prefix('!') {
                Some(word) => refused.extend(named(current(word, catalogue, &mut notices), catalogue)?),
                None => {
                    any = true;
                    wanted.extend(named(current(word, catalogue, &mut notices), catalogue)?);
                }
            }
        }
        if !any {
            wanted = catalogue.metas().filter(|meta| category(meta) != ON_REQUEST).map(id).collect();
        }
        let asked: BTreeSet<&'static str> = wanted.difference(&refused).copied().collect();
        if asked.is_empty() {
            return Err(format!("{} leaves no check to run", words.join(" ")));
        }
        let mut behind = BTreeSet::new();
        let mut next: Vec<&'static str> = asked.iter().copied().collect();
        while let Some(check) = next.pop() {
            let remaining = catalogue.metas().any(|other| id(other) == check && other.remaining);
            let causes =
                catalogue.metas().filter(|other| id(other) == check).flat_map(|check| check.caused_by.iter());
            // What remains unexplained depends on all other checks.
            let others = catalogue.metas().filter(|_| remaining).map(id).filter(|other| *other != check);
            for cause in causes.map(AsRef::as_ref).chain(others) {
                if !refused.contains(cause) && !asked.contains(cause) && behind.insert(cause) {
                    next.push(cause);
                }
            }
        }
        let runs = |meta: &&'static Meta| asked.contains(id(meta)) || behind.contains(id(meta));
        let needs = catalogue.metas().filter(runs).flat_map(|meta| meta.needs.iter().copied()).collect();
        let all = catalogue.metas().count();
        Ok(Self(Some(Chosen { asked, behind, needs, all, by: by.to_owned(), notices })))
    }

    /// The notices on checks that were named by an old id.
    pub(super) fn notices(&self) -> &BTreeSet<String> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        self.0.as_ref().map_or(&NONE, |chosen| &chosen.notices)
    }

    /// Whether this check was requested.
    pub fn asks(&self, check: &Meta) -> bool {
        match &self.0 {
            Some(chosen) => chosen.asked.contains(check.id.as_ref()),
            None => !check.id.starts_with(ON_REQUEST),
        }
    }

    /// Whether this check runs: it was requested, or may be the cause of one that was.
    pub fn judges(&self, check: &Meta) -> bool {
        self.asks(check) || self.0.as_ref().is_some_and(|chosen| chosen.behind.contains(check.id.as_ref()))
    }

    /// Whether a check that runs needs this kind of artifact.
    pub fn needs(&self, need: Need) -> bool {
        self.0.as_ref().is_none_or(|chosen| HEAD.contains(&need) || chosen.needs.contains(&need))
    }

    /// The note on what was left out.
    pub(crate) fn note(&self) -> Option<String> {
        let Chosen { asked, behind, all, by, .. } = self.0.as_ref()?;
        let behind = match behind.len() {
            0 => String::new(),
            1 => "; 1 more ran as a possible cause".to_owned(),
            more => format!("; {more} more ran as possible causes"),
        };
        Some(format!("{} of {all} checks selected by {by}{behind}", asked.len()))
    }
}

fn id(meta: &'static Meta) -> &'static str {
    meta.id.as_ref()
}

fn category(meta: &'static Meta) -> &'static str {
    id(meta).split('/').next().unwrap_or_default()
}

/// The ids that a word selects.
fn named(word: &str, catalogue: &Catalogue) -> Result<Vec<&'static str>, String> {
    let found: Vec<_> =
        catalogue.metas().filter(|meta| id(meta) == word || category(meta) == word).map(id).collect();
    if found.is_empty() {
        let known: BTreeSet<_> = catalogue.metas().flat_map(|meta| [category(meta), id(meta)]).collect();
        return Err(format!("there is no check or category {word:?}{}", hint(word, known.into_iter())));
    }
    Ok(found)
}
