//! Applying operations one after the other, and rolling them back. Nothing here asks a person or runs a check.

use super::FixContext;
use super::error::{FixError, Result};
use super::journal::{Event, Outcome, Receipt, Record, RecordedStep, StepState};
use super::ops::{Operation, Reversal, start_engine};
use std::path::Path;

/// Messages while a fix runs.
pub(super) trait Progress {
    /// An operation begins.
    fn step(&self, text: &str);
    /// Something failed.
    fn problem(&self, text: &str);
}

/// Applies all operations in order. Each is recorded before it begins, with the state that it replaces.
///
/// # Errors
/// At the first that fails, or after a signal; the caller rolls back.
pub(super) async fn apply_all(
    operations: &mut [Operation],
    receipt: &mut Receipt<'_>,
    context: &FixContext<'_>,
    progress: &dyn Progress,
) -> Result<()> {
    for (index, operation) in operations.iter_mut().enumerate() {
        context.ensure_not_interrupted().await?;
        operation.save(receipt, context)?;
        receipt.note(&Event::Applying { operation: Box::new(operation.clone()) })?;
        progress.step(&operation.describe());
        if let Err(error) = operation.apply(&receipt.directory, context).await {
            // The first error is the one that counts.
            drop(receipt.note(&Event::Failed { why: error.to_string() }));
            // An operation that was refused changed nothing, so there is nothing of it to roll back.
            if matches!(error, FixError::Refused(_) | FixError::Changed { .. }) {
                drop(receipt.note(&Event::Reverted { index }));
            }
            return Err(error);
        }
        receipt.note(&Event::Applied)?;
    }
    Ok(())
}

/// Rolls back everything that was applied, the last operation first. It goes on where the journal cannot be written or an
/// operation cannot be reverted, and leaves dockerd running.
pub(super) async fn roll_back(
    receipt: &mut Receipt<'_>,
    context: &FixContext<'_>,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let record = receipt.record()?;
    let mut outcome = Outcome::RolledBack;
    let mut journal = Ok(());
    let steps = record.steps.iter().enumerate().rev().filter(|(_, step)| step.state != StepState::Reverted);
    let (last, first): (Vec<_>, Vec<_>) =
        steps.partition(|(_, step)| step.operation.reversal() == Reversal::RevertLast);
    let mut engine_started = false;
    for (index, step) in first.into_iter().chain(last) {
        let reversal = step.operation.reversal();
        let result = match reversal {
            Reversal::Unneeded => Ok(()),
            // dockerd reads its configuration once, however often it was stopped.
            Reversal::RevertLast if engine_started => Ok(()),
            Reversal::Impossible(why) if took_effect(step, context).await => {
                Err(FixError::Refused(why.to_owned()))
            }
            _ => step.operation.revert(&receipt.directory, context).await,
        };
        engine_started |= reversal == Reversal::RevertLast;
        match result {
            Ok(()) => journal = journal.and(receipt.note(&Event::Reverted { index })),
            Err(error) => {
                progress.problem(&format!("Not rolled back: {}: {error}", step.operation.describe()));
                outcome = Outcome::PartlyRolledBack;
            }
        }
    }
    let closed = Event::Closed { outcome, identity: context.system.identity().await };
    if let Err(error) = journal.and(receipt.note(&closed)) {
        progress.problem(&format!("The journal of {} is incomplete: {error}", receipt.id));
    }
    Ok(outcome)
}

/// Whether an operation took effect; true where that cannot be seen.
async fn took_effect(step: &RecordedStep, context: &FixContext<'_>) -> bool {
    step.state == StepState::Applied || step.operation.is_applied(context).await.unwrap_or(true)
}

impl Record {
    /// The operation that cannot be reverted and took effect, with the reason.
    pub(super) async fn irreversible(&self, context: &FixContext<'_>) -> Option<(&Operation, &'static str)> {
        for step in self.steps.iter().filter(|step| step.state != StepState::Reverted) {
            if let Reversal::Impossible(why) = step.operation.reversal()
                && took_effect(step, context).await
            {
                return Some((&step.operation, why));
            }
        }
        None
    }

