//! Leading through the plans: showing each, asking, doing, looking again, and taking back what did not heal.

use super::act::{Act, COPY};
use super::gate::{Consent, consent};
use super::journal::{self, Begun, Event, Outcome, Receipt, Record};
use super::lock::State;
use super::prepare::{Prepared, prepared};
use super::{Ground, Level, Plan, file, quorum, script, undo};
use crate::cli::{Fixing, Run};
use crate::collect::{Options, Secret};
use crate::error::ExpectedError;
use crate::examine::{Asked, examine};
use crate::judge::{Diagnosis, Verdict};
use crate::policy::Policy;
use crate::report::{Tone, Voice};
use checks::{Finding, Step};
use facts::Timestamp;
use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

/// How long what a remedy stirred up may take to settle before it counts as found.
const SETTLED: Duration = Duration::from_secs(15);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(700);

/// What a person, or the command line, says to a plan.
pub(super) enum Answer {
    Go(Box<Plan>, Prepared),
    Skip,
    Quit,
}

/// Leads through the plans.
pub(super) struct Guide<'a> {
    pub(super) run: &'a Run,
    pub(super) fixing: &'a Fixing,
    pub(super) allowed: Option<Level>,
    pub(super) only: Option<&'a str>,
    pub(super) policy: &'a Policy,
    pub(super) voice: &'a Voice,
    pub(super) tried: BTreeSet<(String, String)>,
}

