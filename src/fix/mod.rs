//! Fixing: remedies that belong to this node are applied one after the other, the root cause first.
//!
//! Nothing is done that was not shown, allowed and recorded before. A finding counts as fixed only where the check that found
//! it runs again on new facts and does not find it.

mod consent;
pub mod error;
mod journal;
mod level;
mod lock;
mod ops;
mod plan;
mod run;
mod script;
mod session;
mod signals;
pub mod system;
pub mod trial;
mod undo;

pub use level::Level;
pub use plan::Plan;
pub use script::script;
pub use signals::{Interrupts, Signal};

use crate::cli::{Fixing, Receipts, Run, Source};
use crate::collect::Secret;
use crate::error::ExpectedError;
use crate::examine::{Asked, options};
use crate::exit::ExitCode;
use crate::judge::Diagnosis;
use crate::policy::Policy;
use crate::report::{Console, MessageKind};
use consent::{Consent, Permission};
use error::{FixError, Result};
use facts::NodeName;
use hyper::Method;
use journal::Outcome;
use lock::State;
use serde_json::Value;
use session::Session;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use system::real::RealSystem;
use system::{Identity, System};

/// What operations need to know beyond their own values.
pub struct FixContext<'a> {
    system: &'a dyn System,
    here: NodeName,
    cluster: Option<String>,
    identity: Identity,
    interrupts: Interrupts,
    key: Option<Secret>,
    token: Option<Secret>,
    manager: Option<String>,
    lost: Vec<String>,
    compare: Vec<PathBuf>,
    advertise: Option<String>,
}

impl<'a> FixContext<'a> {
    /// On this host, with this engine.
    pub async fn new(system: &'a dyn System, here: NodeName, interrupts: Interrupts) -> Self {
        let identity = system.identity().await;
        let cluster = identity.cluster_id.clone().filter(|id| !id.is_empty());
        Self {
            system,
            here,
            cluster,
            identity,
            interrupts,
            key: None,
            token: None,
            manager: None,
            lost: Vec::new(),
            compare: Vec::new(),
            advertise: None,
        }
    }

    /// Binds the context to the engine as it was examined just now.
    async fn renew(&mut self, diagnosis: &Diagnosis) {
        self.identity = self.system.identity().await;
        self.cluster.clone_from(&diagnosis.header.cluster_id);
    }

    async fn get(&self, path: &str) -> Result<Value> {
        self.system.api(Method::GET, path, &Value::Null).await
    }

    async fn change(&self, method: Method, path: &str, body: &Value) -> Result<()> {
        self.system.api(method, path, body).await.map(drop)
    }

    /// Fails once a signal came.
    async fn ensure_not_interrupted(&self) -> Result<()> {
        // The signals are received while this task waits.
        tokio::task::yield_now().await;
        self.interrupts.caught().map_or(Ok(()), |signal| Err(FixError::Interrupted(signal)))
    }

    /// Refuses where the engine is not the one that was examined.
    async fn ensure_same_engine(&self) -> Result<Identity> {
        let now = self.system.identity().await;
        let differs = |one: &Option<String>, other: &Option<String>| match (one, other) {
            (Some(one), Some(other)) => one != other,
            _ => false,
        };
        if now.boot_id != self.identity.boot_id
            || now.machine_id != self.identity.machine_id
            || differs(&now.node_id, &self.identity.node_id)
            || differs(&now.cluster_id, &self.identity.cluster_id)
        {
            return Err(FixError::Refused(
                "the engine is not the one that was examined; run it again".into(),
            ));
        }
        Ok(now)
    }
}

/// How a fix or an undo ended.
pub struct Ended {
    /// What is found afterwards; none of an undo.
    pub diagnosis: Option<Diagnosis>,
    /// The last line.
    pub summary: String,
    /// The exit code; none where the diagnosis decides.
    pub exit: Option<ExitCode>,
}

impl From<FixError> for ExpectedError {
    fn from(error: FixError) -> Self {
        match error {
            FixError::Interrupted(signal) => {
                Self::interrupted(format!("interrupted by {signal}; nothing was being changed"), signal)
            }
            error => Self::refused(error.to_string()),
        }
    }
}

/// Fixes what can be fixed. `only` is the check to which it is limited.
///
/// # Errors
/// Where nothing may be changed from here, or the journal cannot be read or written.
pub async fn fix(
    run: &Run,
    fixing: &Fixing,
    allowed: Option<Level>,
    only: Option<&str>,
    policy: &Policy,
    console: &Console,
) -> std::result::Result<Ended, ExpectedError> {
    let interrupts = Interrupts::default();
    let plans_only = fixing.dry_run || fixing.emit_script.is_some();
    let work = async {
        let system = RealSystem::new(options(&run.source, Asked::default())?);
        if !plans_only {
            ensure_here(!run.bundle.is_empty(), &system)?;
            ensure_answerable(fixing.yes, "--fix=safe --yes applies what is safe, --dry-run shows it")?;
        }
        let permission = Permission { yes: fixing.yes, level: allowed, confirm: &fixing.confirm };
        let session =
            Session { run, fixing, permission, only, policy, console, interrupts: interrupts.clone() };
        session.run(&system, plans_only).await
    };
    interrupts.during(work).await.map_err(|error| ExpectedError::usage(error.to_string()))?
}

