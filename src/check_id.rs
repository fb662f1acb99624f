//! Finding a check by what a user types: its id, an old id, or an unambiguous part of it.

use crate::rules::Catalogue;
use checks::{Meta, renamed};

/// How many wrong letters a text may have to be taken for a misspelt name.
const TYPOS: usize = 3;
/// How many candidates of an ambiguous part are named.
const NAMED: usize = 8;

/// A check, with the old id if it was selected by that.
#[derive(Clone, Copy)]
pub struct Resolved {
    /// The check.
    pub meta: &'static Meta,
    /// The check was named by the id that it had before it was renamed.
    pub old: Option<&'static str>,
}

impl Resolved {
    /// The present id.
    pub fn id(self) -> &'static str {
        self.meta.id.as_ref()
    }

    /// The message about a renamed id.
    pub fn notice(self) -> Option<String> {
        self.old.map(|old| format!("check {old} was renamed to {}", self.id()))
    }
}

/// The check of an id, or of an old id.
pub fn exact(text: &str, catalogue: &Catalogue) -> Result<Resolved, String> {
    let by_id = |id: &str| catalogue.metas().find(|meta| meta.id == id);
    if let Some(meta) = by_id(text) {
        return Ok(Resolved { meta, old: None });
    }
    if let Some(meta) = renamed(text).and_then(by_id) {
        let old = checks::RENAMED.iter().find(|(old, _)| *old == text).map(|(old, _)| *old);
        return Ok(Resolved { meta, old });
    }
    let hint = hint(text, catalogue.metas().map(|meta| meta.id.as_ref()));
    Err(format!("there is no check {text:?}{hint}"))
}

/// The check of an id, of an old id, or of a part that only one id has.
pub fn find(text: &str, catalogue: &Catalogue) -> Result<Resolved, String> {
    let error = match exact(text, catalogue) {
        Ok(found) => return Ok(found),
        Err(error) => error,
    };
    let name = |meta: &'static Meta| meta.id.rsplit('/').next().unwrap_or_default();
    let whole: Vec<_> = catalogue.metas().filter(|meta| name(meta) == text).collect();
    let part: Vec<_> = catalogue.metas().filter(|meta| !text.is_empty() && meta.id.contains(text)).collect();
    match (whole.as_slice(), part.as_slice()) {
        ([meta], _) | (_, [meta]) => Ok(Resolved { meta, old: None }),
        (_, []) => Err(error),
        (_, several) => {
            let mut ids: Vec<&str> = several.iter().take(NAMED).map(|meta| meta.id.as_ref()).collect();
            let more = format!("{} more", several.len().saturating_sub(NAMED));
            if several.len() > NAMED {
                ids.push(&more);
            }
            Err(format!("{text:?} matches several checks: {}", ids.join(", ")))
        }
    }
}

/// `; did you mean ...?`, where a known name is near enough.
pub fn hint<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(text, known).map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}

/// The known name that was probably meant: one with a few typing errors, or without its category.
fn nearest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = |id: &'a str| id.rsplit_once('/').map_or(id, |(_, name)| name);
    known
        .map(|id| (typos(text, id).min(typos(text, name(id))), id))
        .filter(|(typos, _)| *typos <= TYPOS.min(text.len() / 2))
        .min_by_key(|(typos, _)| *typos)
        .map(|(_, id)| id)
}

/// The Levenshtein distance of two texts: how many letters are inserted, deleted or replaced.
fn typos(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, char) in one.chars().enumerate() {
        let mut next = vec![at + 1];
        for ((expected, diagonal), above) in other.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or(at + 1);
            next.push((diagonal + usize::from(char != *expected)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Result<&'static str, String> {
        find(text, &Catalogue::default()).map(Resolved::id)
    }

    #[test]
    fn a_check_is_found_by_its_id_its_name_a_part_or_an_old_id() {
        for text in ["swarm/lost-quorum", "lost-quorum", "lost-q"] {
            assert_eq!(found(text), Ok("swarm/lost-quorum"), "{text}");
        }
        let old = find("swarm/locked", &Catalogue::default()).map(|found| (found.id(), found.notice()));
        let notice = "check swarm/locked was renamed to swarm/autolock-locked".to_owned();
        assert_eq!(old, Ok(("swarm/autolock-locked", Some(notice))));
    }

    #[test]
    fn an_ambiguous_part_names_the_candidates_and_an_exact_id_takes_no_part() {
        let error = found("firewall-drops").unwrap_err();
        assert!(error.starts_with("\"firewall-drops\" matches several checks: "), "{error}");
        assert!(exact("lost-quorum", &Catalogue::default()).is_err());
        assert!(found("").is_err());
    }

    #[test]
    fn a_misspelt_name_gets_a_hint() {
        let ids = ["swarm/lost-quorum", "swarm/even-managers", "host/ipvs-missing"];
        assert_eq!(nearest("swarm/lost-qorum", ids.into_iter()), Some("swarm/lost-quorum"));
        assert_eq!(nearest("even-managers", ids.into_iter()), Some("swarm/even-managers"));
        assert_eq!(nearest("ipvs-mising", ids.into_iter()), Some("host/ipvs-missing"));
        assert_eq!(nearest("network/whatever", ids.into_iter()), None);
        assert_eq!(nearest("", ids.into_iter()), None);
        assert_eq!(
            found("swarm/lost-qorum").unwrap_err(),
            "there is no check \"swarm/lost-qorum\"; did you mean swarm/lost-quorum?"
        );
    }
}
