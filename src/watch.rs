//! Looking more than once: until all is well, or for as long as somebody watches.

use crate::error::ExpectedError;
use crate::exit::ExitCode;
use crate::judge::Diagnosis;
use crate::policy::Policy;
use crate::report::{Console, MessageKind};
use checks::{Finding, Severity};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The pause between two looks of one who waits.
const PAUSE: Duration = Duration::from_secs(1);

/// Looks until nothing fails the run, or the time is up, and says what it is that is waited for. The last look counts.
pub async fn wait(
    look: impl AsyncFn() -> Result<Diagnosis, ExpectedError>,
    policy: &Policy,
    limit: Duration,
    console: &Console,
) -> Result<Diagnosis, ExpectedError> {
    let began = Instant::now();
    let mut said = None;
    loop {
        let diagnosis = look().await?;
        let left = limit.saturating_sub(began.elapsed());
        if ExitCode::of(&diagnosis, policy.fail_on, policy.allow_unknown) == ExitCode::Healthy
            || left.is_zero()
        {
            return Ok(diagnosis);
        }
        let why = fails(&diagnosis);
        if said.as_ref() != Some(&why) {
            console.say(MessageKind::Plain, &format!("Waiting, {} s left: {why}", left.as_secs()));
            said = Some(why);
        }
        sleep(PAUSE.min(left)).await;
    }
}

/// Why it is not well yet, in one sentence.
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
        .map(|(verdict, gap)| format!("{} cannot tell: {}", verdict.check, gap.why))
        .unwrap_or_default()
}

fn worst_of(diagnosis: &Diagnosis) -> Option<Severity> {
    diagnosis.all_findings().map(|finding| finding.severity).max()
}

/// Looks again and again, and says what changed since the look before. `looked` is handed every look but the first.
pub async fn watch(
    look: impl AsyncFn() -> Result<Diagnosis, ExpectedError>,
    first: Diagnosis,
    every: Duration,
    mut looked: impl FnMut(&Diagnosis, &[(MessageKind, String)]) -> Result<(), ExpectedError>,
) -> Result<ExitCode, ExpectedError> {
    let mut before = first;
    loop {
        sleep(every).await;
        let now = look().await?;
        looked(&now, &changes(&before, &now))?;
        before = now;
    }
}

/// What tells one finding from another: its check, its subject, and how many of them came before it.
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

/// What changed from one look to the next: what came, what went, what weighs more or less, what cannot be told any more.
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
        changes.push((MessageKind::Good, format!("{at} - {} · {} is no longer found", finding.check, key.1)));
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
        changes.push((MessageKind::Plain, format!("{at} ? {check} cannot tell any more: {why}")));
    }
    for check in old.keys().filter(|check| !new.contains_key(*check)) {
        changes.push((MessageKind::Plain, format!("{at} ? {check} can tell again")));
    }
    changes
}