    /// Whether an operation was begun that cannot be reverted once it took effect.
    pub(super) fn may_be_irreversible(&self) -> bool {
        let impossible = |step: &RecordedStep| matches!(step.operation.reversal(), Reversal::Impossible(_));
        self.steps.iter().any(|step| step.state != StepState::Reverted && impossible(step))
    }

    /// Whether nothing has to be rolled back.
    pub(super) fn needs_no_undo(&self) -> bool {
        let leaves_nothing = |reversal| matches!(reversal, Reversal::Unneeded | Reversal::RevertLast);
        self.steps.iter().all(|step| leaves_nothing(step.operation.reversal()))
    }

    /// Whether all planned operations took effect, although the fix was interrupted.
    pub(super) async fn is_complete(&self, context: &FixContext<'_>) -> bool {
        if self.steps.len() < self.begun.operations {
            return false;
        }
        for step in &self.steps {
            let effective = match step.state {
                StepState::Applied => true,
                StepState::Begun => step.operation.is_applied(context).await.unwrap_or(false),
                StepState::Failed | StepState::Reverted => false,
            };
            if !effective {
                return false;
            }
        }
        true
    }
}

/// What an interrupted fix is found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interrupted {
    /// It was incomplete and has been rolled back.
    RolledBack(Outcome),
    /// All operations took effect, or one that cannot be reverted was begun: the check has to run again.
    ToVerify,
}

/// Brings an interrupted fix into the old or the new state.
pub(super) async fn recover(
    receipts: &Path,
    record: &Record,
    context: &FixContext<'_>,
    progress: &dyn Progress,
) -> Result<Interrupted> {
    let stopped = record.steps.iter().any(|step| step.operation.reversal() == Reversal::RevertLast);
    if stopped && record.may_be_irreversible() {
        // Only the engine knows whether it took effect. If it does not start, the operation counts as applied.
        drop(start_engine(context).await);
    }
    if record.is_complete(context).await || record.irreversible(context).await.is_some() {
        if stopped {
            start_engine(context).await?;
        }
        return Ok(Interrupted::ToVerify);
    }
    let mut receipt = Receipt::resume(receipts, &record.id, context.system)?;
    Ok(Interrupted::RolledBack(roll_back(&mut receipt, context, progress).await?))
}

/// Closes a receipt.
pub(super) async fn close(
    receipts: &Path,
    record: &Record,
    outcome: Outcome,
    context: &FixContext<'_>,
) -> Result<()> {
    let identity = context.system.identity().await;
    let mut receipt = Receipt::resume(receipts, &record.id, context.system)?;
    receipt.note(&Event::Closed { outcome, identity })
}

/// Refuses to go on with a fix of another host.
pub(super) async fn ensure_same_host(record: &Record, context: &FixContext<'_>) -> Result<()> {
    let now = context.system.identity().await;
    if now.machine_id == record.begun.identity.machine_id {
        return Ok(());
    }
    Err(FixError::Refused(format!("the receipt {} was made on another host", record.id)))
}

/// Refuses to revert on another host or engine, or where the node belongs to another swarm since.
pub(super) async fn ensure_same_engine(record: &Record, context: &FixContext<'_>) -> Result<()> {
    let now = context.system.identity().await;
    let then = record.closed.as_ref().map_or(&record.begun.identity, |(_, identity)| identity);
    let refused = |what: &str| Err(FixError::Refused(format!("{} cannot be undone: {what}", record.id)));
    if now.machine_id != then.machine_id {
        return refused("it was made on another host");
    }
    if !record.steps.iter().any(|step| step.operation.needs_engine()) {
        return Ok(());
    }
    match (&now.node_id, &then.node_id) {
        // Whether it is in a swarm is unknown, and a state must not be replaced unseen.
        (None, _) => refused("the engine does not answer, so its swarm membership is unknown"),
        (Some(now), Some(then)) if now != then => {
            refused("this node left or joined a swarm since; its present state would be lost")
        }
        _ if now.cluster_id != then.cluster_id
            && now.cluster_id.as_deref().is_some_and(|id| !id.is_empty())
            && then.cluster_id.as_deref().is_some_and(|id| !id.is_empty()) =>
        {
            refused("this node belongs to another swarm since; its present state would be lost")
        }
        _ => Ok(()),
    }
}
