//! Undoing a fix: with the same levels, the same confirmation and the same refusals as the fix.

use super::consent::{Consent, Permission};
use super::error::{FixError, Result};
use super::journal::{self, Outcome, Receipt, Record, StepState};
use super::ops::Reversal;
use super::run::{self, Progress};
use super::{FixContext, Level};
use std::path::Path;

/// What was decided about an undo.
pub(super) enum Decision {
    /// There is nothing to do, and why.
    Nothing(String),
    /// It may go on after this consent; what it would do, the last operation first.
    Ready { record: Box<Record>, level: Level, lines: Vec<String> },
}

/// What undoing a receipt would do here.
///
/// # Errors
/// Where it is refused.
pub(super) async fn plan(receipts: &Path, id: &str, context: &FixContext<'_>) -> Result<Decision> {
    let record = find(receipts, id, context)?;
    if let Some((Outcome::RolledBack, _)) = record.closed {
        return Ok(Decision::Nothing(format!("{id} is rolled back already.")));
    }
    if let Some((operation, why)) = record.irreversible(context).await {
        return Err(FixError::Refused(format!("{id} cannot be undone: {}: {why}", operation.describe())));
    }
    if record.needs_no_undo() && record.closed.is_some() {
        return Ok(Decision::Nothing(format!("{id} has nothing to undo.")));
    }
    run::ensure_same_engine(&record, context).await?;
    let pending: Vec<_> =
        record.steps.iter().rev().filter(|step| step.state != StepState::Reverted).collect();
    let reverted = |reversal| matches!(reversal, Reversal::Revert | Reversal::RevertLast);
    let operations: Vec<_> = pending
        .iter()
        .map(|step| &step.operation)
        .filter(|operation| reverted(operation.reversal()))
        .collect();
    let level = operations.iter().map(|operation| operation.level()).max().unwrap_or(Level::Safe);
    let lines = operations.iter().map(|operation| operation.describe_revert()).collect();
    Ok(Decision::Ready { record: Box::new(record), level, lines })
}

/// The receipt with this id.
fn find(receipts: &Path, id: &str, context: &FixContext<'_>) -> Result<Record> {
    let all = journal::records(receipts, context.system)?;
    let found = all.into_iter().find(|(name, _)| name == id).map(|(_, record)| record);
    found.unwrap_or_else(|| {
        Err(FixError::Refused(format!("there is no receipt {id:?}; list them with: swarm-doctor history")))
    })
}

/// Whether the undo may be applied.
pub(super) fn consent(
    record: &Record,
    level: Level,
    permission: Permission<'_>,
    context: &FixContext<'_>,
) -> Consent {
    permission.consent(level, &record.id, &context.here, context.cluster.as_deref(), "--level ")
}

/// Undoes it.
///
/// # Errors
/// Where the journal cannot be read.
pub(super) async fn apply(
    receipts: &Path,
    record: &Record,
    context: &FixContext<'_>,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let mut receipt = Receipt::resume(receipts, &record.id, context.system)?;
    run::roll_back(&mut receipt, context, progress).await
}
