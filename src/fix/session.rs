//! The dialogue of a fix: each plan is shown and confirmed, applied, checked again, and rolled back where it fails.

use super::consent::{Consent, Permission};
use super::error::{FixError, Result};
use super::journal::{self, Begun, Event, Outcome, Receipt, Record};
use super::lock::State;
use super::ops::{FileEdit, Operation, Planned, aftermath};
use super::plan::{Verification, verification};
use super::run::{self, Interrupted, Progress};
use super::system::real::RealSystem;
use super::{Ended, FixContext, Interrupts, Level, Plan, script};
use crate::cli::{Fixing, Run};
use crate::collect::Secret;
use crate::error::ExpectedError;
use crate::examine::{Asked, examine};
use crate::exit::ExitCode;
use crate::judge::Diagnosis;
use crate::policy::Policy;
use crate::report::{Console, MessageKind};
use checks::{Evidence, Step};
use facts::NodeName;
use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

/// How long the effects of a fix on other checks may take to settle.
const SETTLES: Duration = Duration::from_secs(15);
/// The pause between two examinations.
const PAUSE: Duration = Duration::from_millis(700);

/// The answer to a plan.
enum Answer {
    Apply(Box<Plan>, Planned),
    Skip,
    Quit,
}

/// One run of `--fix`.
pub(super) struct Session<'a> {
    pub(super) run: &'a Run,
    pub(super) fixing: &'a Fixing,
    pub(super) permission: Permission<'a>,
    pub(super) only: Option<&'a str>,
    pub(super) policy: &'a Policy,
    pub(super) console: &'a Console,
    pub(super) interrupts: Interrupts,
}

/// What was done so far.
#[derive(Default)]
struct Tally {
    tried: BTreeSet<(String, String)>,
    fixed: Vec<String>,
    failed: usize,
}

/// Messages of operations at the terminal.
pub(super) struct Reporter<'a>(pub(super) &'a Console);

impl Progress for Reporter<'_> {
    fn step(&self, text: &str) {
        self.0.say(MessageKind::Plain, &format!("... {text}"));
    }

    fn problem(&self, text: &str) {
        self.0.say(MessageKind::Bad, text);
    }
}

type Expected<T> = std::result::Result<T, ExpectedError>;

