//! Folding: each cause with its consequences.

use super::Cause;
use checks::{Finding, Str, Subject};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The possible causes of the findings of each check, in the order of the checks.
type CausedBy = [(Str, Cow<'static, [Str]>)];

/// Puts each finding under its cause, and sorts the causes for reading.
///
/// A suppressed finding is not shown as a cause: its consequences go to the next active cause, or stand alone. If several
/// nodes were examined, two findings about the two ends of one path become one.
pub(super) fn fold(found: Vec<Finding>, counting: &[bool], checks: &CausedBy, several: bool) -> Vec<Cause> {
    let caused_by: BTreeMap<&str, &[Str]> =
        checks.iter().map(|(id, causes)| (id.as_ref(), causes.as_ref())).collect();
    let order: BTreeMap<&str, usize> =
        checks.iter().enumerate().map(|(at, (id, _))| (id.as_ref(), at)).collect();
    let mut by_check: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, finding) in found.iter().enumerate() {
        by_check.entry(finding.check.as_ref()).or_default().push(at);
    }
    // The index of the direct cause of each finding.
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
        let mut finding = finding;
        finding.reveal_suspicion();
        causes.insert(at, Cause { finding, consequences: Vec::new() });
    }
    for (_, (finding, root)) in following {
        if let Some(cause) = causes.get_mut(&root) {
            // The remedy of the cause is the remedy of its consequences.
            let mut finding = finding;
            finding.remedy = None;
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
    // A cause is as severe as its worst consequence: a warning that stops the engine is an error.
    let severity = |cause: &Cause| {
        std::iter::once(&cause.finding).chain(&cause.consequences).map(|finding| finding.severity).max()
    };
    causes.sort_by_cached_key(|cause| {
        (Reverse(severity(cause)), Reverse(!cause.consequences.is_empty()), rank(&cause.finding))
    });
    causes
}

/// The direct cause of a finding.
fn parent(
    at: usize,
    found: &[Finding],
    by_check: &BTreeMap<&str, Vec<usize>>,
    caused_by: &BTreeMap<&str, &[Str]>,
) -> Option<usize> {
    let finding = found.get(at)?;
    let of_check = caused_by.get(finding.check.as_ref())?;
    // A check lists its causes from the most to the least likely.
    let of_check = of_check.iter().find_map(|cause| {
        let of_cause = by_check.get(cause.as_ref())?;
        of_cause.iter().copied().find(|other| found[*other].may_cause(finding))
    });
    let of_finding = || {
        finding.causes().iter().find_map(|cause| {
            let of_cause = by_check.get(cause.as_ref())?;
            let concerns = |other: &Finding| other.may_cause(finding) || other.affected_by(&finding.subject);
            of_cause.iter().copied().find(|other| concerns(&found[*other]))
        })
    };
    of_check.or_else(of_finding)
}

/// The same problem as another node reports it. Of the findings about the paths to one node, the one about the node itself
/// is the cause, otherwise the first about a path to it.
fn other_end(at: usize, found: &[Finding], by_check: &BTreeMap<&str, Vec<usize>>) -> Option<usize> {
    let finding = found.get(at)?;
    let Subject::Link { from, to } = &finding.subject else { return None };
    let alike = by_check.get(finding.check.as_ref())?;
    let alike: Vec<usize> = alike
        .iter()
        .copied()
        .filter(|other| found.get(*other).is_some_and(|it| it.shares_flow(finding)))
        .collect();
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

/// Follows the causes up to the last active one. The causes form no cycle (a test checks it); the bound protects against
/// user-defined checks.
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
