//! Judging: every check over one snapshot, and their findings in the order in which a person should read them.

mod causes;
mod config_drift;
mod gather;
mod header;
mod map;
mod swarm;

use crate::policy::{Excuse, Policy};
use checks::{Check, Finding, Findings, Severity, Step, Str, Subject, View};
use facts::bundle::{ArtifactStatus, Manifest};
use facts::{Gap, Need, Snapshot, Source, Why};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

pub use gather::{Member, names};
pub use header::{Header, PeerAnswers};
pub use map::{Link, Map, Role, Spot};
pub use swarm::judge_swarm;

/// What the doctor has to say.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// Where, when and on what.
    pub header: Header,
    /// The swarm, as far as it is known.
    pub map: Map,
    /// What is wrong: causes, worst first, each with what follows from it.
    pub findings: Vec<Cause>,
    /// The verdict of each check, in the order of the checks.
    pub verdicts: Vec<Verdict>,
    /// What is wrong and does not count, and why.
    pub ignored: Vec<Ignored>,
    /// What is to be said of the judgment itself: what was left out, which ignores have no effect, what is unusual about nodes
    /// that were judged together.
    pub notes: Vec<String>,
    /// How long each kind of artifact took to collect.
    pub collected: BTreeMap<Need, Duration>,
    /// What to do next, where a preflight found nothing in the way.
    pub next: Vec<Step>,
}

/// A finding with what follows from it.
#[derive(Clone, Debug)]
pub struct Cause {
    /// The finding.
    pub finding: Finding,
    /// Findings that would not be there without it.
    pub consequences: Vec<Finding>,
}

/// A finding that does not count.
#[derive(Clone, Debug)]
pub struct Ignored {
    /// The finding.
    pub finding: Finding,
    /// Why it does not count.
    pub excuse: Excuse,
}

/// The result of one check.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Its id.
    pub check: Str,
    /// Its title: the problem that it detects.
    pub title: Str,
    /// What holds where it passed; empty where the check has no words for it.
    pub healthy: Str,
    /// Its status.
    pub status: Status,
    /// What it could not judge, and why.
    pub unknown: Vec<(Subject, Gap)>,
    /// How long it took.
    pub took: Duration,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It looked, and all is well.
    Healthy,
    /// The question does not arise here, or was not asked.
    Skipped,
    /// It could not look at everything it had to.
    Unknown,
    /// What it found is ignored.
    Ignored,
    /// Its worst finding is worth knowing.
    Info,
    /// Its worst finding is a warning.
    Warning,
    /// Its worst finding is an error.
    Error,
}

impl Status {
    /// The word for it, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
            Self::Ignored => "ignored",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Verdict {
    /// Whether something was left that could not be judged. A check that found something may have left something, too.
    pub fn is_open(&self) -> bool {
        self.open().next().is_some()
    }

    /// What was left that could not be judged, and why.
    pub fn open(&self) -> impl Iterator<Item = &(Subject, Gap)> {
        self.unknown.iter().filter(|(_, gap)| gap.why.leaves_open())
    }
}

impl Diagnosis {
    /// The checks that could not look at everything.
    pub fn open(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|verdict| verdict.is_open())
    }

    /// The nodes that were to be examined and were not, and why.
    pub fn not_examined(&self) -> impl Iterator<Item = &(Subject, Gap)> {
        let verdicts = self.verdicts.iter().filter(|verdict| verdict.check == crate::fleet::NOT_EXAMINED);
        verdicts.flat_map(Verdict::open)
    }

    /// How many checks ended so.
    pub fn count(&self, status: Status) -> usize {
        self.verdicts.iter().filter(|verdict| verdict.status == status).count()
    }

    /// All findings, each cause followed by its consequences.
    pub fn all_findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().flat_map(|cause| std::iter::once(&cause.finding).chain(&cause.consequences))
    }
}

