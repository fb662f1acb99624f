//! What to do about a finding. Checks describe it; nothing in this crate carries it out.

use crate::{Step, Str};

/// A proposed change, with its steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Remedy {
    /// An imperative.
    pub title: Str,
    /// What applying it can do.
    pub risk: Risk,
    /// The effect on the user's workload while it is applied, in one sentence.
    pub impact: Str,
    /// In order.
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
    /// As in reports, options and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Disruptive => "disruptive",
            Self::Destructive => "destructive",
            Self::Manual => "manual",
        }
    }
}

/// Quotes one argument for a POSIX shell if it needs quotes. Names come from the cluster, and operators copy the displayed
/// commands.
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
    fn an_argument_with_shell_characters_is_quoted() {
        assert_eq!(shell_quote("node-1.example.net"), "node-1.example.net");
        assert_eq!(shell_quote("x; reboot"), "'x; reboot'");
        assert_eq!(shell_quote("it's"), r"'it'\''s'");
        assert_eq!(shell_quote("$(reboot)"), "'$(reboot)'");
        assert_eq!(shell_quote(""), "''");
    }
}
