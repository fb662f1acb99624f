//! What to do about a finding. Checks describe it; nothing in this crate carries it out.

use crate::{Step, Str};

/// A proposal.
#[derive(Clone, Debug, PartialEq)]
pub struct Remedy {
    /// An imperative.
    pub title: Str,
    /// Effect of applying it.
    pub risk: Risk,
    /// What will be felt while it is done, in one sentence.
    pub impact: Str,
    /// What to do, in order.
    pub steps: Vec<Step>,
}

/// Effect of a remedy on the swarm. One scale for reports, `--fix` and JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    /// Running tasks are not affected.
    Safe,
    /// Tasks or an engine restart.
    Disruptive,
    /// Membership, quorum or state can be lost.
    Destructive,
    /// A person has to decide; never applied by `--fix`.
    Manual,
}

impl Risk {
    /// The word for it, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Disruptive => "disruptive",
            Self::Destructive => "destructive",
            Self::Manual => "manual",
        }
    }
}

/// A word of a command that means nothing but itself to a shell. Names come from the cluster, and whoever reads
/// a command at 3 a.m. copies it.
pub fn shell_quote(text: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "._-:/@%+=,".contains(char);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::shell_quote;

    #[test]
    fn a_name_that_would_be_a_command_is_quoted() {
        assert_eq!(shell_quote("node-1.example.net"), "node-1.example.net");
        assert_eq!(shell_quote("x; reboot"), "'x; reboot'");
        assert_eq!(shell_quote("it's"), r"'it'\''s'");
        assert_eq!(shell_quote("$(reboot)"), "'$(reboot)'");
        assert_eq!(shell_quote(""), "''");
    }
}
