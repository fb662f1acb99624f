//! Folding: one cause on top, what follows from it beneath.

use super::Cause;
use checks::{Finding, Str, Subject};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What makes the findings of each check consequences, in the order of the checks.
type CausedBy = [(Str, Cow<'static, [Str]>)];

/// Puts each finding under the cause it follows from, and the causes in the order to read them.
///
/// What does not count is nobody's cause on the page; what it brings about stands beneath the next cause above, or alone.
/// Where several machines looked, what two of them saw from their ends is one thing.
pub(super) fn fold(found: Vec<Finding>, counting: &[bool], checks: &CausedBy, several: bool) -> Vec<Cause> {
    let caused_by: BTreeMap<&str, &[Str]> =
        checks.iter().map(|(id, causes)| (id.as_ref(), causes.as_ref())).collect();
    let order: BTreeMap<&str, usize> =
        checks.iter().enumerate().map(|(at, (id, _))| (id.as_ref(), at)).collect();
    let mut by_check: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, finding) in found.iter().enumerate() {
        by_check.entry(finding.check.as_ref()).or_default().push(at);
    }
    // The index of the finding that each one follows from directly.
    let parents: Vec<Option<usize>> = (0..found.len())
        .map(|at| {
            let other_end = || several.then(|| other_end(at, &found, &by_check)).flatten();
            parent(at, &found, &by_check, &caused_by).or_else(other_end)
        })
        .collect();
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
            Reverse(finding.confidence),
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
fn parent(
    at: usize,
    found: &[Finding],
    by_check: &BTreeMap<&str, Vec<usize>>,
    caused_by: &BTreeMap<&str, &[Str]>,
) -> Option<usize> {
    let finding = found.get(at)?;
    let causes = caused_by.get(finding.check.as_ref())?;
    // The list is in the order in which the check's author believes them.
    causes.iter().find_map(|cause| {
        let of_cause = by_check.get(cause.as_ref())?;
        of_cause.iter().copied().find(|other| found[*other].overlaps(finding))
    })
}

/// The same ailment as another machine sees it: of what is wrong between a node and each of the others, that node is the
/// subject where anybody says so, and else the first of the links to it.
fn other_end(at: usize, found: &[Finding], by_check: &BTreeMap<&str, Vec<usize>>) -> Option<usize> {
    let finding = found.get(at)?;
    let Subject::Link { from, to } = &finding.subject else { return None };
    let alike = by_check.get(finding.check.as_ref())?;
    let whole = alike
        .iter()
        .copied()
        .find(|other| matches!(&found[*other].subject, Subject::Node(node) if node == to || node == from));
    whole.or_else(|| {
        alike.iter().copied().take_while(|other| *other < at).find(|other| match &found[*other].subject {
            Subject::Link { from: their_from, to: their_to } => {
                their_to == to || (their_from, their_to) == (to, from)
            }
            _ => false,
        })
    })
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
