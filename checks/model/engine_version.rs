//! The version of an engine.

use facts::log::{Line, Log};
use std::fmt;

/// The version of an engine: `29.2.1`, `20.10.24+dfsg1`, `17.03.2-ce`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EngineVersion(pub(crate) u16, pub(crate) u16, pub(crate) u16);

impl EngineVersion {
    /// Parses a version; `None` for one that does not begin with two numbers.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(|char: char| !char.is_ascii_digit()).map(|part| part.parse().ok());
        Some(Self(numbers.next()??, numbers.next()??, numbers.next().flatten().unwrap_or(0)))
    }

    /// The version that the engine logged when it last started.
    pub(crate) fn of_log(log: &Log) -> Option<Self> {
        let version = |line: &Line| {
            let field = line.fields.get("version").filter(|_| line.message == "Docker daemon")?;
            Self::parse(field)
        };
        log.lines.iter().rev().find_map(version)
    }
}

impl fmt::Display for EngineVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Engines from 17.03 to 20.10 have a month of two digits.
        if (17..=22).contains(&self.0) {
            write!(f, "{}.{:02}.{}", self.0, self.1, self.2)
        } else {
            write!(f, "{}.{}.{}", self.0, self.1, self.2)
        }
    }
}