impl Session<'_> {
    pub(super) async fn run(&self, system: &RealSystem, plans_only: bool) -> Expected<Ended> {
        let (mut diagnosis, here) = self.examine_all().await?;
        let mut context = FixContext::new(system, here, self.interrupts.clone()).await;
        context.cluster = diagnosis.header.cluster_id.clone();
        context.manager = self.fixing.manager.clone();
        context.lost = self.fixing.lost.clone();
        context.compare = self.fixing.compare.clone();
        context.advertise = self.fixing.advertise_addr.clone();
        if plans_only {
            self.show(&diagnosis, &context).await?;
            return Ok(Ended { diagnosis: Some(diagnosis), summary: String::new(), exit: None });
        }
        let state = State::lock(&self.fixing.receipts.state_dir)?;
        if self.recover(&state.receipts, &context).await? {
            // What was rolled back may have been the membership.
            diagnosis = self.examine().await?;
            context.renew(&diagnosis).await;
        }
        let familiar: BTreeSet<_> = Plan::all(&diagnosis, &context.here).iter().map(Plan::key).collect();
        let mut tally = Tally::default();
        while let Some(plan) = self.next(&diagnosis, &context, &tally) {
            tally.tried.insert(plan.key());
            match self.ask(plan, &tally, &mut context).await? {
                Answer::Apply(plan, planned) => {
                    self.apply(&plan, planned, &state.receipts, &context, &mut tally).await?;
                    diagnosis = self.settled(&familiar, &context).await?;
                    context.renew(&diagnosis).await;
                }
                Answer::Skip => {}
                Answer::Quit => break,
            }
        }
        Ok(self.ended(diagnosis, &context, &tally))
    }

    /// The last line, and the exit code where a fix failed.
    fn ended(&self, diagnosis: Diagnosis, context: &FixContext<'_>, tally: &Tally) -> Ended {
        let left = Plan::all(&diagnosis, &context.here).iter().filter(|plan| self.wanted(plan)).count();
        let failed = if tally.failed > 0 { format!(", {} failed", tally.failed) } else { String::new() };
        let undo = tally.fixed.last().map(|id| format!(" Undo: swarm-doctor undo {id}")).unwrap_or_default();
        Ended {
            diagnosis: Some(diagnosis),
            summary: format!("Fixed {}{failed}, {left} left for you.{undo}", tally.fixed.len()),
            // A fix that failed must not look like a finding that was left alone.
            exit: (tally.failed > 0).then_some(ExitCode::Refused),
        }
    }

    async fn examine_all(&self) -> Expected<(Diagnosis, NodeName)> {
        let work = examine(self.run, self.policy, Asked::default());
        let (snapshot, diagnosis) = self.unless_interrupted(work).await??;
        Ok((diagnosis, snapshot.hosts.first().map(|host| host.name.clone()).unwrap_or_default()))
    }

    async fn examine(&self) -> Expected<Diagnosis> {
        Ok(self.examine_all().await?.0)
    }

    async fn unless_interrupted<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            result = work => Ok(result),
            signal = self.interrupts.wait() => Err(FixError::Interrupted(signal)),
        }
    }

    /// Prints all plans, or writes them as a script. Nothing else is touched.
    async fn show(&self, diagnosis: &Diagnosis, context: &FixContext<'_>) -> Expected<()> {
        let plans: Vec<_> =
            Plan::all(diagnosis, &context.here).into_iter().filter(|plan| self.wanted(plan)).collect();
        if let Some(path) = &self.fixing.emit_script {
            let allowed = self.permission.level.unwrap_or(Level::Safe);
            let text = script(&plans, allowed, &diagnosis.header.taken.to_string());
            return std::fs::write(path, text).map_err(|error| ExpectedError::file("write", path, &error));
        }
        for (number, plan) in plans.iter().enumerate() {
            // Only file changes are prepared: the others ask programs, and a dry run starts none.
            let of_files = |step: &&Step| matches!(step, Step::EditJson { .. } | Step::RepairJson { .. });
            let steps: Vec<Step> = plan.here.iter().filter(of_files).cloned().collect();
            let (diff, why) = match Planned::of(&steps, context).await {
                Ok(planned) => (planned.files().flat_map(FileEdit::diff).collect(), None),
                Err(why) => (Vec::new(), Some(why)),
            };
            self.console.plan(plan, number + 1, &[], &diff);
            why.iter().for_each(|why| {
                self.console.say(MessageKind::Bad, &format!("This fix would be refused: {why}"))
            });
        }
        if plans.is_empty() {
            self.console.say(MessageKind::Good, "There is nothing to fix.");
        } else {
            self.console.say(MessageKind::Plain, "Nothing was changed.");
        }
        Ok(())
    }

    fn wanted(&self, plan: &Plan) -> bool {
        self.only.is_none_or(|only| plan.finding.check == only)
    }

    /// The next plan that has not been answered yet.
    fn next(&self, diagnosis: &Diagnosis, context: &FixContext<'_>, tally: &Tally) -> Option<Plan> {
        let mut plans = Plan::all(diagnosis, &context.here).into_iter();
        plans.find(|plan| self.wanted(plan) && !tally.tried.contains(&plan.key()))
    }

    /// Shows a plan, and asks for consent where it is needed.
    async fn ask(&self, plan: Plan, tally: &Tally, context: &mut FixContext<'_>) -> Expected<Answer> {
        let limited = self.permission.yes || self.permission.level.is_some();
        let plan = if limited { plan.within(self.permission.limit()) } else { plan };
        let number = tally.tried.len();
        if plan.here.is_empty() {
            self.console.plan(&plan, number, &[], &[]);
            if let Some(why) = plan.too_weak {
                self.console.say(MessageKind::Plain, &format!("Not applied: {why}."));
            }
            return Ok(Answer::Skip);
        }
        let check = plan.finding.check.to_string();
        let consent = self.permission.consent(
            plan.level(),
            &check,
            &context.here,
            context.cluster.as_deref(),
            "--fix=",
        );
        if !matches!(consent, Consent::Withheld(_)) {
            self.secrets(&plan, context).await;
        }
        let planned = Planned::of(&plan.here, context).await;
        let (operations, diff) = match &planned {
            Ok(planned) => (
                planned.operations.iter().map(Operation::describe).collect(),
                planned.files().flat_map(FileEdit::diff).collect(),
            ),
            Err(_) => (Vec::new(), Vec::new()),
        };
        self.console.plan(&plan, number, &operations, &diff);
        for note in planned.iter().flat_map(|planned| &planned.notes) {
            self.console.say(MessageKind::Plain, note);
        }
        match (consent, planned) {
            (Consent::Withheld(why), _) => {
                self.console.say(MessageKind::Plain, &format!("Not applied: {why}"));
                Ok(Answer::Skip)
            }
            (_, Err(why)) => {
                self.console.say(MessageKind::Bad, &format!("Not applied: {why}"));
                Ok(Answer::Skip)
            }
            (Consent::Given, Ok(planned)) => Ok(Answer::Apply(Box::new(plan), planned)),
            (Consent::Asked { name }, Ok(planned)) => {
                self.answer(plan, planned, name.as_deref(), context).await
            }
        }
    }

    async fn answer(
        &self,
        plan: Plan,
        planned: Planned,
        name: Option<&str>,
        context: &FixContext<'_>,
    ) -> Expected<Answer> {
        let question = question("Apply this fix", &context.here, name);
        loop {
            let answer = self.unless_interrupted(self.console.ask(&question)).await?;
            match (answer.as_deref(), name) {
                (Some(answer), Some(name)) if answer == name => {
                    return Ok(Answer::Apply(Box::new(plan), planned));
                }
                (Some("y" | "yes"), None) => return Ok(Answer::Apply(Box::new(plan), planned)),
                (Some("n" | "no"), _) => return Ok(Answer::Skip),
                (Some("q" | "quit") | None, _) => return Ok(Answer::Quit),
                (Some("s" | "show"), _) => self.show_more(&plan, &planned),
                _ => self.console.lines(&help(name)),
            }
        }
    }

    /// The evidence, where backups go, and how to undo it.
    fn show_more(&self, plan: &Plan, planned: &Planned) {
        self.console.say(MessageKind::Plain, "Evidence:");
        self.console.lines(&plan.finding.evidence().iter().map(shown).collect::<Vec<_>>());
        self.console.say(MessageKind::Plain, "Operations, in order; then the check runs again:");
        self.console.lines(&planned.operations.iter().map(Operation::describe).collect::<Vec<_>>());
        let receipts = self.fixing.receipts.state_dir.join("receipts");
        self.console.say(MessageKind::Plain, &format!("Journal and backups: {}", receipts.display()));
        let undo = if plan.is_final() {
            "It cannot be undone."
        } else {
            "Undo: swarm-doctor undo RECEIPT. A fix that fails is rolled back by itself."
        };
        self.console.say(MessageKind::Plain, undo);
    }

    /// Asks for the secrets that a plan needs.
    async fn secrets(&self, plan: &Plan, context: &mut FixContext<'_>) {
        for step in &plan.here {
            match step {
                Step::Unlock { .. } => context.key = self.secret("Unlock key:", self.fixing.key_stdin).await,
                Step::Join { .. } => {
                    context.token = self.secret("Join token:", self.fixing.token_stdin).await
                }
                _ => {}
            }
        }
    }

    /// A secret from the terminal or standard input; never from the command line, which other users can read.
    async fn secret(&self, question: &str, piped: bool) -> Option<Secret> {
        if piped {
            let mut line = String::new();
            return std::io::stdin().read_line(&mut line).ok().map(|_| Secret(line));
        }
        if self.permission.yes || !std::io::stdin().is_terminal() {
            return None;
        }
        self.console.secret(question).await.map(Secret)
    }

    /// Applies a plan, runs its check again, and rolls it back where the check still finds it.
    async fn apply(
        &self,
        plan: &Plan,
        mut planned: Planned,
        receipts: &Path,
        context: &FixContext<'_>,
        tally: &mut Tally,
    ) -> Expected<()> {
        let reporter = Reporter(self.console);
        let identity = context.ensure_same_engine().await?;
        let (check, subject) = plan.key();
        let title = plan.finding.remedy.as_ref().map(|remedy| remedy.title.to_string()).unwrap_or_default();
        let count = planned.operations.len();
        let begun = Begun::new(&check, &subject, &title, count, plan.is_shared(), identity, context);
        let mut receipt = Receipt::begin(receipts, begun, context.system)?;
        let applied = run::apply_all(&mut planned.operations, &mut receipt, context, &reporter).await;
        let outcome = match applied {
            Ok(()) => self.verified(plan, &planned.operations, context).await,
            Err(error) => Err(error),
        };
        let error = match outcome {
            Ok(outcome) => {
                let identity = context.system.identity().await;
                receipt.note(&Event::Closed { outcome, identity })?;
                return self.report(plan, outcome, &receipt, context, tally).await;
            }
            Err(error) => error,
        };
        tally.failed += 1;
        self.console.say(MessageKind::Bad, &format!("Failed: {error}"));
        if let FixError::Interrupted(signal) = error
            && receipt.record()?.irreversible(context).await.is_some()
        {
            let what = format!(
                "interrupted by {signal}. {} was applied and cannot be rolled back; run swarm-doctor run --fix to check it",
                receipt.id
            );
            return Err(ExpectedError::interrupted(what, signal));
        }
        self.console.say(MessageKind::Plain, "Rolling back.");
        let rolled_back = run::roll_back(&mut receipt, context, &reporter).await?;
        self.console.say(MessageKind::Plain, &format!("{}: {}", receipt.id, rolled_back.as_str()));
        match error {
            FixError::Interrupted(signal) => {
                let what = format!(
                    "interrupted by {signal}. {} is {}; run the same command again to go on",
                    receipt.id,
                    rolled_back.as_str()
                );
                Err(ExpectedError::interrupted(what, signal))
            }
            _ => Ok(()),
        }
    }

    async fn report(
        &self,
        plan: &Plan,
        outcome: Outcome,
        receipt: &Receipt<'_>,
        context: &FixContext<'_>,
        tally: &mut Tally,
    ) -> Expected<()> {
        let id = &receipt.id;
        let record = receipt.record()?;
        let undo = if record.may_be_irreversible() {
            format!("It cannot be undone (receipt {id}).")
        } else if record.needs_no_undo() {
            format!("Nothing to undo (receipt {id}).")
        } else {
            format!("Undo: swarm-doctor undo {id}")
        };
        let result = match outcome {
            Outcome::DoneHere => "Done on this node. The other nodes have to do their part.",
            _ => "Fixed.",
        };
        self.console.say(MessageKind::Good, &format!("{result} {undo}"));
        tally.fixed.push(id.clone());
        if plan.here.iter().any(|step| matches!(step, Step::ForceNewCluster { .. })) {
            self.console.lines(&aftermath(&receipt.directory, context).await?);
        }
        Ok(())
    }

    /// Runs the check again until it no longer finds it, as long as the operations may take to show.
    async fn verified(
        &self,
        plan: &Plan,
        operations: &[Operation],
        context: &FixContext<'_>,
    ) -> Result<Outcome> {
        if plan.is_shared() {
            // This part alone cannot resolve the finding.
            return Ok(Outcome::DoneHere);
        }
        let (check, subject) = plan.key();
        let limit = operations.iter().map(Operation::settles_within).max().unwrap_or_default();
        match self.verify(&check, &subject, self.policy, limit, context).await? {
            Verification::Fixed => Ok(Outcome::Fixed),
            Verification::StillFound(why) | Verification::Unknown(why) => Err(FixError::Failed(why)),
        }
    }

    /// What the check says by the end of the limit, or once it no longer finds it.
    async fn verify(
        &self,
        check: &str,
        subject: &str,
        policy: &Policy,
        limit: Duration,
        context: &FixContext<'_>,
    ) -> Result<Verification> {
        self.console.say(MessageKind::Plain, "Checking again…");
        let deadline = context.system.uptime() + limit;
        loop {
            let work = examine(self.run, policy, Asked::default());
            let (_, diagnosis) =
                self.unless_interrupted(work).await?.map_err(|error| FixError::Failed(error.to_string()))?;
            let verification = verification(check, subject, &diagnosis);
            if verification == Verification::Fixed || context.system.uptime() >= deadline {
                return Ok(verification);
            }
            self.unless_interrupted(context.system.sleep(PAUSE)).await?;
        }
    }

    /// Closes what earlier fixes left open; whether there was something.
    async fn recover(&self, receipts: &Path, context: &FixContext<'_>) -> Expected<bool> {
        let mut open = Vec::new();
        for (_, record) in journal::records(receipts, context.system)? {
            let record = record?;
            if record.closed.is_none() {
                open.push(record);
            }
        }
        for record in &open {
            self.recover_one(receipts, record, context).await?;
        }
        Ok(!open.is_empty())
    }

    async fn recover_one(&self, receipts: &Path, record: &Record, context: &FixContext<'_>) -> Expected<()> {
        let id = &record.id;
        self.console.say(MessageKind::Bad, &format!("An earlier fix was interrupted: {id}"));
        run::ensure_same_host(record, context).await?;
        let reporter = Reporter(self.console);
        if let Interrupted::RolledBack(outcome) = run::recover(receipts, record, context, &reporter).await? {
            self.console.say(MessageKind::Plain, &format!("{id}: {}", outcome.as_str()));
            return Ok(());
        }
        // The check of that fix runs, whichever checks are selected now.
        let policy = self.policy.clone().for_one();
        let begun = &record.begun;
        let final_step = record.irreversible(context).await.is_some();
        let verification = if begun.shared {
            Verification::Unknown(String::new())
        } else {
            self.verify(&begun.check, &begun.subject, &policy, SETTLES, context).await?
        };
        let outcome = match verification {
            Verification::Fixed => Outcome::Fixed,
            Verification::Unknown(_) if begun.shared => Outcome::DoneHere,
            Verification::Unknown(_) => Outcome::Unverified,
            Verification::StillFound(_) if final_step => Outcome::NotFixed,
            Verification::StillFound(_) => {
                let mut receipt = Receipt::resume(receipts, id, context.system)?;
                let outcome = run::roll_back(&mut receipt, context, &reporter).await?;
                self.console.say(MessageKind::Plain, &format!("{id}: {}", outcome.as_str()));
                return Ok(());
            }
        };
        run::close(receipts, record, outcome, context).await?;
        self.console.say(MessageKind::Plain, &format!("{id}: {}", outcome.as_str()));
        Ok(())
    }

    /// The diagnosis once it finds nothing new, or after some time.
    async fn settled(
        &self,
        familiar: &BTreeSet<(String, String)>,
        context: &FixContext<'_>,
    ) -> Expected<Diagnosis> {
        let deadline = context.system.uptime() + SETTLES;
        loop {
            let diagnosis = self.examine().await?;
            let plans = Plan::all(&diagnosis, &context.here);
            let known = plans.iter().all(|plan| familiar.contains(&plan.key()));
            if known || context.system.uptime() >= deadline {
                return Ok(diagnosis);
            }
            self.unless_interrupted(context.system.sleep(PAUSE)).await?;
        }
    }
}

