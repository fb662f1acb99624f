//! What a fix would do about a finding here, and what it has to leave to others.

use super::level::Level;
use super::swarm::Verb;
use crate::judge::Diagnosis;
use checks::{Finding, Risk, Step};
use facts::NodeName;

/// A remedy as far as this node is concerned.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it is for.
    pub finding: Finding,
    /// What is done here, in order.
    pub here: Vec<Step>,
    /// What is left for other nodes, or for a person.
    pub rest: Vec<Step>,
}

impl Plan {
    /// What is to be done about each cause, the first one first.
    pub fn all(diagnosis: &Diagnosis, here: &NodeName) -> Vec<Self> {
        diagnosis.findings.iter().map(|cause| Self::of(&cause.finding, here)).collect()
    }

    fn of(finding: &Finding, here: &NodeName) -> Self {
        let mut steps = finding.remedy.iter().flat_map(|remedy| remedy.steps.clone()).collect::<Vec<_>>();
        // The last resort stands behind what would be better, and is not part of it.
        let last_resort = |step: &Step| matches!(step, Step::ForceNewCluster { node, .. } if node.is(here));
        if let Some(at) = steps.iter().position(last_resort) {
            let step = steps.remove(at);
            return Self { finding: finding.clone(), here: vec![step], rest: steps };
        }
        let done = |step: &&Step| step.target().is(here) && !matches!(step, Step::Manual { .. });
        let count = steps.iter().take_while(done).count();
        let rest = steps.split_off(count);
        // Half of what belongs together on one node would leave it between the two.
        match rest.iter().any(|step| step.target().is(here)) {
            true => Self { finding: finding.clone(), here: Vec::new(), rest: [steps, rest].concat() },
            false => Self { finding: finding.clone(), here: steps, rest },
        }
    }

    /// The check and whom its finding is about.
    pub fn key(&self) -> (String, String) {
        (self.finding.check.to_string(), self.finding.subject.to_string())
    }

    /// Why its finding does not count as healed, by a diagnosis made afterwards. Not to know is not to be healed.
    pub fn still_found(&self, diagnosis: &Diagnosis) -> Option<String> {
        let (check, subject) = (&self.finding.check, &self.finding.subject);
        let same = |finding: &&Finding| finding.check == *check && finding.subject == *subject;
        if let Some(finding) = diagnosis.all_findings().find(same) {
            return Some(format!("{check} still says: {}", finding.summary));
        }
        let verdict = diagnosis.verdicts.iter().find(|verdict| verdict.check == *check)?;
        let mut open = verdict.open().filter(|(of, _)| of.overlaps(subject));
        open.next().map(|(_, gap)| format!("{check} could not tell afterwards: {}", gap.why))
    }

    /// Whether something in it has no way back.
    pub fn is_final(&self) -> bool {
        self.here.iter().filter_map(Verb::of).any(|verb| verb.last().is_some())
    }

    /// Whether other nodes have a part in it that is as necessary.
    pub fn is_shared(&self) -> bool {
        self.rest.iter().any(|step| matches!(step, Step::Leave { .. } | Step::Join { .. }))
    }

    /// How much it may hurt.
    pub fn level(&self) -> Level {
        self.here.iter().map(Level::of).fold(self.least(), Level::max)
    }

    /// The part of it that stays within a level: what hurts more, and what comes behind it, is left to others. Where
    /// nothing stays, the plan is as it was.
    pub fn within(mut self, level: Level) -> Self {
        let count = self.here.iter().take_while(|step| Level::of(step) <= level).count();
        if count > 0 && self.least() <= level {
            let left = self.here.split_off(count);
            self.rest = [left, self.rest].concat();
        }
        self
    }

    /// What it weighs however harmless its steps are.
    pub(super) fn least(&self) -> Level {
        match self.finding.remedy.as_ref().map(|remedy| remedy.risk) {
            Some(Risk::Destructive) => Level::Destructive,
            Some(Risk::Manual) => Level::Disruptive,
            _ => Level::Safe,
        }
    }
}
