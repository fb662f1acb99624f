//! What the user can act on.

use crate::collect::EndpointError;
use crate::exit::ExitCode;
use std::fmt;
use std::path::Path;

/// An error that is the world's and not ours: said in one line, after "swarm-doctor: ".
#[derive(Debug)]
pub struct ExpectedError {
    what: String,
    exit: ExitCode,
}

impl ExpectedError {
    /// The command line asks for something that is not there.
    pub fn usage(what: impl Into<String>) -> Self {
        Self { what: what.into(), exit: ExitCode::Usage }
    }

    /// Nothing may be changed so.
    pub fn refused(what: String) -> Self {
        Self { what, exit: ExitCode::Refused }
    }

    /// A file could not be read or written.
    pub fn file(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::usage(format!("failed to {doing} {}: {error}", path.display()))
    }

    /// A bundle is not what it should be.
    pub fn bundle(path: &Path, what: &str) -> Self {
        Self::usage(format!("failed to read the bundle {}: {what}", path.display()))
    }

    /// What the process ends with.
    pub fn exit(&self) -> ExitCode {
        self.exit
    }
}

impl fmt::Display for ExpectedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)
    }
}

impl From<EndpointError> for ExpectedError {
    fn from(error: EndpointError) -> Self {
        Self::usage(error.to_string())
    }
}
