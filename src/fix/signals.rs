//! SIGINT, SIGTERM and SIGHUP while a fix runs: the current operation ends, what was begun is rolled back, and the process
//! ends with the exit code of the signal.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// A signal that asks swarm-doctor to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: the terminal is gone.
    Hangup,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hangup => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        })
    }
}

/// The first signal that came.
#[derive(Clone, Default)]
pub struct Interrupts(Rc<(Cell<Option<Signal>>, Notify)>);

impl Interrupts {
    /// Runs `work` while it listens; without it the default action of a signal ends the process in the middle of an
    /// operation.
    ///
    /// # Errors
    /// Where the handlers cannot be installed.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> std::io::Result<T> {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut work = std::pin::pin!(work);
        loop {
            let signal = tokio::select! {
                biased;
                Some(()) = hangup.recv() => Signal::Hangup,
                Some(()) = interrupt.recv() => Signal::Interrupt,
                Some(()) = terminate.recv() => Signal::Terminate,
                result = &mut work => return Ok(result),
            };
            self.raise(signal);
        }
    }

    /// Records a signal.
    pub fn raise(&self, signal: Signal) {
        if self.0.0.get().is_none() {
            self.0.0.set(Some(signal));
        }
        self.0.1.notify_waiters();
    }

    /// The signal that came, if one did.
    pub fn caught(&self) -> Option<Signal> {
        self.0.0.get()
    }

    /// Waits for a signal.
    pub async fn wait(&self) -> Signal {
        loop {
            let notified = self.0.1.notified();
            if let Some(signal) = self.caught() {
                return signal;
            }
            notified.await;
        }
    }
}
