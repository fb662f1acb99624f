//! Why a fix did not go on. Decisions match on the variant and never on a message.

use facts::Why;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// A result of a fix.
pub type Result<T> = std::result::Result<T, FixError>;

/// Why something could not be done.
#[derive(Debug, Error)]
pub enum FixError {
    /// A system call failed.
    #[error("failed to {action} {}: {source}", path.display())]
    Io {
        /// The verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A file must not be changed.
    #[error("{} is not changed: {reason}", path.display())]
    Protected {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The state is not the one that was planned for.
    #[error("{what} was changed by another program meanwhile and stays as it is")]
    Changed {
        /// What.
        what: String,
    },
    /// A program failed.
    #[error("`{command}` {failure}")]
    Command {
        /// The program and its arguments.
        command: String,
        /// How it failed.
        failure: CommandFailure,
    },
    /// The engine does not answer at all.
    #[error("the engine does not answer: {0}")]
    NoEngine(Why),
    /// The engine refused a request or did not answer it in time.
    #[error("{request}: {why}")]
    Api {
        /// Method and path.
        request: String,
        /// Its answer.
        why: Why,
    },
    /// It would be wrong or dangerous here.
    #[error("{0}")]
    Refused(String),
    /// An operation ended without the state that it is for.
    #[error("{0}")]
    Failed(String),
    /// A signal asked swarm-doctor to end.
    #[error("{0} was received")]
    Interrupted(super::Signal),
}

/// How a program failed.
#[derive(Debug, Error)]
pub enum CommandFailure {
    /// It could not be started.
    #[error("could not be started: {0}")]
    Start(io::Error),
    /// It was killed after its time limit.
    #[error("did not end within {0} s")]
    TimedOut(u64),
    /// It ended with an error.
    #[error("failed with {}: {output}", status.map_or_else(|| "a signal".to_owned(), |code| format!("status {code}")))]
    Exit {
        /// The exit status; none after a signal.
        status: Option<i32>,
        /// The end of its output.
        output: String,
    },
}

impl FixError {
    /// Wraps an error of the system.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// The HTTP status with which the engine refused a request.
    pub(super) fn refused_by_engine(&self) -> bool {
        matches!(self, Self::Api { why: Why::Refused { .. }, .. })
    }

    /// Whether a program ran and answered with this exit status.
    pub(super) fn exited_with(&self, code: i32) -> bool {
        matches!(self, Self::Command { failure: CommandFailure::Exit { status: Some(status), .. }, .. } if *status == code)
    }
}
