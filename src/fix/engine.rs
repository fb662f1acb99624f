//! Turning the engine: by the service manager that started it.

use super::act::Undo;
use super::{Ground, program};
use crate::collect::{Engine, dockerd};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::time::{Duration, Instant};

/// The most that a service manager may take to stop or start an engine.
const DEADLINE: Duration = Duration::from_secs(120);
/// The most that an engine may take to answer once it was started.
const ANSWER: Duration = Duration::from_secs(60);

/// What is done to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It reads its configuration again.
    Reload,
    /// It is started, where it does not run.
    Start,
    /// It is stopped and started.
    Restart,
    /// It is stopped.
    Stop,
}

impl Turn {
    /// In words.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Reload => "let the engine read its configuration again",
            Self::Start => "start the engine",
            Self::Restart => "restart the engine",
            Self::Stop => "stop the engine",
        }
    }

    /// How it is taken back: an engine is left running.
    pub(super) fn undo(self) -> Undo {
        match self {
            Self::Reload | Self::Start => Undo::Stays,
            Self::Restart | Self::Stop => Undo::Running,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Stop => "stop",
        }
    }
}

/// The program that turns the engine, where one can be found: it is asked before anything is done.
pub(super) fn way(turn: Turn) -> Result<Vec<String>, String> {
    let word = turn.as_str().to_owned();
    if Path::new("/run/systemd/system").is_dir() {
        return Ok(vec!["systemctl".into(), word, unit()]);
    }
    let script = "/etc/init.d/docker";
    if Path::new(script).is_file() {
        return Ok(vec![script.into(), word]);
    }
    Err(format!(
        "neither systemd nor {script} is here to {word} the engine: do it as you start it, and run this again"
    ))
}

/// Turns the engine and, where it has to run afterwards, waits until it answers.
pub(super) async fn turn(turn: Turn, ground: &Ground) -> Result<(), String> {
    let running = dockerd();
    match (turn, running) {
        (Turn::Reload, Some(process)) => {
            let pid = i32::try_from(process.pid).map_err(|error| error.to_string())?;
            return kill(Pid::from_raw(pid), Signal::SIGHUP)
                .map_err(|error| format!("failed to reload: {error}"));
        }
        // One that does not run reads its configuration when it is started.
        (Turn::Reload | Turn::Stop, None) => return Ok(()),
        (Turn::Start, Some(_)) => {}
        _ => {
            program::run(&way(turn)?, DEADLINE)?;
        }
    }
    match turn {
        Turn::Stop => Ok(()),
        _ => answers(ground).await,
    }
}

async fn answers(ground: &Ground) -> Result<(), String> {
    let deadline = Instant::now() + ANSWER;
    let mut seen = false;
    loop {
        let why = match Engine::connect(&ground.options).await {
            Ok(_) => return Ok(()),
            Err(why) => why,
        };
        let runs = dockerd().is_some();
        // One that was there and is gone again ended of itself.
        if Instant::now() >= deadline || (seen && !runs) {
            return Err(format!("the engine was started and does not answer: {why}"));
        }
        seen |= runs;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The unit that the running engine belongs to: snap's has another name.
fn unit() -> String {
    let group =
        dockerd().and_then(|process| std::fs::read_to_string(format!("/proc/{}/cgroup", process.pid)).ok());
    let unit = group.as_deref().unwrap_or_default().lines().find_map(|line| {
        let name = line.rsplit('/').next()?;
        name.ends_with(".service").then(|| name.to_owned())
    });
    unit.unwrap_or_else(|| "docker.service".to_owned())
}
