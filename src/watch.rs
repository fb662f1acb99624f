//! Running more than once: until a run passes, or until it is interrupted.

use crate::error::ExpectedError;
use crate::exit::ExitCode;
use crate::judge::Diagnosis;
use crate::policy::Policy;
use crate::report::{Console, MessageKind};
use checks::{Finding, Severity};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The pause between two runs of `--wait`.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs until one passes or the time is over, and prints why it waits. The last run is returned.
pub async fn wait(
    examine: impl AsyncFn() -> Result<Diagnosis, ExpectedError>,
    policy: &Policy,
    limit: Duration,
    console: &Console,
) -> Result<Diagnosis, ExpectedError> {
    let began = Instant::now();
    let mut printed = None;
    loop {
        let diagnosis = examine().await?;
        let left = limit.saturating_sub(began.elapsed());
        if ExitCode::of(&diagnosis, policy.fail_on, policy.allow_unknown) == ExitCode::Healthy
            || left.is_zero()
        {
            return Ok(diagnosis);
        }
        let why = fails(&diagnosis);
        if printed.as_ref() != Some(&why) {
            console.say(MessageKind::Plain, &format!("Waiting, {} s left: {why}", left.as_secs()));
            printed = Some(why);
        }
        sleep(PAUSE.min(left)).await;
    }
}

/// Why the run fails, in one line.
fn fails(diagnosis: &Diagnosis) -> String {
    let mut worst = diagnosis.findings.iter().map(|cause| &cause.finding);
    if let Some(first) = worst.next().filter(|_| worst_of(diagnosis) > Some(Severity::Info)) {
        let more = diagnosis.all_findings().count() - 1;
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        return format!("{} on {}{more}", first.check, first.subject);
    }
    let mut open =
        diagnosis.verdicts.iter().flat_map(|verdict| verdict.open().map(move |(_, gap)| (verdict, gap)));
    open.next()
        .map(|(verdict, gap)| format!("{} is incomplete: {}", verdict.check, gap.why))
        .unwrap_or_default()
}

fn worst_of(diagnosis: &Diagnosis) -> Option<Severity> {
    diagnosis.all_findings().map(|finding| finding.severity).max()
}

/// Runs at an interval. `report` gets every run but the first, with the changes since the one before.
pub async fn watch(
    examine: impl AsyncFn() -> Result<Diagnosis, ExpectedError>,
    first: Diagnosis,
    every: Duration,
    mut report: impl FnMut(&Diagnosis, &[(MessageKind, String)]) -> Result<(), ExpectedError>,
) -> Result<ExitCode, ExpectedError> {
    let mut before = first;
    loop {
        sleep(every).await;
        let now = examine().await?;
        report(&now, &changes(&before, &now))?;
        before = now;
    }
}

/// The identity of a finding: its check, its subject, and its number among those with the same two.
type Key = (String, String, usize);

fn keyed(diagnosis: &Diagnosis) -> BTreeMap<Key, &Finding> {
    let mut keyed = BTreeMap::new();
    for finding in diagnosis.all_findings() {
        let mut key = (finding.check.to_string(), finding.subject.to_string(), 0);
        while keyed.contains_key(&key) {
            key.2 += 1;
        }
        keyed.insert(key, finding);
    }
    keyed
}

/// The changes from one run to the next: new and resolved findings, other severities, and checks that became incomplete
/// or complete.
fn changes(before: &Diagnosis, now: &Diagnosis) -> Vec<(MessageKind, String)> {
    let at = now.header.taken.strftime("%H:%M:%S");
    let (old, new) = (keyed(before), keyed(now));
    let mut changes = Vec::new();
    for (key, finding) in &new {
        let named = format!("{} · {} · {}", finding.severity.as_str(), finding.check, finding.subject);
        match old.get(key) {
            None => changes.push((MessageKind::Bad, format!("{at} + {named}: {}", finding.summary))),
            Some(old) if old.severity != finding.severity => {
                changes.push((MessageKind::Bad, format!("{at} ~ {named}, was {}", old.severity.as_str())));
            }
            Some(_) => {}
        }
    }
    for (key, finding) in old.iter().filter(|(key, _)| !new.contains_key(*key)) {
        changes.push((MessageKind::Good, format!("{at} - {} · {} is resolved", finding.check, key.1)));
    }
    let open = |diagnosis: &Diagnosis| -> BTreeMap<String, String> {
        let gaps = diagnosis.verdicts.iter().filter_map(|verdict| {
            let (_, gap) = verdict.open().next()?;
            Some((verdict.check.to_string(), gap.why.to_string()))
        });
        gaps.collect()
    };
    let (old, new) = (open(before), open(now));
    for (check, why) in new.iter().filter(|(check, _)| !old.contains_key(*check)) {
        changes.push((MessageKind::Plain, format!("{at} ? {check} is incomplete: {why}")));
    }
    for check in old.keys().filter(|check| !new.contains_key(*check)) {
        changes.push((MessageKind::Plain, format!("{at} ? {check} is complete again")));
    }
    changes
}
