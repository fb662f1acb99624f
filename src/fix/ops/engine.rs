//! Starting, stopping and reloading dockerd through the service manager of the host.

use super::{Change, Operation, Planned, Reversal};
use crate::fix::error::{FixError, Result};
use crate::fix::{FixContext, Level};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// The time limit of the service manager.
const LIMIT: Duration = Duration::from_secs(120);
/// How long dockerd may take to answer after its start.
const ANSWER: Duration = Duration::from_secs(60);

/// What is done to dockerd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::fix) enum Action {
    /// It reads its configuration again.
    Reload,
    /// It is started if it does not run.
    Start,
    /// It is stopped and started.
    Restart,
    /// It is stopped.
    Stop,
}

/// An action with the command that carries it out on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::fix) struct EngineAction {
    action: Action,
    /// The program and its arguments; empty where no program is run.
    argv: Vec<String>,
}

impl Action {
    fn verb(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Stop => "stop",
        }
    }
}

pub(super) fn plan(planned: &mut Planned, action: Action, context: &FixContext<'_>) -> Result<()> {
    let runs = context.system.engine_pid().is_some();
    // A running engine needs no program to be reloaded, and none to stay started.
    let argv = if runs && matches!(action, Action::Reload | Action::Start) || action == Action::Reload {
        Vec::new()
    } else {
        argv(action, context)?
    };
    planned.push(Operation::Engine(EngineAction { action, argv }));
    Ok(())
}

/// Plans to start dockerd after a planned stop.
pub(super) fn plan_start_after_stop(planned: &mut Planned, context: &FixContext<'_>) -> Result<()> {
    let argv = argv(Action::Start, context)?;
    planned.push(Operation::Engine(EngineAction { action: Action::Start, argv }));
    Ok(())
}

/// The command for an action on this host.
pub(super) fn argv(action: Action, context: &FixContext<'_>) -> Result<Vec<String>> {
    let verb = action.verb();
    match context.system.service_manager() {
        Some(manager) => Ok(manager.argv(verb)),
        None => Err(FixError::Refused(format!(
            "neither systemd nor /etc/init.d/docker runs on this host: {verb} dockerd yourself, then run this again"
        ))),
    }
}

/// Starts dockerd if it does not run, and waits until it answers.
pub(in crate::fix) async fn start(context: &FixContext<'_>) -> Result<()> {
    if context.system.engine_pid().is_none() {
        context.system.run(&argv(Action::Start, context)?, LIMIT)?;
    }
    answers(context).await
}

/// Stops dockerd if it runs.
pub(super) fn stop(context: &FixContext<'_>) -> Result<()> {
    if context.system.engine_pid().is_none() {
        return Ok(());
    }
    context.system.run(&argv(Action::Stop, context)?, LIMIT).map(drop)
}

async fn answers(context: &FixContext<'_>) -> Result<()> {
    let deadline = context.system.uptime() + ANSWER;
    let mut seen = false;
    loop {
        let Err(error) = context.system.ping().await else { return Ok(()) };
        let runs = context.system.engine_pid().is_some();
        // An engine that ran and is gone exited by itself.
        if context.system.uptime() >= deadline || (seen && !runs) {
            return Err(FixError::Failed(format!("dockerd was started, but {error}")));
        }
        seen |= runs;
        context.system.sleep(Duration::from_millis(200)).await;
    }
}

impl Change for EngineAction {
    fn describe(&self) -> String {
        match (self.action, self.argv.is_empty()) {
            (Action::Reload, _) => "reload dockerd: SIGHUP".into(),
            (action, true) => format!("{} dockerd (it runs already)", action.verb()),
            (action, false) => format!("{} dockerd: {}", action.verb(), self.argv.join(" ")),
        }
    }

    fn describe_revert(&self) -> String {
        "start dockerd if it does not run".into()
    }

    fn level(&self) -> Level {
        if self.action == Action::Reload { Level::Safe } else { Level::Disruptive }
    }

    /// An engine that ran before runs afterwards. What it has read it keeps: the old configuration may be the one that
    /// stopped it.
    fn reversal(&self) -> Reversal {
        match self.action {
            Action::Reload | Action::Start => Reversal::Unneeded,
            Action::Restart | Action::Stop => Reversal::RevertLast,
        }
    }

    fn settles_within(&self) -> Duration {
        Duration::from_secs(if self.action == Action::Reload { 15 } else { 90 })
    }

    async fn apply(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        match (self.action, context.system.engine_pid()) {
            (Action::Reload, Some(pid)) => return context.system.reload_engine(pid),
            // An engine that does not run reads its configuration when it starts.
            (Action::Reload | Action::Stop, None) => return Ok(()),
            (Action::Start, Some(_)) => {}
            _ if self.argv.is_empty() => {
                context.system.run(&argv(self.action, context)?, LIMIT)?;
            }
            _ => {
                context.system.run(&self.argv, LIMIT)?;
            }
        }
        if self.action == Action::Stop { Ok(()) } else { answers(context).await }
    }

    async fn is_applied(&self, context: &FixContext<'_>) -> Result<bool> {
        let runs = context.system.engine_pid().is_some();
        Ok(match self.action {
            Action::Stop => !runs,
            Action::Reload => true,
            Action::Start | Action::Restart => runs && context.system.ping().await.is_ok(),
        })
    }

    async fn revert(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        start(context).await
    }
}
