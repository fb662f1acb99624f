//! Making faults, one after the other in each of a few labs, and judging what is said of them.

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
use crate::words::Words;

/// How long a fault may take to show where its file does not say.
const WITHIN: u64 = 75;
/// How long to look for a fault that is known not to show.
const OWED_WITHIN: u64 = 6;
/// How often, and how far apart, silence has to be seen before it counts.
const SILENCE: (u32, Duration) = (3, Duration::from_secs(2));
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(300);

/// What the faults are made with.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The program under test.
    pub doctor: PathBuf,
    /// The engines, dealt out to the nodes in turn; the host's own where none is named.
    pub engines: Vec<String>,
    /// How many labs are up at once.
    pub jobs: usize,
    /// Whether what has a remedy is fixed and unfixed, too.
    pub fix: bool,
}

/// What was said of one fault on one node.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The fault.
    pub fault: String,
    /// Where the doctor ran, and what of it.
    pub from: String,
    /// What was expected.
    pub expected: String,
    /// Where that came out, from 1.
    pub rank: Option<usize>,
    /// Findings that are neither expected nor consequences.
    pub others: Vec<String>,
    /// How it ended.
    pub verdict: Verdict,
    /// What became of fixing it, where that was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed: Option<Fixed>,
    /// How long the fault took from the first step to this verdict.
    pub seconds: f64,
}

/// How a fault ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "why", rename_all = "kebab-case")]
pub enum Verdict {
    /// It was said first, or silence was kept.
    Named,
    /// It was not, or not in the words that were expected.
    Missed(String),
    /// It was, and with it what is not so.
    FalseAlarm,
    /// It is known not to show yet.
    Owed(String),
    /// It was named, and its fix did not do what it has to.
    NotFixed(String),
    /// A finding was left after it was undone.
    NotHealed(String),
    /// The fault could not be made.
    Broken(String),
    /// These engines do not know the fault.
    Skipped,
}

impl Verdict {
    /// Whether the bench has failed by it.
    #[must_use]
    pub fn fails(&self) -> bool {
        !matches!(self, Self::Named | Self::Owed(_) | Self::Skipped)
    }
}

impl Bench {
    /// Makes all these faults. `progress` gets each outcome as it comes; they are given back in the order of the
    /// faults.
    pub fn run(&self, faults: Vec<Fault>, progress: impl Fn(&Outcome) + Sync) -> Vec<Outcome> {
        let mut waiting: Vec<_> = faults.into_iter().enumerate().collect();
        // Those that share a swarm come together, and those that spoil it come last.
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

    /// Makes one fault, in the lab that is there where that fits.
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
        match self.knows(fault) {
            Ok(true) => {}
            Ok(false) => return vec![outcome(&fault.expect[0], Match::default(), Verdict::Skipped)],
            Err(error) => return broken(&error),
        }
        if scene.as_ref().is_none_or(|scene| scene.swarm != fault.swarm) {
            // The old lab goes before the new one comes.
            drop(scene.take());
            match Scene::up(fault.swarm, &self.engines, &self.doctor) {
                Ok(up) => *scene = Some(up),
                Err(error) => return broken(&error),
            }
        }
        let Some(mut stage) = scene.take() else { return Vec::new() };
        let mut words = stage.words(fault);
        if let Err(error) = stage.perform(&fault.make, &mut words) {
            return broken(&error);
        }
        let mut outcomes = Vec::new();
        for expect in &fault.expect {
            let (matched, mut verdict) = judge(&stage, fault, expect, &words);
            let mut fixed = None;
            if let (Some(fix), true, Verdict::Named) = (&expect.fix, self.fix, &verdict) {
                match fix.prove(&stage, expect, &words) {
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
            .and_then(|()| stage.perform(&fault.undo, &mut words))
            .and_then(|()| stage.wait_for_health());
        match undone {
            Ok(()) => *scene = Some(stage),
            Err(error) => {
                let verdict = Verdict::NotHealed(format!("{error:#}"));
                outcomes.push(outcome(&fault.expect[0], Match::default(), verdict));
            }
        }
        outcomes
    }

    fn knows(&self, fault: &Fault) -> Result<bool> {
        let host = Engine::host().context("there is no engine here")?;
        let mine: Vec<&str> = match self.engines.as_slice() {
            [] => vec![host.version()],
            engines => engines.iter().map(String::as_str).collect(),
        };
        Ok(fault.engines.is_empty() || mine.iter().all(|engine| fault.engines.iter().any(|e| e == engine)))
    }
}

/// The next fault: one that fits the lab that is there, else the first.
fn next(waiting: &Mutex<Vec<(usize, Fault)>>, scene: Option<&Scene>) -> Option<(usize, Fault)> {
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let fits = |(_, fault): &(usize, Fault)| scene.is_some_and(|scene| scene.swarm == fault.swarm);
    let at = waiting.iter().position(fits).unwrap_or(0);
    (!waiting.is_empty()).then(|| waiting.remove(at))
}

/// Runs the doctor until it says what is expected, or the time is up.
fn judge(scene: &Scene, fault: &Fault, expect: &Expect, words: &Words) -> (Match, Verdict) {
    let Some(node) = scene.lab.nodes().iter().find(|node| node.name() == expect.from) else {
        return (Match::default(), Verdict::Broken(format!("there is no node {}", expect.from)));
    };
    let arguments: Vec<String> = expect.run.iter().map(|word| words.put_into(word)).collect();
    let within = if fault.owed.is_some() { OWED_WITHIN } else { expect.within.unwrap_or(WITHIN) };
    let deadline = Instant::now() + Duration::from_secs(within);
    let needed = if expect.silent { SILENCE.0 } else { 1 };
    let mut seen = 0;
    loop {
        let matched = match Report::of(node, &arguments) {
            Ok(report) => report.against(expect, words),
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
