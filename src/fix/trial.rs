//! Applying and rolling back remedies on any [`System`], without a dialogue and with the operations themselves as the check.

use super::error::{FixError, Result};
use super::journal::{Begun, Event, Outcome, Receipt, records};
use super::ops::Planned;
use super::run::{self, Interrupted, Progress};
use super::system::System;
use super::{FixContext, Interrupts};
use crate::collect::Secret;
use checks::Step;
use facts::NodeName;
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// A trial on a system.
pub struct Trial<'a> {
    system: &'a dyn System,
    receipts: PathBuf,
    token: String,
    interrupts: Interrupts,
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The steps need no operation here.
    Nothing,
    /// All operations took effect.
    Applied,
    /// All operations were rolled back.
    RolledBack,
    /// Some operations could not be rolled back.
    PartlyRolledBack,
    /// An operation that cannot be rolled back was begun and did not take effect.
    NotFixed,
}

#[derive(Default)]
struct Messages(RefCell<Vec<String>>);

impl Progress for Messages {
    fn step(&self, text: &str) {
        self.0.borrow_mut().push(text.to_owned());
    }

    fn problem(&self, text: &str) {
        self.0.borrow_mut().push(text.to_owned());
    }
}

impl<'a> Trial<'a> {
    /// With a place for receipts, a join token, and signals.
    pub fn new(system: &'a dyn System, receipts: &Path, token: &str, interrupts: Interrupts) -> Self {
        Self { system, receipts: receipts.to_owned(), token: token.to_owned(), interrupts }
    }

    async fn context(&self) -> FixContext<'a> {
        let mut context =
            FixContext::new(self.system, NodeName::from("node1"), self.interrupts.clone()).await;
        context.token = Some(Secret(self.token.clone()));
        context.key = Some(Secret("key".into()));
        context
    }

    /// Whether these steps can be planned, and for how many operations.
    ///
    /// # Errors
    /// Where they are refused.
    pub async fn plan(&self, steps: &[Step]) -> Result<usize> {
        Ok(Planned::of(steps, &self.context().await).await?.operations.len())
    }

    /// Plans and applies these steps, and rolls back where something fails.
    ///
    /// # Errors
    /// Where they are refused, or the process ended.
    pub async fn apply(&self, steps: &[Step]) -> Result<Ending> {
        let context = self.context().await;
        let mut planned = Planned::of(steps, &context).await?;
        if planned.operations.is_empty() {
            return Ok(Ending::Nothing);
        }
        let messages = Messages::default();
        let identity = context.ensure_same_engine().await?;
        let begun = Begun::new("a/b", "node1", "title", planned.operations.len(), false, identity, &context);
        let mut receipt = Receipt::begin(&self.receipts, begun, self.system)?;
        let applied = run::apply_all(&mut planned.operations, &mut receipt, &context, &messages).await;
        if applied.is_ok() && self.took_effect(&planned, &context).await? {
            let identity = self.system.identity().await;
            receipt.note(&Event::Closed { outcome: Outcome::Fixed, identity })?;
            return Ok(Ending::Applied);
        }
        Ok(ending(run::roll_back(&mut receipt, &context, &messages).await?))
    }

    async fn took_effect(&self, planned: &Planned, context: &FixContext<'_>) -> Result<bool> {
        // A later operation may replace what an earlier one is for, such as a stop and a start.
        match planned.operations.last() {
            Some(last) => last.is_applied(context).await,
            None => Ok(true),
        }
    }

    /// Brings what an earlier process left open to an end.
    ///
    /// # Errors
    /// Where a receipt is damaged.
    pub async fn recover(&self) -> Result<Option<Ending>> {
        let context = self.context().await;
        let messages = Messages::default();
        let mut last = None;
        for (_, record) in records(&self.receipts, self.system)? {
            let record = record?;
            if record.closed.is_some() {
                continue;
            }
            last = Some(match run::recover(&self.receipts, &record, &context, &messages).await? {
                Interrupted::RolledBack(outcome) => ending(outcome),
                Interrupted::ToVerify => {
                    let complete = record.is_complete(&context).await;
                    let outcome = if complete { Outcome::Fixed } else { Outcome::NotFixed };
                    run::close(&self.receipts, &record, outcome, &context).await?;
                    if complete { Ending::Applied } else { Ending::NotFixed }
                }
            });
        }
        Ok(last)
    }

    /// Undoes the last receipt.
    ///
    /// # Errors
    /// Where it is refused.
    pub async fn undo(&self) -> Result<Ending> {
        let context = self.context().await;
        let all = records(&self.receipts, self.system)?;
        let (id, _) = all.last().ok_or_else(|| FixError::Refused("there is no receipt".into()))?;
        match super::undo::plan(&self.receipts, id, &context).await? {
            super::undo::Decision::Nothing(_) => Ok(Ending::Nothing),
            super::undo::Decision::Ready { record, .. } => {
                let messages = Messages::default();
                Ok(ending(super::undo::apply(&self.receipts, &record, &context, &messages).await?))
            }
        }
    }
}

fn ending(outcome: Outcome) -> Ending {
    match outcome {
        Outcome::Fixed | Outcome::DoneHere | Outcome::Unverified => Ending::Applied,
        Outcome::NotFixed => Ending::NotFixed,
        Outcome::RolledBack => Ending::RolledBack,
        Outcome::PartlyRolledBack => Ending::PartlyRolledBack,
    }
}
