//! What to do about a finding. Checks describe it; nothing in this crate carries it out.

use crate::Str;
use facts::NodeName;

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

/// One thing to do on one node. Closed on purpose: each can be shown, and later backed up, applied and undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Set or remove a key of a JSON file.
    EditJson {
        /// Where.
        node: NodeName,
        /// The file.
        file: String,
        /// The key, as a JSON pointer.
        pointer: String,
        /// The new value as JSON, or none to remove the key.
        to: Option<String>,
    },
    /// Set a kernel setting, now and for every start.
    SetSysctl {
        /// Where.
        node: NodeName,
        /// Its dotted name.
        key: String,
        /// Its value.
        to: String,
    },
    /// Load a kernel module, now and at every start.
    LoadModule {
        /// Where.
        node: NodeName,
        /// Its name.
        module: String,
    },
    /// Start the engine again.
    RestartEngine {
        /// Where.
        node: NodeName,
    },
    /// Make a manager a worker.
    DemoteManager {
        /// The manager.
        node: NodeName,
    },
    /// Something to be done by a person.
    ByHand {
        /// Where.
        node: NodeName,
        /// What.
        text: String,
        /// The commands, where there are any.
        commands: Vec<String>,
    },
}

impl Step {
    /// The node on which it is done.
    pub fn node(&self) -> &NodeName {
        match self {
            Self::EditJson { node, .. }
            | Self::SetSysctl { node, .. }
            | Self::LoadModule { node, .. }
            | Self::RestartEngine { node }
            | Self::DemoteManager { node }
            | Self::ByHand { node, .. } => node,
        }
    }

    /// What is done, in words.
    pub fn text(&self) -> String {
        match self {
            Self::EditJson { file, pointer, to: Some(value), .. } => {
                format!("in {file} set {pointer} to {value}")
            }
            Self::EditJson { file, pointer, to: None, .. } => format!("in {file} remove {pointer}"),
            Self::SetSysctl { key, to, .. } => format!("set {key} to {to}, now and at every start"),
            Self::LoadModule { module, .. } => {
                format!("load the kernel module {module}, now and at every start")
            }
            Self::RestartEngine { .. } => "restart the engine".to_owned(),
            Self::DemoteManager { .. } => "demote the node, from a manager that answers".to_owned(),
            Self::ByHand { text, .. } => text.clone(),
        }
    }

    /// The commands a person would type for it.
    pub fn commands(&self) -> Vec<String> {
        match self {
            Self::EditJson { .. } => Vec::new(),
            Self::SetSysctl { key, to, .. } => vec![
                format!("sysctl -w {key}={to}"),
                format!("echo '{key} = {to}' > /etc/sysctl.d/90-swarm.conf"),
            ],
            Self::LoadModule { module, .. } => {
                vec![
                    format!("modprobe {module}"),
                    format!("echo {module} > /etc/modules-load.d/{module}.conf"),
                ]
            }
            Self::RestartEngine { .. } => vec!["systemctl restart docker".to_owned()],
            Self::DemoteManager { node } => vec![format!("docker node demote {}", word(node.as_str()))],
            Self::ByHand { commands, .. } => commands.clone(),
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