/// Runs the checks that the policy asks, and those that may be the cause of what they find.
pub fn judge<'a>(
    checks: impl IntoIterator<Item = &'a dyn Check>,
    snapshot: &Snapshot,
    manifest: &Manifest,
    policy: &Policy,
) -> Diagnosis {
    let view = View { thresholds: policy.thresholds, ..View::of(snapshot) };
    let checks: Vec<&dyn Check> =
        checks.into_iter().filter(|check| policy.selection.judges(check.meta())).collect();
    let mut outs: Vec<Option<(Findings<'_>, Duration)>> = checks.iter().map(|_| None).collect();
    let mut found = Vec::new();
    for remaining in [false, true] {
        for (check, out) in checks.iter().zip(&mut outs) {
            if check.meta().remaining != remaining {
                continue;
            }
            let began = Instant::now();
            let judged = looked(*check, &view, &found);
            *out = Some((judged, began.elapsed()));
        }
        found = outs.iter().flatten().flat_map(|(out, _)| out.found.iter().cloned()).collect();
    }
    concluded(
        outs.into_iter().flatten().collect(),
        snapshot,
        header::header(snapshot, manifest),
        Map::of(snapshot),
        manifest,
        policy,
        false,
    )
}

/// The diagnosis from the findings of all checks. With several hosts, several of them may have found the same problem.
fn concluded(
    mut looked: Vec<(Findings<'_>, Duration)>,
    snapshot: &Snapshot,
    header: Header,
    map: Map,
    manifest: &Manifest,
    policy: &Policy,
    several: bool,
) -> Diagnosis {
    let mut found = Vec::new();
    let mut judged = Vec::new();
    let mut causes = Vec::new();
    for (mut out, took) in looked.drain(..) {
        out.unknown.sort();
        out.unknown.dedup();
        if let Some(severity) = policy.severities.get(out.meta.id.as_ref()) {
            out.found.iter_mut().for_each(|finding| finding.severity = *severity);
        }
        causes.push((out.meta.id.clone(), out.meta.caused_by.clone()));
        let asked = asked(&out, manifest);
        found.append(&mut out.found);
        let asked = asked && policy.selection.asks(out.meta);
        judged.push((out, asked, took));
    }
    checks::engine::name_in_effects(&mut found, snapshot);
    let decided = |id: &str| judged.iter().any(|(out, _, _)| out.meta.id == id && !leaves_open(out));
    let (excuses, mut notes) = policy.excuses(&found, manifest.taken, decided);
    let counting: Vec<bool> = excuses.iter().map(Option::is_none).collect();
    let verdicts = judged
        .iter()
        .filter(|(_, asked, _)| *asked)
        .map(|(out, _, took)| verdict(out, found.iter().zip(&counting), *took))
        .collect();
    notes.splice(0..0, policy.selection.note());
    let mut ignored: Vec<Ignored> = found
        .iter()
        .zip(excuses)
        .filter_map(|(finding, excuse)| Some(Ignored { finding: finding.clone(), excuse: excuse? }))
        .collect();
    ignored.sort_by(|one, other| {
        let key = |ignored: &Ignored| (ignored.finding.check.clone(), ignored.finding.subject.clone());
        key(one).cmp(&key(other)).then_with(|| one.finding.summary.cmp(&other.finding.summary))
    });
    let mut findings = causes::fold(found, &counting, &causes, several);
    // The cause of a selected check's finding is shown, and no other finding of unselected checks.
    let asks =
        |finding: &Finding| judged.iter().any(|(out, asked, _)| *asked && out.meta.id == finding.check);
    for cause in &mut findings {
        cause.consequences.retain(asks);
    }
    findings.retain(|cause| asks(&cause.finding) || !cause.consequences.is_empty());
    let mut collected: BTreeMap<Need, Duration> = BTreeMap::new();
    let not_asked =
        |status: &ArtifactStatus| matches!(status, ArtifactStatus::Failed { why: Why::NotAsked { .. } });
    for entry in manifest.entries.iter().filter(|entry| !not_asked(&entry.status)) {
        let took = collected.entry(entry.need).or_default();
        *took = (*took).max(Duration::from_micros(entry.took_us));
    }
    Diagnosis { header, map, findings, verdicts, ignored, notes, collected, next: Vec::new() }
}

/// What one check has to say.
fn looked<'c>(check: &'c dyn Check, view: &View<'_>, found: &[Finding]) -> Findings<'c> {
    let mut out = Findings::of(check.meta());
    // A check that panics has judged nothing, and must not take the others with it.
    if catch_unwind(AssertUnwindSafe(|| check.judge_after(view, found, &mut out))).is_err() {
        out = Findings::of(check.meta());
        out.inconclusive(Subject::Cluster, broken_check(check));
    }
    out
}

/// Whether the check is part of this run. It is not if none of its needs was collected, such as those of a preflight check in
/// a normal run. A gap inside a collected artifact counts as collected.
fn asked(out: &Findings<'_>, manifest: &Manifest) -> bool {
    let not_collected = |need: Need| {
        let mut entries = manifest.entries.iter().filter(|entry| entry.need == need);
        entries.all(|entry| matches!(&entry.status, ArtifactStatus::Failed { why: Why::NotAsked { .. } }))
    };
    let not_asked =
        |(_, gap): &(Subject, Gap)| matches!(gap.why, Why::NotAsked { .. }) && not_collected(gap.source.need);
    !out.found.is_empty() || out.unknown.is_empty() || !out.unknown.iter().all(not_asked)
}

fn leaves_open(out: &Findings<'_>) -> bool {
    out.unknown.iter().any(|(_, gap)| gap.why.leaves_open())
}

/// How a check ended, by what was found, and whether it counts.
fn verdict<'f>(
    out: &Findings<'_>,
    found: impl Iterator<Item = (&'f Finding, &'f bool)>,
    took: Duration,
) -> Verdict {
    let mut worst = None;
    let mut ignored = false;
    for (finding, counts) in found.filter(|(finding, _)| finding.check == out.meta.id) {
        worst = worst.max(counts.then_some(finding.severity));
        ignored |= !counts;
    }
    let status = match worst {
        Some(Severity::Error) => Status::Error,
        Some(Severity::Warning) => Status::Warning,
        Some(Severity::Info) => Status::Info,
        None if leaves_open(out) => Status::Unknown,
        None if ignored => Status::Ignored,
        None if !out.unknown.is_empty() => Status::Skipped,
        None => Status::Healthy,
    };
    let unknown = out.unknown.clone();
    let (title, healthy) = (out.meta.title.clone(), out.meta.healthy.clone());
    Verdict { check: out.meta.id.clone(), title, healthy, status, unknown, took }
}

fn broken_check(check: &dyn Check) -> Gap {
    let need = check.meta().needs.first().copied().unwrap_or(Need::Ping);
    let source = Source { need, artifact: check.meta().id.to_string(), origin: "the check itself".into() };
    Gap {
        source,
        why: Why::Malformed { line: 0, what: "the check panicked; this is a bug in swarm-doctor".into() },
    }
}
