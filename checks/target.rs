//! Where a step is carried out.

use facts::NodeName;
use std::fmt;

/// Where a step is carried out. Prose about a place is never a [`NodeName`]: a host may really be called "a manager".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// This host.
    Node(NodeName),
    /// Any manager of the swarm.
    AnyManager,
    /// A manager other than the one that the finding is about.
    OtherManager,
    /// A manager that still runs.
    RemainingManager,
    /// Every node except the one that the finding is about.
    EachOtherNode,
    /// Every worker.
    EachWorker,
    /// Every node.
    EachNode,
    /// A peer that is known by an address, or by a label of the swarm's own list of managers.
    Peer(String),
    /// A host whose name is unknown, such as the manager that `--join` names.
    Described(&'static str),
}

impl Target {
    /// This host where it is known, or any manager.
    pub fn manager(known: Option<NodeName>) -> Self {
        known.map_or(Self::AnyManager, Self::Node)
    }

    /// Whether it is exactly this host.
    pub fn is(&self, host: &NodeName) -> bool {
        matches!(self, Self::Node(name) if name == host)
    }
}

impl From<NodeName> for Target {
    fn from(name: NodeName) -> Self {
        Self::Node(name)
    }
}

impl From<&NodeName> for Target {
    fn from(name: &NodeName) -> Self {
        Self::Node(name.clone())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node(name) => name.as_str(),
            Self::AnyManager => "any manager",
            Self::OtherManager => "another manager",
            Self::RemainingManager => "a remaining manager",
            Self::EachOtherNode => "every other node",
            Self::EachWorker => "every worker",
            Self::EachNode => "every node",
            Self::Peer(label) => label,
            Self::Described(text) => text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Target;
    use facts::NodeName;

    #[test]
    fn a_host_that_is_called_a_manager_is_not_any_manager() {
        for place in [Target::AnyManager, Target::OtherManager, Target::EachOtherNode] {
            let named = NodeName(place.to_string());
            assert!(!place.is(&named));
            assert_ne!(place, Target::from(named));
        }
    }
}
