//! What a fix would do about a finding here, and what it has to leave to others.

use super::level::Level;
use crate::judge::Diagnosis;
use checks::{Confidence, Evidence, Finding, Risk, Step, Subject};
use facts::NodeName;
use std::collections::BTreeSet;

/// The part of a remedy that belongs to this node.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it is for.
    pub finding: Finding,
    /// What is done here, in order.
    pub here: Vec<Step>,
    /// What is left to other nodes or to a person.
    pub rest: Vec<Step>,
    /// Why the fix leaves a destructive remedy to a person.
    pub too_weak: Option<&'static str>,
}

/// What the check says afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verification {
    /// It ran and no longer finds it.
    Fixed,
    /// It still finds it.
    StillFound(String),
    /// It did not run, or could not decide.
    Unknown(String),
}

/// What the check with this id says about a subject, by a diagnosis made afterwards. A missing verdict is never a fix.
pub(super) fn verification(check: &str, subject: &str, diagnosis: &Diagnosis) -> Verification {
    let same = |finding: &&Finding| finding.check == check && finding.subject.to_string() == subject;
    if let Some(finding) = diagnosis.all_findings().find(same) {
        return Verification::StillFound(format!("{check} still finds: {}", finding.summary));
    }
    let Some(verdict) = diagnosis.verdicts.iter().find(|verdict| verdict.check == check) else {
        return Verification::Unknown(format!("{check} did not run"));
    };
    let subject = parsed(subject);
    match verdict.open().find(|(of, _)| of.overlaps(&subject)) {
        Some((_, gap)) => Verification::Unknown(format!("{check} could not decide afterwards: {}", gap.why)),
        None => Verification::Fixed,
    }
}

/// The subject of a receipt.
fn parsed(text: &str) -> Subject {
    if text == Subject::Cluster.to_string() {
        return Subject::Cluster;
    }
    if let Some((from, to)) = text.split_once(" -> ") {
        return Subject::Link { from: from.into(), to: to.into() };
    }
    match text.split_once(' ') {
        Some(("service", name)) => Subject::Service(name.to_owned()),
        Some(("network", name)) => Subject::Network(name.to_owned()),
        _ => Subject::Node(text.into()),
    }
}

impl Plan {
    /// What to do about each root cause, the first one first.
    pub fn all(diagnosis: &Diagnosis, here: &NodeName) -> Vec<Self> {
        diagnosis.findings.iter().map(|cause| Self::of(&cause.finding, here)).collect()
    }

    fn of(finding: &Finding, here: &NodeName) -> Self {
        let mut plan = Self::split(finding, here);
        if plan.level() == Level::Destructive && !plan.here.is_empty() {
            plan.too_weak = too_weak(finding);
            if plan.too_weak.is_some() {
                plan.rest = [std::mem::take(&mut plan.here), plan.rest].concat();
            }
        }
        plan
    }

    fn split(finding: &Finding, here: &NodeName) -> Self {
        let mut steps = finding.remedy.iter().flat_map(|remedy| remedy.steps.clone()).collect::<Vec<_>>();
        let plan = |here, rest| Self { finding: finding.clone(), here, rest, too_weak: None };
        // The last resort comes after better steps and is not part of them.
        let last_resort = |step: &Step| matches!(step, Step::ForceNewCluster { node, .. } if node.is(here));
        if let Some(at) = steps.iter().position(last_resort) {
            let step = steps.remove(at);
            return plan(vec![step], steps);
        }
        let automatic = |step: &&Step| step.target().is(here) && !matches!(step, Step::Manual { .. });
        let count = steps.iter().take_while(automatic).count();
        let rest = steps.split_off(count);
        // Half of what belongs together on one node would leave it between two states.
        if rest.iter().any(|step| step.target().is(here)) {
            plan(Vec::new(), [steps, rest].concat())
        } else {
            plan(steps, rest)
        }
    }

    /// The check and the subject of its finding.
    pub fn key(&self) -> (String, String) {
        (self.finding.check.to_string(), self.finding.subject.to_string())
    }

    /// Whether it cannot be rolled back.
    pub fn is_final(&self) -> bool {
        self.here.iter().any(|step| matches!(step, Step::RemoveNode { .. } | Step::ForceNewCluster { .. }))
    }

    /// Whether other nodes have a necessary part in it.
    pub fn is_shared(&self) -> bool {
        self.rest.iter().any(|step| matches!(step, Step::Leave { .. } | Step::Join { .. }))
    }

    /// How much it may affect.
    pub fn level(&self) -> Level {
        self.here.iter().map(Level::of).fold(self.least(), Level::max)
    }

    /// The part of it within a level: what is above, and what follows it, is left to others. Where nothing remains, the plan
    /// stays as it is.
    pub fn within(mut self, level: Level) -> Self {
        let count = self.here.iter().take_while(|step| Level::of(step) <= level).count();
        if count > 0 && self.least() <= level {
            let left = self.here.split_off(count);
            self.rest = [left, self.rest].concat();
        }
        self
    }

    /// The level of the remedy, whatever its steps.
    pub(super) fn least(&self) -> Level {
        match self.finding.remedy.as_ref().map(|remedy| remedy.risk) {
            Some(Risk::Destructive) => Level::Destructive,
            Some(Risk::Manual) => Level::Disruptive,
            _ => Level::Safe,
        }
    }
}

/// Why the evidence of a finding does not carry a destructive remedy.
fn too_weak(finding: &Finding) -> Option<&'static str> {
    if finding.confidence < Confidence::High {
        return Some("a destructive fix needs a finding with high confidence");
    }
    let sources: BTreeSet<_> = finding
        .evidence()
        .iter()
        .map(|evidence| match evidence {
            Evidence::Line { source, .. }
            | Evidence::Value { source, .. }
            | Evidence::Absent { source, .. } => (&source.artifact, &source.origin),
        })
        .collect();
    (sources.len() < 2).then_some("a destructive fix needs evidence from two independent sources")
}

#[cfg(test)]
mod tests {
    use super::parsed;
    use checks::Subject;

    #[test]
    fn the_subject_of_a_receipt_is_read_as_it_was_written() {
        for subject in [
            Subject::Cluster,
            Subject::Node("node1".into()),
            Subject::Link { from: "a".into(), to: "b".into() },
            Subject::Service("web".into()),
            Subject::Network("ingress".into()),
        ] {
            assert_eq!(parsed(&subject.to_string()), subject);
        }
    }
}
