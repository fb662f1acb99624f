//! Injecting faults, one at a time in each of several labs, and comparing the reports with the expectations.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lab::Engine;
use serde::Serialize;

use crate::fault::{Expect, Fault};
use crate::fix::Fixed;
use crate::report::{Match, Report};
use crate::scene::Scene;
use crate::variables::Variables;

/// Default time limit for a fault to be reported, in seconds.
const WITHIN: u64 = 75;
/// Time limit for a fault that is known not to be reported yet, in seconds.
const OWED_WITHIN: u64 = 6;
/// Number of consecutive runs without findings that count as silence, and the pause between them.
const SILENCE: (u32, Duration) = (3, Duration::from_secs(2));
/// Pause between two runs.
const PAUSE: Duration = Duration::from_millis(300);

/// The settings of the bench.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The program under test.
    pub doctor: PathBuf,
    /// Engines, assigned to the nodes round-robin; if empty, the engine installed on this host.
    pub engines: Vec<String>,
    /// Number of labs at the same time.
    pub jobs: usize,
    /// Apply and undo fixes as well.
    pub fix: bool,
}

/// The result of one expectation of a fault.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Name of the fault.
    pub fault: String,
    /// The node where the doctor ran, with its arguments.
    pub from: String,
    /// The expected check and subject, or `silence`.
    pub expected: String,
    /// Position of the expected finding, from 1.
    pub rank: Option<usize>,
    /// Findings that are neither expected nor consequences.
    pub others: Vec<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// The result of its fix; `None` if none was applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed: Option<Fixed>,
    /// Duration from the first step to this verdict.
    pub seconds: f64,
}

/// The verdict on one expectation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "why", rename_all = "kebab-case")]
pub enum Verdict {
    /// The expected finding was the first one, or there was none as expected.
    Named,
    /// The expected finding was absent, not the first one, or without an expected text.
    Missed(String),
    /// There were other findings as well.
    FalseAlarm,
    /// Known not to be reported yet.
    Owed(String),
    /// The finding was correct, and its fix failed.
    NotFixed(String),
    /// A finding remained after the fault was undone.
    NotResolved(String),
    /// The fault could not be injected.
    Broken(String),
    /// The fault does not exist with these engines.
    Skipped,
}

impl Verdict {
    /// Whether this verdict fails the bench.
    #[must_use]
    pub fn fails(&self) -> bool {
        !matches!(self, Self::Named | Self::Owed(_) | Self::Skipped)
    }
}

