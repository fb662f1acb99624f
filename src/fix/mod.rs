//! Fixing: what is found here and has a remedy here is carried out, one thing after the other, the cause first.
//!
//! Nothing is done that was not said, allowed and written down before, and nothing counts as healed that the check which
//! found it does not call so on facts taken afterwards.

mod act;
mod address;
mod copy;
mod engine;
mod file;
mod filter;
mod gate;
mod guide;
mod host;
mod ingress;
mod journal;
mod json;
mod level;
mod lock;
mod membership;
mod newest;
mod plan;
mod prepare;
mod program;
mod quorum;
mod script;
mod service;
mod swarm;
mod undo;

pub use level::Level;
pub use plan::Plan;

use crate::cli::{Fixing, Receipts, Run, Source};
use crate::collect::{Options, Secret};
use crate::error::ExpectedError;
use crate::examine::{Asked, options};
use crate::judge::Diagnosis;
use crate::policy::Policy;
use crate::report::Voice;
use facts::NodeName;
use guide::{Answer, Guide};
use journal::Outcome;
use lock::State;
use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::PathBuf;

/// The machine that is worked on, and what was said about it.
pub(crate) struct Ground {
    here: NodeName,
    cluster: Option<String>,
    options: Options,
    key: Option<Secret>,
    token: Option<Secret>,
    manager: Option<String>,
    lost: Vec<String>,
    compare: Vec<PathBuf>,
    advertise: Option<String>,
}

impl Ground {
    /// The names by which it is known whom a destructive step hurts.
    fn names(&self) -> Vec<String> {
        std::iter::once(self.here.to_string()).chain(self.cluster.clone()).collect()
    }
}

/// Fixes what can be, and gives back how things are afterwards, and whether all that was begun was done. `only` is the
/// check to which it is held.
pub async fn fix(
    run: &Run,
    fixing: &Fixing,
    allowed: Option<Level>,
    only: Option<&str>,
    policy: &Policy,
    voice: &Voice,
) -> Result<(Diagnosis, bool), ExpectedError> {
    let plans_only = fixing.dry_run || fixing.emit_script.is_some();
    let local = options(&run.source, Asked::default())?;
    if !plans_only {
        attended(run, fixing, &local)?;
    }
    let mut guide = Guide { run, fixing, allowed, only, policy, voice, tried: BTreeSet::new() };
    let (mut diagnosis, mut ground) = guide.look(local).await?;
    if plans_only {
        guide.show(&diagnosis, &ground).await?;
        return Ok((diagnosis, true));
    }
    let state = State::held(&fixing.receipts.state_dir).map_err(ExpectedError::refused)?;
    let before = journal::records(&state.receipts).map_err(ExpectedError::refused)?;
    if before.iter().any(|record| record.outcome.is_none()) {
        let past = undo::recover(&state.receipts, &ground, voice).await.map_err(ExpectedError::refused)?;
        diagnosis = guide.examined().await?;
        for record in past {
            let outcome;
            (diagnosis, outcome) = guide.come_about(&record).await?;
            undo::close(&state.receipts, &record, outcome, voice).map_err(ExpectedError::refused)?;
        }
    }
    let familiar: BTreeSet<_> = Plan::all(&diagnosis, &ground.here).iter().map(Plan::key).collect();
    let mut all_done = true;
    while let Some(plan) = guide.next(&diagnosis, &ground) {
        guide.tried.insert(plan.key());
        match guide.asked(plan, &mut ground).await {
            Answer::Go(plan, prepared) => {
                let carried_out = guide.carried_out(&plan, prepared, &state, &ground).await;
                all_done &= carried_out.map_err(ExpectedError::refused)?;
                diagnosis = guide.settled(&familiar, &ground).await?;
            }
            Answer::Skip => {}
            Answer::Quit => break,
        }
    }
    Ok((diagnosis, all_done))
}

/// Says why nothing is fixed from here, or with nobody to ask.
fn attended(run: &Run, fixing: &Fixing, local: &Options) -> Result<(), ExpectedError> {
    let elsewhere =
        !run.bundle.is_empty() || run.source.root != std::path::Path::new("/") || !local.endpoint.is_local();
    if elsewhere {
        let why = "only the machine that it runs on is changed; run it there, or take --dry-run or --emit-script FILE";
        return Err(ExpectedError::usage(why));
    }
    if !fixing.yes && !std::io::stdin().is_terminal() {
        return Err(ExpectedError::refused(
            "nobody is at the terminal to be asked, and nothing was changed: --fix=safe --yes does what is safe, --dry-run \
             shows it"
                .into(),
        ));
    }
    Ok(())
}

/// Takes back one remedy.
pub async fn undo(id: &str, source: &Source, kept: &Receipts, voice: &Voice) -> Result<bool, ExpectedError> {
    let state = State::held(&kept.state_dir).map_err(ExpectedError::refused)?;
    let ground = Ground {
        here: NodeName::default(),
        cluster: None,
        options: options(source, Asked::default())?,
        key: None,
        token: None,
        manager: None,
        lost: Vec::new(),
        compare: Vec::new(),
        advertise: None,
    };
    let outcome = undo::undo(&state.receipts, id, &ground, voice).await.map_err(ExpectedError::refused)?;
    Ok(outcome == Outcome::Undone)
}

/// One line for each receipt.
pub fn history(kept: &Receipts) -> Result<Vec<String>, ExpectedError> {
    let records = journal::records(&kept.state_dir.join("receipts")).map_err(ExpectedError::refused)?;
    let line = |record: &journal::Record| {
        let outcome = record.outcome.map_or("interrupted", Outcome::as_str);
        let last = record.acts.iter().any(|done| matches!(done.undo, act::Undo::Final { .. }));
        let stays = record.acts.iter().all(|done| done.undo.stays());
        let back = match (outcome, last, stays) {
            ("healed", true, _) => ", cannot be undone",
            ("healed", _, true) => ", nothing to undo",
            _ => "",
        };
        let begun = &record.begun;
        format!("{}  {outcome}{back}  {} on {}: {}", record.id, begun.check, begun.subject, begun.title)
    };
    Ok(records.iter().map(line).collect())
}
