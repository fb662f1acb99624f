//! What changed between two bundles: what is said of them, and the facts themselves.

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
    /// What has to be known of the two.
    pub notes: Vec<String>,
    /// What is said of the second and was not said of the first.
    pub new: Vec<Said>,
    /// What was said of the first and is not said of the second.
    pub gone: Vec<Said>,
    /// What is said of both.
    pub still: Vec<Said>,
    /// The facts that differ.
    pub changes: Vec<Change>,
}

/// One of the two.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// The machines.
    pub nodes: Vec<NodeName>,
    /// When the first of them was looked at.
    pub taken: Timestamp,
}

/// A finding, as far as it is the same at another time.
#[derive(Clone, Debug, Serialize)]
pub struct Said {
    /// The check.
    pub check: String,
    /// How much it weighs.
    pub severity: &'static str,
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub summary: String,
    /// It follows from another.
    pub consequence: bool,
}

/// A fact that is another now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The machine.
    pub node: NodeName,
    /// What it is about.
    pub area: Area,
    /// Which fact.
    pub key: String,
    /// What it was; nothing where it was not.
    pub before: Option<String>,
    /// What it is; nothing where it is not any more.
    pub after: Option<String>,
}

/// Lays two bundles beside each other.
pub fn of_files(before: &Path, after: &Path) -> Result<Difference, ExpectedError> {
    let (before, after) = (Read::of(before)?, Read::of(after)?);
    of(before, after).ok_or_else(|| ExpectedError::usage("there is no machine in the bundle"))
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

    /// A machine's bundle.
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

/// Lays two bundles beside each other; nothing where one holds no machine.
pub fn of(before: Read, after: Read) -> Option<Difference> {
    let (first, second) = (before.portraits, after.portraits);
    let side = |portraits: &BTreeMap<NodeName, Portrait>| {
        let taken = portraits.values().map(|portrait| portrait.taken).min()?;
        Some(Side { nodes: portraits.keys().cloned().collect(), taken })
    };
    let (from, to) = (side(&first)?, side(&second)?);
    let mut notes = Vec::new();
    if to.taken < from.taken {
        notes.push("the second bundle is the older one: new and gone are the other way round".into());
    }
    let names = |one: &BTreeMap<NodeName, Portrait>, other: &BTreeMap<NodeName, Portrait>| {
        let only = one.keys().filter(|name| !other.contains_key(name)).map(ToString::to_string);
        only.collect::<Vec<_>>().join(", ")
    };
    for (which, only) in [("first", names(&first, &second)), ("second", names(&second, &first))] {
        if !only.is_empty() {
            notes.push(format!("only the {which} bundle has {only}: there is nothing to compare it with"));
        }
    }
    let mut changes = Vec::new();
    let mut told = BTreeSet::new();
    for (name, before) in &first {
        if let Some(after) = second.get(name) {
            compare(before, after, &mut told, &mut changes, &mut notes);
        }
    }
    let was = said(&examine::together(before.members, &Policy::default())?.1);
    let is = said(&examine::together(after.members, &Policy::default())?.1);
    let without = |some: &BTreeMap<Key, Said>, others: &BTreeMap<Key, Said>| {
        some.iter().filter(|(key, _)| !others.contains_key(key)).map(|(_, said)| said.clone()).collect()
    };
    let (new, gone) = (without(&is, &was), without(&was, &is));
    let still = is.iter().filter(|(key, _)| was.contains_key(key)).map(|(_, said)| said.clone()).collect();
    Some(Difference { before: from, after: to, notes, new, gone, still, changes })
}

/// In the order of a report: causes first, the heavy ones before the light.
type Key = (bool, std::cmp::Reverse<Severity>, String, Subject);

fn said(diagnosis: &Diagnosis) -> BTreeMap<Key, Said> {
    let mut all = BTreeMap::new();
    for cause in &diagnosis.findings {
        let findings = std::iter::once((&cause.finding, false))
            .chain(cause.consequences.iter().map(|finding| (finding, true)));
        for (finding, consequence) in findings {
            let said = Said {
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
            all.entry(key).or_insert(said);
        }
    }
    all
}

fn compare(
    before: &Portrait,
    after: &Portrait,
    told: &mut BTreeSet<Area>,
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
                    "{} of {node} cannot be compared, for the {which} bundle lacks it: {why}",
                    area.name()
                ));
            }
        }
    }
    // What several managers tell alike is said once.
    let areas: BTreeSet<Area> = after.facts.keys().map(|(area, _)| *area).collect();
    skipped.extend(areas.iter().filter(|area| area.of_cluster() && told.contains(area)));
    told.extend(areas.into_iter().filter(|area| area.of_cluster() && !skipped.contains(area)));
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
