//! Which checks are asked, and what has to be collected for them.

use crate::check_id::hint;
use checks::{BuiltIn, Meta, built_in};
use facts::Need;
use std::collections::BTreeSet;

/// What the head of a report says comes from these.
const HEAD: [Need; 3] = [Need::Info, Need::Version, Need::OsRelease];

/// Which checks are asked: all, unless the user chooses.
#[derive(Clone, Debug, Default)]
pub struct Selection(Option<Chosen>);

#[derive(Clone, Debug)]
struct Chosen {
    /// What was asked for.
    asked: BTreeSet<&'static str>,
    /// The causes that these may have, and theirs. They are judged, too, and shown where one explains what was asked.
    behind: BTreeSet<&'static str>,
    /// Who chose.
    by: String,
}

impl Selection {
    /// What these words choose: ids and categories; with `!` before them, what is left out. Left out is left out, even as
    /// the cause of something.
    pub fn of(words: &[String], by: &str) -> Result<Self, String> {
        let mut wanted = BTreeSet::new();
        let mut refused = BTreeSet::new();
        let mut any = false;
        for word in words {
            match word.strip_prefix('!') {
                Some(word) => refused.extend(named(word)?),
                None => {
                    any = true;
                    wanted.extend(named(word)?);
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
            let causes =
                built_in().filter(|other| id(other) == check).flat_map(|check| check.meta.caused_by.iter());
            for cause in causes.map(AsRef::as_ref) {
                if !refused.contains(cause) && !asked.contains(cause) && behind.insert(cause) {
                    next.push(cause);
                }
            }
        }
        Ok(Self(Some(Chosen { asked, behind, by: by.to_owned() })))
    }

    /// Whether this check was asked for.
    pub fn asks(&self, check: &Meta) -> bool {
        self.0.as_ref().is_none_or(|chosen| chosen.asked.contains(check.id.as_ref()))
    }

    /// Whether this check is judged: it was asked for, or may be the cause of one that was.
    pub fn judges(&self, check: &Meta) -> bool {
        self.asks(check) || self.0.as_ref().is_some_and(|chosen| chosen.behind.contains(check.id.as_ref()))
    }

    /// Whether this kind of artifact is needed for it.
    pub fn needs(&self, need: Need) -> bool {
        self.0.is_none()
            || HEAD.contains(&need)
            || built_in().any(|check| self.judges(&check.meta) && check.meta.needs.contains(&need))
    }

    /// What is to be said of what was left out.
    pub(crate) fn note(&self) -> Option<String> {
        let Chosen { asked, behind, by } = self.0.as_ref()?;
        let all = built_in().count();
        let behind = match behind.len() {
            0 => String::new(),
            1 => "; 1 more was judged, for it may be the cause".to_owned(),
            more => format!("; {more} more were judged, for they may be the cause"),
        };
        Some(format!("only {} of {all} checks were asked, by {by}{behind}", asked.len()))
    }
}

fn id(check: &'static BuiltIn) -> &'static str {
    check.meta.id.as_ref()
}

fn category(check: &'static BuiltIn) -> &'static str {
    id(check).split('/').next().unwrap_or_default()
}

/// The ids that a word stands for.
fn named(word: &str) -> Result<Vec<&'static str>, String> {
    let found: Vec<_> =
        built_in().filter(|check| id(check) == word || category(check) == word).map(id).collect();
    if found.is_empty() {
        let known: BTreeSet<_> = built_in().flat_map(|check| [category(check), id(check)]).collect();
        return Err(format!("there is no check or category {word:?}{}", hint(word, known.into_iter())));
    }
    Ok(found)
}
