//! Taking back what a receipt is for.

use super::Ground;
use super::act::Undo;
use super::file::{self, Print};
use super::journal::{Done, Event, Outcome, Receipt, Record, record, records};
use crate::report::{Tone, Voice};
use std::path::Path;

/// Takes back all that can be of what was done, the last first.
pub(super) async fn take_back(
    mut receipt: Receipt,
    ground: &Ground,
    voice: &Voice,
) -> Result<Outcome, String> {
    let Some(record) = record(&receipt.directory, &receipt.id) else {
        return Err(format!("the journal of {} cannot be read", receipt.id));
    };
    let mut outcome = Outcome::Undone;
    let left: Vec<_> = record.acts.iter().enumerate().rev().filter(|(_, done)| !done.undone).collect();
    let (last, first): (Vec<_>, Vec<_>) = left.into_iter().partition(|(_, done)| done.undo.comes_last());
    let mut turned = Vec::new();
    for (number, done) in first.into_iter().chain(last) {
        // The engine reads its configuration once, however often it was turned.
        let again = done.undo.comes_last() && turned.contains(&&done.undo);
        let taken = if again || nothing(done) {
            Ok(())
        } else {
            done.undo.carry_out(&receipt.directory, ground).await
        };
        match taken {
            Ok(()) => receipt.note(&Event::Undone { act: number })?,
            Err(why) => {
                voice.say(Tone::Bad, &format!("not taken back: {}: {why}", done.text));
                outcome = Outcome::Stuck;
            }
        }
        turned.push(&done.undo);
    }
    receipt.note(&Event::Closed { outcome })?;
    let tone = if outcome == Outcome::Undone { Tone::Good } else { Tone::Bad };
    voice.say(tone, &format!("{}: {}", receipt.id, outcome.as_str()));
    Ok(outcome)
}

/// Whether there is nothing to take back of what failed: what has no way back was refused, and a file that does not hold
/// what it was to hold was never put in its place.
fn nothing(done: &Done) -> bool {
    done.failed
        && match &done.undo {
            Undo::Final { .. } => true,
            Undo::File { path, after, .. } => {
                file::content(path).is_ok_and(|now| Print::of(now.as_deref()) != *after)
            }
            _ => false,
        }
}

/// Takes back what was interrupted, so that the next examination finds one state or the other and none between. Those
/// that were interrupted where there is no way back are given back: whether they came about has to be looked at.
pub(super) async fn recover(receipts: &Path, ground: &Ground, voice: &Voice) -> Result<Vec<Record>, String> {
    let mut past = Vec::new();
    for record in records(receipts)?.into_iter().filter(|record| record.outcome.is_none()) {
        let id = &record.id;
        if point_of_no_return(&record).is_none() {
            voice.say(Tone::Bad, &format!("an earlier fix was interrupted and is taken back first: {id}"));
            take_back(Receipt::resume(receipts, id)?, ground, voice).await?;
            continue;
        }
        voice.say(Tone::Bad, &format!("an earlier fix was interrupted where there is no way back: {id}"));
        if record.acts.iter().any(|done| done.undo.comes_last()) {
            Undo::Running.carry_out(&receipts.join(id), ground).await?;
        }
        past.push(record);
    }
    Ok(past)
}

/// What has no way back and was begun, with the reason.
fn point_of_no_return(record: &Record) -> Option<(&Done, &str)> {
    record.acts.iter().filter(|done| !done.undone && !nothing(done)).find_map(|done| match &done.undo {
        Undo::Final { why } => Some((done, why.as_str())),
        _ => None,
    })
}

/// Closes a record that was interrupted where there is no way back.
pub(super) fn close(receipts: &Path, record: &Record, outcome: Outcome, voice: &Voice) -> Result<(), String> {
    Receipt::resume(receipts, &record.id)?.note(&Event::Closed { outcome })?;
    let said = match outcome {
        Outcome::Healed => "what it was to heal is healed",
        _ => "it did not come about",
    };
    voice.say(Tone::Plain, &format!("{}: {said}", record.id));
    Ok(())
}

/// Takes back one remedy that was carried out.
pub(super) async fn undo(
    receipts: &Path,
    id: &str,
    ground: &Ground,
    voice: &Voice,
) -> Result<Outcome, String> {
    let all = records(receipts)?;
    let Some(record) = all.iter().find(|record| record.id == id) else {
        return Err(format!("there is no receipt {id:?}; `swarm-doctor history` lists them"));
    };
    if record.outcome == Some(Outcome::Undone) {
        voice.say(Tone::Plain, &format!("{id} is undone already"));
        return Ok(Outcome::Undone);
    }
    if let Some((done, why)) = point_of_no_return(record) {
        return Err(format!("{id} cannot be taken back: {}: {why}", done.text));
    }
    take_back(Receipt::resume(receipts, id)?, ground, voice).await
}
