//! Folding: one cause on top, what follows from it beneath.

use super::Cause;
use checks::{Finding, Str};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What makes the findings of each check consequences, in the order of the checks.
type CausedBy = [(Str, Cow<'static, [Str]>)];

/// Puts each finding under the cause it follows from, and the causes in the order to read them.
///
/// What does not count is nobody's cause on the page; what it brings about stands beneath the next cause above, or alone.
pub(super) fn fold(found: Vec<Finding>, counting: &[bool], checks: &CausedBy) -> Vec<Cause> {
    let caused_by: BTreeMap<&str, &[Str]> =
        checks.iter().map(|(id, causes)| (id.as_ref(), causes.as_ref())).collect();
    let order: BTreeMap<&str, usize> =
        checks.iter().enumerate().map(|(at, (id, _))| (id.as_ref(), at)).collect();
    // The index of the finding that each one follows from directly.
    let parents: Vec<Option<usize>> =
        found.iter().map(|finding| parent(finding, &found, &caused_by)).collect();
    let roots: Vec<usize> = (0..found.len()).map(|at| root(at, &parents, counting)).collect();
    let mut causes: BTreeMap<usize, Cause> = BTreeMap::new();
    let (causing, following): (Vec<_>, Vec<_>) = found
        .into_iter()
        .zip(roots)
        .enumerate()
        .filter(|(at, _)| counting.get(*at) == Some(&true))
        .partition(|(at, (_, root))| at == root);
    for (at, (finding, _)) in causing {
        causes.insert(at, Cause { finding, consequences: Vec::new() });
    }
    for (_, (finding, root)) in following {
        if let Some(cause) = causes.get_mut(&root) {
            cause.consequences.push(finding);
        }
    }
    let rank = |finding: &Finding| {
        (
            Reverse(finding.severity),
            Reverse(finding.certainty),
            order.get(finding.check.as_ref()).copied(),
            finding.subject.clone(),
            finding.summary.clone(),
        )
    };
    let mut causes: Vec<Cause> = causes.into_values().collect();
    for cause in &mut causes {
        cause.consequences.sort_by_cached_key(rank);
    }
    // What a cause brings about weighs as much as the cause itself: a warning that stops the engine is an error.
    let weight = |cause: &Cause| {
        std::iter::once(&cause.finding).chain(&cause.consequences).map(|finding| finding.severity).max()
    };
    causes.sort_by_cached_key(|cause| {
        (Reverse(weight(cause)), Reverse(!cause.consequences.is_empty()), rank(&cause.finding))
    });
    causes
}

/// The finding this one follows from directly.
fn parent(finding: &Finding, found: &[Finding], caused_by: &BTreeMap<&str, &[Str]>) -> Option<usize> {
    let causes = caused_by.get(finding.check.as_ref())?;
    // The list is in the order in which the check's author believes them.
    causes
        .iter()
        .find_map(|cause| found.iter().position(|other| other.check == *cause && other.touches(finding)))
}

/// Follows parents up, to the last that counts. The checks' causes form no cycle (a test holds them to it); the bound is
/// for users' own.
fn root(mut at: usize, parents: &[Option<usize>], counting: &[bool]) -> usize {
    let mut root = at;
    for _ in 0..parents.len() {
        match parents.get(at) {
            Some(Some(parent)) => at = *parent,
            _ => break,
        }
        if counting.get(at) == Some(&true) {
            root = at;
        }
    }
    root
}