/// Refuses where changes of this process would not reach the host of the engine.
fn ensure_here(bundle: bool, system: &RealSystem) -> std::result::Result<(), ExpectedError> {
    let why = if bundle { Some("the facts come from a bundle".to_owned()) } else { system.foreign() };
    match why {
        None => Ok(()),
        Some(why) => Err(ExpectedError::usage(format!(
            "only the host of the engine is changed, and {why}; run swarm-doctor there, or use --dry-run or \
             --emit-script FILE"
        ))),
    }
}

/// Refuses where a confirmation is needed and there is no terminal.
fn ensure_answerable(yes: bool, hint: &str) -> std::result::Result<(), ExpectedError> {
    if yes || std::io::stdin().is_terminal() {
        return Ok(());
    }
    let why =
        format!("standard input is not a terminal, so nothing can be confirmed. Nothing was changed; {hint}");
    Err(ExpectedError::refused(why))
}

/// Undoes one fix, or lists the receipts where none is named.
///
/// # Errors
/// Where it is refused.
pub async fn undo(
    receipt: Option<&str>,
    source: &Source,
    kept: &Receipts,
    confirmation: &crate::cli::Confirmation,
    console: &Console,
) -> std::result::Result<Ended, ExpectedError> {
    let Some(id) = receipt else {
        let (lines, _) = history(kept)?;
        console.say(MessageKind::Plain, "Name the receipt to undo: swarm-doctor undo RECEIPT");
        console.lines(&lines);
        return Ok(Ended { diagnosis: None, summary: String::new(), exit: Some(ExitCode::Usage) });
    };
    let interrupts = Interrupts::default();
    let work = async {
        let system = RealSystem::new(options(source, Asked::default())?);
        ensure_here(false, &system)?;
        let state = State::lock(&kept.state_dir)?;
        let context = FixContext::new(&system, system.hostname(), interrupts.clone()).await;
        let permission =
            Permission { yes: confirmation.yes, level: confirmation.level, confirm: &confirmation.confirm };
        undo_with(id, &state.receipts, permission, &context, console).await
    };
    interrupts.during(work).await.map_err(|error| ExpectedError::usage(error.to_string()))?
}

async fn undo_with(
    id: &str,
    receipts: &std::path::Path,
    permission: Permission<'_>,
    context: &FixContext<'_>,
    console: &Console,
) -> std::result::Result<Ended, ExpectedError> {
    let ended = |summary: String, exit| Ended { diagnosis: None, summary, exit: Some(exit) };
    let (record, level, lines) = match undo::plan(receipts, id, context).await? {
        undo::Decision::Nothing(why) => return Ok(ended(why, ExitCode::Healthy)),
        undo::Decision::Ready { record, level, lines } => (record, level, lines),
    };
    let begun = &record.begun;
    console.say(MessageKind::Plain, &format!("{id}: {} on {}: {}", begun.check, begun.subject, begun.title));
    console.say(MessageKind::Plain, &format!("Undoing it is {}:", level.as_str()));
    console.lines(&lines);
    match undo::consent(&record, level, permission, context) {
        Consent::Given => {}
        Consent::Withheld(why) => return Err(ExpectedError::refused(format!("not undone: {why}"))),
        Consent::Asked { name } => {
            ensure_answerable(false, &format!("--yes --level {} confirms it", level.as_str()))?;
            if !session::confirmed(console, &context.interrupts, "Undo this", &context.here, name.as_deref())
                .await?
            {
                return Ok(ended("Nothing was changed.".into(), ExitCode::Refused));
            }
        }
    }
    let outcome = undo::apply(receipts, &record, context, &session::Reporter(console)).await?;
    if outcome != Outcome::RolledBack {
        return Ok(ended(format!("{id} is only partly undone."), ExitCode::Refused));
    }
    let restored = lines.len();
    Ok(ended(format!("Undone: {restored} of {restored} operations of {id}."), ExitCode::Healthy))
}

/// One line for each receipt, and whether all could be read.
///
/// # Errors
/// Where the directory cannot be read.
pub fn history(kept: &Receipts) -> std::result::Result<(Vec<String>, bool), ExpectedError> {
    let system = RealSystem::of_files();
    let directory = kept.state_dir.join("receipts");
    let records = journal::records(&directory, &system)?;
    if records.is_empty() {
        return Ok((vec![format!("No fixes are recorded in {}.", kept.state_dir.display())], true));
    }
    let readable = records.iter().all(|(_, record)| record.is_ok());
    let line = |(id, record): &(String, Result<journal::Record>)| match record {
        Ok(record) => {
            let outcome = record.closed.as_ref().map_or("interrupted", |(outcome, _)| outcome.as_str());
            let undo = match record.closed.as_ref().map(|(outcome, _)| outcome) {
                Some(Outcome::Fixed | Outcome::DoneHere | Outcome::Unverified | Outcome::NotFixed) => {
                    if record.may_be_irreversible() {
                        ", cannot be undone"
                    } else if record.needs_no_undo() {
                        ", nothing to undo"
                    } else {
                        ""
                    }
                }
                _ => "",
            };
            let begun = &record.begun;
            format!("{id}  {outcome}{undo}  {} on {}: {}", begun.check, begun.subject, begun.title)
        }
        Err(error) => format!("{id}  damaged  {error}"),
    };
    Ok((records.iter().map(line).collect(), readable))
}

/// The receipts that an interruption left open, for a run that changes nothing.
pub fn open_receipts(kept: &Receipts) -> Vec<String> {
    let records = journal::records(&kept.state_dir.join("receipts"), &RealSystem::of_files());
    let records = records.unwrap_or_default().into_iter();
    records
        .filter(|(_, record)| record.as_ref().is_ok_and(|record| record.closed.is_none()))
        .map(|(id, _)| id)
        .collect()
}