fn question(what: &str, here: &NodeName, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{what} on {here}? Type {name} to confirm [n/s/q/?]"),
        None => format!("{what} on {here}? [y/n/s/q/?]"),
    }
}

fn help(name: Option<&str>) -> Vec<String> {
    let yes = match name {
        Some(name) => {
            format!("{name}  apply it; it is destructive, so the name of the node is the confirmation")
        }
        None => "y  yes, apply it".to_owned(),
    };
    let rest = ["n  no, leave it", "s  show evidence, backups and how to undo it", "q  quit", "?  this help"];
    std::iter::once(yes).chain(rest.map(str::to_owned)).collect()
}

/// Asks until the answer is clear; whether it is yes.
pub(super) async fn confirmed(
    console: &Console,
    interrupts: &Interrupts,
    what: &str,
    here: &NodeName,
    name: Option<&str>,
) -> Result<bool> {
    let question = match name {
        Some(name) => format!("{what} on {here}? Type {name} to confirm [n]"),
        None => format!("{what} on {here}? [y/n]"),
    };
    loop {
        let answer = tokio::select! {
            answer = console.ask(&question) => answer,
            signal = interrupts.wait() => return Err(FixError::Interrupted(signal)),
        };
        match (answer.as_deref(), name) {
            (Some(answer), Some(name)) if answer == name => return Ok(true),
            (Some("y" | "yes"), None) => return Ok(true),
            (Some("n" | "no" | "q" | "quit") | None, _) => return Ok(false),
            _ => {}
        }
    }
}

/// One piece of evidence, with where it can be seen.
fn shown(evidence: &Evidence) -> String {
    match evidence {
        Evidence::Line { source, line, text, .. } => format!("{}:{line}: {text}", source.origin),
        Evidence::Value { source, shown } => format!("{}: {shown}", source.origin),
        Evidence::Absent { source, what } => format!("{}: absent: {what}", source.origin),
    }
}