impl Bench {
    /// Runs all faults. `progress` receives each outcome at once; the result is in the order of the faults.
    pub fn run(&self, faults: Vec<Fault>, progress: impl Fn(&Outcome) + Sync) -> Vec<Outcome> {
        let mut waiting: Vec<_> = faults.into_iter().enumerate().collect();
        // Faults with the same swarm share a lab; faults that leave it unusable run last.
        waiting.sort_by_key(|(number, fault)| (fault.swarm, fault.fresh, *number));
        let waiting = Mutex::new(waiting);
        let done = Mutex::new(Vec::new());
        let work = || {
            let mut scene = None;
            while let Some((number, fault)) = next(&waiting, scene.as_ref()) {
                let outcomes = self.one(&fault, &mut scene);
                outcomes.iter().for_each(&progress);
                done.lock().unwrap_or_else(PoisonError::into_inner).push((number, outcomes));
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                scope.spawn(work);
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(number, _)| *number);
        done.into_iter().flat_map(|(_, outcomes)| outcomes).collect()
    }

    /// Runs one fault, in the current lab if its swarm has the right size.
    fn one(&self, fault: &Fault, scene: &mut Option<Scene>) -> Vec<Outcome> {
        let began = Instant::now();
        let outcome = |expect: &Expect, matched: Match, verdict| Outcome {
            fault: fault.name.clone(),
            from: [std::slice::from_ref(&expect.from), &expect.run].concat().join(" "),
            expected: match (&expect.check, &expect.subject) {
                (Some(check), Some(subject)) => format!("{check} on {subject}"),
                (Some(check), None) => check.clone(),
                (None, _) => "silence".to_owned(),
            },
            rank: matched.rank,
            others: matched.others,
            verdict,
            fixed: None,
            seconds: began.elapsed().as_secs_f64(),
        };
        let broken = |error: &anyhow::Error| {
            vec![outcome(&fault.expect[0], Match::default(), Verdict::Broken(format!("{error:#}")))]
        };
        match self.supports(fault) {
            Ok(true) => {}
            Ok(false) => return vec![outcome(&fault.expect[0], Match::default(), Verdict::Skipped)],
            Err(error) => return broken(&error),
        }
        if scene.as_ref().is_none_or(|scene| scene.swarm != fault.swarm) {
            // Take the old lab down before the new one starts.
            drop(scene.take());
            match Scene::up(fault.swarm, &self.engines, &self.doctor) {
                Ok(up) => *scene = Some(up),
                Err(error) => return broken(&error),
            }
        }
        let Some(mut stage) = scene.take() else { return Vec::new() };
        let mut variables = stage.variables(fault);
        if let Err(error) = stage.perform(&fault.make, &mut variables) {
            return broken(&error);
        }
        let mut outcomes = Vec::new();
        for expect in &fault.expect {
            let (matched, mut verdict) = judge(&stage, fault, expect, &variables);
            let mut fixed = None;
            if let (Some(fix), true, Verdict::Named) = (&expect.fix, self.fix, &verdict) {
                match fix.verify(&stage, expect, &variables) {
                    Ok(done) => fixed = Some(done),
                    Err(error) => verdict = Verdict::NotFixed(format!("{error:#}")),
                }
            }
            outcomes.push(Outcome { fixed, ..outcome(expect, matched, verdict) });
        }
        let last = fault.expect.iter().filter_map(|expect| expect.fix.as_ref()).any(|fix| fix.last);
        if fault.fresh || (self.fix && last) {
            return outcomes;
        }
        let undone = stage
            .end_spawned()
            .and_then(|()| stage.perform(&fault.undo, &mut variables))
            .and_then(|()| stage.wait_for_health());
        match undone {
            Ok(()) => *scene = Some(stage),
            Err(error) => {
                let verdict = Verdict::NotResolved(format!("{error:#}"));
                outcomes.push(outcome(&fault.expect[0], Match::default(), verdict));
            }
        }
        outcomes
    }

    fn supports(&self, fault: &Fault) -> Result<bool> {
        let host = Engine::host().context("there is no engine here")?;
        let used: Vec<&str> = match self.engines.as_slice() {
            [] => vec![host.version()],
            engines => engines.iter().map(String::as_str).collect(),
        };
        Ok(fault.engines.is_empty() || used.iter().all(|engine| fault.engines.iter().any(|e| e == engine)))
    }
}

/// The next fault: the first that fits the current lab, else the first.
fn next(waiting: &Mutex<Vec<(usize, Fault)>>, scene: Option<&Scene>) -> Option<(usize, Fault)> {
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let fits = |(_, fault): &(usize, Fault)| scene.is_some_and(|scene| scene.swarm == fault.swarm);
    let at = waiting.iter().position(fits).unwrap_or(0);
    (!waiting.is_empty()).then(|| waiting.remove(at))
}

/// Runs the doctor until its report matches the expectation, or until the time limit.
fn judge(scene: &Scene, fault: &Fault, expect: &Expect, variables: &Variables) -> (Match, Verdict) {
    let Some(node) = scene.lab.nodes().iter().find(|node| node.name() == expect.from) else {
        return (Match::default(), Verdict::Broken(format!("there is no node {}", expect.from)));
    };
    let arguments: Vec<String> = expect.run.iter().map(|word| variables.substitute(word)).collect();
    let within = if fault.owed.is_some() { OWED_WITHIN } else { expect.within.unwrap_or(WITHIN) };
    let deadline = Instant::now() + Duration::from_secs(within);
    let needed = if expect.silent { SILENCE.0 } else { 1 };
    let mut seen = 0;
    loop {
        let matched = match Report::of(node, &arguments) {
            Ok(report) => report.against(expect, variables),
            Err(error) => Match { wrong: vec![format!("{error:#}")], ..Match::default() },
        };
        seen = if matched.holds() { seen + 1 } else { 0 };
        if seen == needed {
            return (matched, Verdict::Named);
        }
        if Instant::now() >= deadline {
            let verdict = match (&fault.owed, matched.wrong.as_slice()) {
                (Some(owed), _) if matched.others.is_empty() => Verdict::Owed(owed.clone()),
                (_, []) => Verdict::FalseAlarm,
                (_, wrong) => Verdict::Missed(wrong.join("; ")),
            };
            return (matched, verdict);
        }
        thread::sleep(if seen > 0 { SILENCE.1 } else { PAUSE });
    }
}
