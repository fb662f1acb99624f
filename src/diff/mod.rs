//! Comparing two bundles: their findings and their facts.

mod portrait;

use crate::error::ExpectedError;
use crate::examine;
use crate::judge::{Diagnosis, Member};
use crate::policy::Policy;
use checks::{Severity, Subject};
use facts::{NodeName, Timestamp};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub use portrait::{Area, Portrait};

/// The value of a fact that is only present or absent, such as an address of an interface.
pub const PRESENT: &str = "present";

/// What changed from one bundle to another.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// The first bundle.
    pub before: Side,
    /// The second.
    pub after: Side,
    /// Notes on the comparison.
    pub notes: Vec<String>,
    /// Findings of the second bundle only.
    pub new: Vec<KnownFinding>,
    /// Findings of the first bundle only.
    pub resolved: Vec<KnownFinding>,
    /// Findings of both.
    pub unchanged: Vec<KnownFinding>,
    /// Facts that differ.
    pub changes: Vec<Change>,
}

/// One of the two bundles.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// Its nodes.
    pub nodes: Vec<NodeName>,
    /// When the facts of the first node were collected.
    pub taken: Timestamp,
}

/// A finding, as far as it is the same at another time.
#[derive(Clone, Debug, Serialize)]
pub struct KnownFinding {
    /// The check.
    pub check: String,
    /// Its severity.
    pub severity: &'static str,
    /// Its subject.
    pub subject: String,
    /// Its summary.
    pub summary: String,
    /// It is a consequence of another finding.
    pub consequence: bool,
}

/// A fact that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The node.
    pub node: NodeName,
    /// What it is about.
    pub area: Area,
    /// Which fact.
    pub key: String,
    /// Its value in the first bundle, if it is there.
    pub before: Option<String>,
    /// Its value in the second bundle, if it is there.
    pub after: Option<String>,
}

/// Compares two bundles.
pub fn of_files(before: &Path, after: &Path) -> Result<Difference, ExpectedError> {
    let (before, after) = (Read::of(before)?, Read::of(after)?);
    of(before, after).ok_or_else(|| ExpectedError::usage("the bundle contains no node"))
}

/// A bundle, read.
pub struct Read {
    portraits: BTreeMap<NodeName, Portrait>,
    members: Vec<Member>,
}

impl Read {
    /// Reads a bundle.
    pub fn of(path: &Path) -> Result<Self, ExpectedError> {
        let mut read = Self { portraits: BTreeMap::new(), members: Vec::new() };
        crate::bundle::each(path, &mut |bundle| read.take(bundle))?;
        Ok(read)
    }

    /// The bundle of one node.
    pub fn one(bundle: facts::bundle::Bundle) -> Self {
        let mut read = Self { portraits: BTreeMap::new(), members: Vec::new() };
        read.take(bundle);
        read
    }

    fn take(&mut self, bundle: facts::bundle::Bundle) {
        let snapshot = facts::parse::snapshot(&bundle);
        let portrait = Portrait::of(&bundle, &snapshot);
        self.portraits.insert(portrait.host.clone(), portrait);
        self.members.push(Member::of(bundle));
    }
}

/// Compares two bundles; `None` where one has no node.
pub fn of(before: Read, after: Read) -> Option<Difference> {
    let (first, second) = (before.portraits, after.portraits);
    let side = |portraits: &BTreeMap<NodeName, Portrait>| {
        let taken = portraits.values().map(|portrait| portrait.taken).min()?;
        Some(Side { nodes: portraits.keys().cloned().collect(), taken })
    };
    let (from, to) = (side(&first)?, side(&second)?);
    let mut notes = Vec::new();
    if to.taken < from.taken {
        notes.push("the second bundle is older than the first: new and resolved are swapped".into());
    }
    let names = |one: &BTreeMap<NodeName, Portrait>, other: &BTreeMap<NodeName, Portrait>| {
        let only = one.keys().filter(|name| !other.contains_key(name)).map(ToString::to_string);
        only.collect::<Vec<_>>().join(", ")
    };
    for (which, only) in [("first", names(&first, &second)), ("second", names(&second, &first))] {
        if !only.is_empty() {
            notes.push(format!("only the {which} bundle has {only}, which is not compared"));
        }
    }
    let mut changes = Vec::new();
    let mut compared = BTreeSet::new();
    for (name, before) in &first {
        if let Some(after) = second.get(name) {
            compare(before, after, &mut compared, &mut changes, &mut notes);
        }
    }
    let was = findings(&examine::together(before.members, &Policy::default())?.1);
    let is = findings(&examine::together(after.members, &Policy::default())?.1);
    let without = |some: &BTreeMap<Key, KnownFinding>, others: &BTreeMap<Key, KnownFinding>| {
        some.iter().filter(|(key, _)| !others.contains_key(key)).map(|(_, known)| known.clone()).collect()
    };
    let (new, resolved) = (without(&is, &was), without(&was, &is));
    let unchanged =
        is.iter().filter(|(key, _)| was.contains_key(key)).map(|(_, known)| known.clone()).collect();
    Some(Difference { before: from, after: to, notes, new, resolved, unchanged, changes })
}

/// In the order of a report: causes first, then by severity.
type Key = (bool, std::cmp::Reverse<Severity>, String, Subject);

fn findings(diagnosis: &Diagnosis) -> BTreeMap<Key, KnownFinding> {
    let mut all = BTreeMap::new();
    for cause in &diagnosis.findings {
        let findings = std::iter::once((&cause.finding, false))
            .chain(cause.consequences.iter().map(|finding| (finding, true)));
        for (finding, consequence) in findings {
            let known = KnownFinding {
                check: finding.check.to_string(),
                severity: finding.severity.as_str(),
                subject: finding.subject.to_string(),
                summary: finding.summary.clone(),
                consequence,
            };
            let key = (
                consequence,
                std::cmp::Reverse(finding.severity),
                finding.check.to_string(),
                finding.subject.clone(),
            );
            all.entry(key).or_insert(known);
        }
    }
    all
}

fn compare(
    before: &Portrait,
    after: &Portrait,
    compared: &mut BTreeSet<Area>,
    changes: &mut Vec<Change>,
    notes: &mut Vec<String>,
) {
    let node = &after.host;
    let mut skipped = BTreeSet::new();
    for (which, portrait, other) in [("first", before, after), ("second", after, before)] {
        for (area, why) in &portrait.unseen {
            skipped.insert(*area);
            if !other.unseen.contains_key(area) {
                notes.push(format!(
                    "{} of {node} cannot be compared: the {which} bundle lacks it: {why}",
                    area.name()
                ));
            }
        }
    }
    // Facts about the swarm are the same from every manager and are compared once.
    let areas: BTreeSet<Area> = after.facts.keys().map(|(area, _)| *area).collect();
    skipped.extend(areas.iter().filter(|area| area.of_cluster() && compared.contains(area)));
    compared.extend(areas.into_iter().filter(|area| area.of_cluster() && !skipped.contains(area)));
    let keys: BTreeSet<&(Area, String)> = before.facts.keys().chain(after.facts.keys()).collect();
    for key in keys.into_iter().filter(|(area, _)| !skipped.contains(area)) {
        let (was, is) = (before.facts.get(key), after.facts.get(key));
        if was != is {
            let (area, name) = key.clone();
            let change =
                Change { node: node.clone(), area, key: name, before: was.cloned(), after: is.cloned() };
            changes.push(change);
        }
    }
}

#[cfg(test)]
mod tests;
