//! What to do about a finding. Checks describe it; nothing in this crate carries it out.

use crate::{Step, Str};

/// A proposal.
#[derive(Clone, Debug, PartialEq)]
pub struct Remedy {
    /// An imperative.
    pub title: Str,
    /// How much it may hurt.
    pub risk: Risk,
    /// What will be felt while it is done, in one sentence.
    pub impact: Str,
    /// What to do, in order.
    pub steps: Vec<Step>,
}

/// How much a remedy may hurt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    /// Nothing that runs is touched.
    Harmless,
    /// Tasks or an engine restart.
    RestartsTasks,
    /// Membership, quorum or state can be lost.
    EndangersQuorum,
    /// Only a person can judge it.
    ByHand,
}

impl Risk {
    /// The word for it, in lower case.
    pub fn word(self) -> &'static str {
        match self {
            Self::Harmless => "harmless",
            Self::RestartsTasks => "restarts tasks",
            Self::EndangersQuorum => "endangers quorum",
            Self::ByHand => "by hand",
        }
    }
}

/// A word of a command that means nothing but itself to a shell. Names come from the cluster, and whoever reads
/// a command at 3 a.m. copies it.
pub fn word(text: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "._-:/@%+=,".contains(char);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn a_name_that_would_be_a_command_is_quoted() {
        assert_eq!(word("node-1.example.net"), "node-1.example.net");
        assert_eq!(word("x; reboot"), "'x; reboot'");
        assert_eq!(word("it's"), r"'it'\''s'");
        assert_eq!(word("$(reboot)"), "'$(reboot)'");
        assert_eq!(word(""), "''");
    }
}