impl Guide<'_> {
    pub(super) async fn look(&self, options: Options) -> Result<(Diagnosis, Ground), ExpectedError> {
        let (snapshot, diagnosis) = examine(self.run, self.policy, Asked::default()).await?;
        let ground = Ground {
            here: snapshot.hosts.first().map(|host| host.name.clone()).unwrap_or_default(),
            cluster: diagnosis.header.cluster_id.clone(),
            options,
            key: None,
            token: None,
            manager: self.fixing.manager.clone(),
            lost: self.fixing.lost.clone(),
            compare: self.fixing.compare.clone(),
            advertise: self.fixing.advertise_addr.clone(),
        };
        Ok((diagnosis, ground))
    }

    pub(super) async fn examined(&self) -> Result<Diagnosis, ExpectedError> {
        Ok(examine(self.run, self.policy, Asked::default()).await?.1)
    }

    /// Prints all plans, or writes them into a script. Nothing else is touched.
    pub(super) async fn show(&self, diagnosis: &Diagnosis, ground: &Ground) -> Result<(), ExpectedError> {
        let plans: Vec<_> =
            Plan::all(diagnosis, &ground.here).into_iter().filter(|plan| self.wanted(plan)).collect();
        if let Some(path) = &self.fixing.emit_script {
            let text = script::script(&plans, &diagnosis.header.taken.to_string());
            return std::fs::write(path, text).map_err(|error| ExpectedError::file("write", path, &error));
        }
        for (number, plan) in plans.iter().enumerate() {
            // Only what is read from files is prepared: the rest asks programs, and a look starts none.
            let of_files = |step: &&Step| matches!(step, Step::EditJson { .. } | Step::RepairJson { .. });
            let steps: Vec<Step> = plan.here.iter().filter(of_files).cloned().collect();
            let (difference, why) = match prepared(&steps, ground).await {
                Ok(prepared) => (prepared.files().flat_map(file::difference).collect(), None),
                Err(why) => (Vec::new(), Some(why)),
            };
            self.voice.plan(plan, number + 1, &difference);
            why.iter().for_each(|why| self.voice.say(Tone::Bad, &format!("It could not be done: {why}")));
        }
        match plans.is_empty() {
            true => self.voice.say(Tone::Good, "There is nothing to do."),
            false => self.voice.say(Tone::Plain, "Nothing was changed."),
        }
        Ok(())
    }

    fn wanted(&self, plan: &Plan) -> bool {
        self.only.is_none_or(|only| plan.finding.check == only)
    }

    /// The next plan that nobody has answered to yet.
    pub(super) fn next(&self, diagnosis: &Diagnosis, ground: &Ground) -> Option<Plan> {
        let mut plans = Plan::all(diagnosis, &ground.here).into_iter();
        plans.find(|plan| self.wanted(plan) && !self.tried.contains(&plan.key()))
    }

    pub(super) async fn asked(&self, plan: Plan, ground: &mut Ground) -> Answer {
        let plan = match self.allowed {
            Some(level) => plan.within(level),
            None if self.fixing.yes => plan.within(Level::Safe),
            None => plan,
        };
        let number = self.tried.len();
        if plan.here.is_empty() {
            self.voice.plan(&plan, number, &[]);
            return Answer::Skip;
        }
        let said = consent(&plan, self.fixing, self.allowed, ground);
        if !matches!(said, Consent::Withheld(_)) {
            self.secrets(&plan, ground).await;
        }
        let ready = prepared(&plan.here, ground).await;
        let difference = match &ready {
            Ok(prepared) => prepared.files().flat_map(file::difference).collect(),
            Err(_) => Vec::new(),
        };
        self.voice.plan(&plan, number, &difference);
        for note in ready.iter().flat_map(|prepared| &prepared.notes) {
            self.voice.say(Tone::Plain, note);
        }
        match (said, ready) {
            (Consent::Withheld(why), _) => {
                self.voice.say(Tone::Plain, &format!("Not done: {why}"));
                Answer::Skip
            }
            (_, Err(why)) => {
                self.voice.say(Tone::Bad, &format!("Not done: {why}"));
                Answer::Skip
            }
            (Consent::Given, Ok(prepared)) => Answer::Go(Box::new(plan), prepared),
            (Consent::Asked { name }, Ok(prepared)) => self.answered(plan, prepared, name.as_deref()).await,
        }
    }

    async fn answered(&self, plan: Plan, prepared: Prepared, name: Option<&str>) -> Answer {
        let question = match name {
            Some(name) => format!("Type {name} to do it, n for no, s to see more, q to quit:"),
            None => "Do it? [y]es, [n]o, [s]how more, [q]uit:".to_owned(),
        };
        loop {
            let said = self.voice.ask(&question).await;
            match (said.as_deref(), name) {
                (Some(said), Some(name)) if said == name => return Answer::Go(Box::new(plan), prepared),
                (Some("y" | "yes"), None) => return Answer::Go(Box::new(plan), prepared),
                (Some("n" | "no"), _) => return Answer::Skip,
                (Some("s" | "show"), _) => {
                    let acts: Vec<String> = prepared.acts.iter().map(Act::text).collect();
                    self.voice.say(Tone::Plain, "What is done, in order, and then the check runs again:");
                    self.voice.lines(&acts);
                }
                (Some("q" | "quit") | None, _) => return Answer::Quit,
                _ => {}
            }
        }
    }

    /// Asks for the secrets that a plan takes.
    async fn secrets(&self, plan: &Plan, ground: &mut Ground) {
        for step in &plan.here {
            match step {
                Step::Unlock { .. } => ground.key = self.secret("Unlock key:", self.fixing.key_stdin).await,
                Step::Join { .. } => ground.token = self.secret("Join token:", self.fixing.token_stdin).await,
                _ => {}
            }
        }
    }

    /// A secret, from the terminal or standard input, and never from the command line, which others can read.
    async fn secret(&self, question: &str, piped: bool) -> Option<Secret> {
        if piped {
            let mut line = String::new();
            return std::io::stdin().read_line(&mut line).ok().map(|_| Secret(line));
        }
        if self.fixing.yes || !std::io::stdin().is_terminal() {
            return None;
        }
        self.voice.secret(question).await.map(Secret)
    }

    /// Does it, looks again, and takes it back where the check has not fallen silent; whether it was done.
    pub(super) async fn carried_out(
        &self,
        plan: &Plan,
        prepared: Prepared,
        state: &State,
        ground: &Ground,
    ) -> Result<bool, String> {
        let (check, subject) = plan.key();
        let title = plan.finding.remedy.as_ref().map(|remedy| remedy.title.to_string()).unwrap_or_default();
        let tool = env!("CARGO_PKG_VERSION").to_owned();
        let begun = Begun { at: Timestamp::now(), check, subject, title, tool };
        let mut receipt = Receipt::begin(&state.receipts, begun)?;
        let done = self.acted(&prepared.acts, &mut receipt, ground).await;
        let healed = match done {
            // What others have to do as well cannot be healed by this part of it.
            Ok(()) if plan.is_shared() => Ok(Outcome::Done),
            Ok(()) => self.healed(plan, &prepared.acts).await.map(|()| Outcome::Healed),
            Err(why) => Err(why),
        };
        match healed {
            Ok(outcome) => {
                receipt.note(&Event::Closed { outcome })?;
                let stays = journal::record(&receipt.directory, &receipt.id)
                    .is_some_and(|record| record.acts.iter().all(|done| done.undo.stays()));
                let back = match (plan.is_final(), stays) {
                    (true, _) => "It cannot be taken back:",
                    (_, true) => "There is nothing to take back:",
                    _ => "To take it back: swarm-doctor undo",
                };
                let said = match outcome {
                    Outcome::Done => "Done here; what is left to other nodes heals it.",
                    _ => "Healed.",
                };
                self.voice.say(Tone::Good, &format!("{said} {back} {}", receipt.id));
                if plan.here.iter().any(|step| matches!(step, Step::ForceNewCluster { .. })) {
                    self.voice.lines(&quorum::aftermath(&receipt.directory.join(COPY), ground).await?);
                }
            }
            Err(why) => {
                self.voice.say(Tone::Bad, &format!("Taken back, for {why}"));
                undo::take_back(receipt, ground, self.voice).await?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn acted(&self, acts: &[Act], receipt: &mut Receipt, ground: &Ground) -> Result<(), String> {
        for act in acts {
            let text = act.text();
            let undo = act.undo(receipt, ground).await?;
            receipt.note(&Event::Acting { text: text.clone(), undo })?;
            self.voice.say(Tone::Plain, &format!("... {text}"));
            if let Err(why) = act.carry_out(receipt, ground).await {
                receipt.note(&Event::Failed { why: why.clone() })?;
                return Err(why);
            }
            receipt.note(&Event::Acted)?;
        }
        Ok(())
    }

    /// Runs the same check on fresh facts, with the patience that Docker needs.
    async fn healed(&self, plan: &Plan, acts: &[Act]) -> Result<(), String> {
        let deadline = Instant::now() + acts.iter().map(Act::patience).max().unwrap_or_default();
        loop {
            let diagnosis = self.examined().await.map_err(|error| error.to_string())?;
            let why = match plan.still_found(&diagnosis) {
                None => return Ok(()),
                Some(why) => why,
            };
            if Instant::now() >= deadline {
                return Err(why);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether what was interrupted where there is no way back has healed what it was for.
    pub(super) async fn come_about(&self, record: &Record) -> Result<(Diagnosis, Outcome), ExpectedError> {
        let deadline = Instant::now() + SETTLED;
        let begun = &record.begun;
        loop {
            let diagnosis = self.examined().await?;
            let same = |finding: &Finding| {
                *finding.check == *begun.check && finding.subject.to_string() == begun.subject
            };
            // Not to know is not to be healed.
            let unknown = |verdict: &Verdict| verdict.check == begun.check && verdict.is_open();
            if !diagnosis.all_findings().any(same) && !diagnosis.verdicts.iter().any(unknown) {
                return Ok((diagnosis, Outcome::Healed));
            }
            if Instant::now() >= deadline {
                return Ok((diagnosis, Outcome::Undone));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The diagnosis once nothing is found that was not there before, or for good.
    pub(super) async fn settled(
        &self,
        familiar: &BTreeSet<(String, String)>,
        ground: &Ground,
    ) -> Result<Diagnosis, ExpectedError> {
        let deadline = Instant::now() + SETTLED;
        loop {
            let diagnosis = self.examined().await?;
            let plans = Plan::all(&diagnosis, &ground.here);
            if plans.iter().all(|plan| familiar.contains(&plan.key())) || Instant::now() >= deadline {
                return Ok(diagnosis);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
