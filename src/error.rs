//! Errors that the user can act on, and messages on standard error.

use crate::collect::EndpointError;
use crate::exit::ExitCode;
use crate::report::Printable;
use std::fmt;
use std::io::Write as _;
use std::path::Path;

/// An expected error: one line after "swarm-doctor: ". Its text may hold names from a bundle or a configuration file, so
/// it is printable by type.
#[derive(Debug)]
pub struct ExpectedError {
    text: Printable,
    exit: ExitCode,
}

impl ExpectedError {
    /// The command line or a file that it names is wrong.
    pub fn usage(text: impl AsRef<str>) -> Self {
        Self { text: Printable::line(text.as_ref()), exit: ExitCode::Usage }
    }

    /// A fix is not allowed or not possible.
    pub fn refused(text: String) -> Self {
        Self { text: Printable::line(&text), exit: ExitCode::Refused }
    }

    /// A signal ended a fix.
    pub(crate) fn interrupted(what: String, signal: crate::fix::Signal) -> Self {
        let exit = match signal {
            crate::fix::Signal::Hangup => ExitCode::HungUp,
            crate::fix::Signal::Interrupt => ExitCode::Interrupted,
            crate::fix::Signal::Terminate => ExitCode::Terminated,
        };
        Self { text: Printable::new(&what), exit }
    }

    /// A file could not be read or written.
    pub fn file(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::usage(format!("cannot {doing} {}: {error}", path.display()))
    }

    /// A bundle is damaged or of an unknown format.
    pub fn bundle(path: &Path, what: &str) -> Self {
        Self::usage(format!("cannot read the bundle {}: {what}", path.display()))
    }

    /// The exit code.
    pub fn exit(&self) -> ExitCode {
        self.exit
    }
}

impl fmt::Display for ExpectedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl From<EndpointError> for ExpectedError {
    fn from(error: EndpointError) -> Self {
        Self::usage(error.to_string())
    }
}

/// Writes a message to standard error. One that cannot be written is lost: there is no other place for it.
pub fn notice(text: &str) {
    drop(writeln!(std::io::stderr(), "swarm-doctor: {}", Printable::new(text.trim_end())));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_cannot_steer_the_terminal() {
        let error = ExpectedError::bundle(Path::new("a\u{1b}[2J.tar.zst"), "host \"\u{9b}31m\u{202e}\"");
        let shown = error.to_string();
        assert_eq!(shown, "cannot read the bundle a\\u{1b}[2J.tar.zst: host \"\\u{9b}31m\\u{202e}\"");
    }
}
