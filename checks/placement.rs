//! Where a task may run: the constraints, platforms and resources of a service against the nodes, as swarm's
//! scheduler takes them.

use facts::service::Platform;
use facts::swarm::{Node, NodeState};
use std::net::IpAddr;

/// One condition on a node, such as `node.labels.zone!=a`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Constraint<'a> {
    /// What is compared, such as `node.hostname`.
    pub(crate) key: &'a str,
    /// Whether it has to be equal.
    pub(crate) equal: bool,
    /// What it is compared with.
    pub(crate) value: &'a str,
}

impl<'a> Constraint<'a> {
    /// Reads one; `None` where it is none, which swarm refuses too.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (key, equal, value) = match (text.split_once("=="), text.split_once("!=")) {
            (Some((key, value)), Some((other, _))) if key.len() < other.len() => (key, true, value),
            (_, Some((key, value))) => (key, false, value),
            (Some((key, value)), None) => (key, true, value),
            (None, None) => return None,
        };
        let (key, value) = (key.trim(), value.trim());
        (!key.is_empty() && !value.is_empty()).then_some(Self { key, equal, value })
    }

    /// The name of the label of the node that it asks for, where it asks for one.
    pub(crate) fn node_label(&self) -> Option<&'a str> {
        after(self.key, "node.labels.")
    }

    /// Whether swarm knows what is compared. A condition on anything else holds nowhere.
    pub(crate) fn is_known(&self) -> bool {
        let plain =
            ["node.id", "node.hostname", "node.ip", "node.role", "node.platform.os", "node.platform.arch"];
        plain.iter().any(|key| self.key.eq_ignore_ascii_case(key))
            || self.node_label().is_some()
            || after(self.key, "engine.labels.").is_some()
    }

    /// What a node has to compare with; empty where it has no such label.
    pub(crate) fn found_on<'n>(&self, node: &'n Node) -> Option<&'n str> {
        let is = |key: &str| self.key.eq_ignore_ascii_case(key);
        if is("node.id") {
            return Some(node.id.as_str());
        } else if is("node.hostname") {
            return Some(node.name.as_str());
        } else if is("node.role") {
            return Some(if node.wants_manager { "manager" } else { "worker" });
        } else if is("node.platform.os") {
            return Some(&node.platform.os);
        } else if is("node.platform.arch") {
            return Some(&node.platform.architecture);
        }
        let label = |labels: &'n std::collections::BTreeMap<String, String>, name: &str| {
            Some(labels.get(name).map_or("", String::as_str))
        };
        match (self.node_label(), after(self.key, "engine.labels.")) {
            (Some(name), _) => label(&node.labels, name),
            (_, Some(name)) => label(&node.engine_labels, name),
            _ => None,
        }
    }

    /// Whether it holds on a node. Values know no case, as in swarm.
    pub(crate) fn holds(&self, node: &Node) -> bool {
        let same = if self.key.eq_ignore_ascii_case("node.ip") {
            node.addr.is_some_and(|addr| covers(self.value, addr))
        } else {
            match self.found_on(node) {
                Some(found) => found.eq_ignore_ascii_case(self.value),
                None => return false,
            }
        };
        same == self.equal
    }
}

/// What follows a prefix that knows no case.
fn after<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    (head.eq_ignore_ascii_case(prefix) && !rest.is_empty()).then_some(rest)
}

/// Whether an address, or a network such as `192.0.2.0/24`, is or covers `addr`.
fn covers(text: &str, addr: IpAddr) -> bool {
    let (network, prefix) = text.split_once('/').unwrap_or((text, "128"));
    match (network.parse(), prefix.parse()) {
        (Ok(network), Ok(prefix)) => facts::host::Address { addr: network, prefix }.covers(addr),
        _ => false,
    }
}

/// Whether all of these hold on a node.
pub(crate) fn satisfies(constraints: &[String], node: &Node) -> bool {
    constraints.iter().all(|text| Constraint::parse(text).is_none_or(|constraint| constraint.holds(node)))
}

/// Whether the node takes new tasks.
pub(crate) fn is_open(node: &Node) -> bool {
    node.availability == "active" && node.state == NodeState::Ready
}

/// Why the node takes no new tasks, in words.
pub(crate) fn closed_because(node: &Node) -> Option<String> {
    match (node.availability.as_str(), &node.state) {
        ("active", NodeState::Ready) => None,
        ("active", state) => Some(state.as_str().to_owned()),
        ("drain", _) => Some("drained".to_owned()),
        ("pause", _) => Some("paused".to_owned()),
        (other, _) => Some(other.to_owned()),
    }
}

/// Whether an image built for one of these platforms runs on the node; it does where none is known.
pub(crate) fn fits_platform(platforms: &[Platform], node: &Node) -> bool {
    let fits = |wanted: &Platform| {
        let same = |wanted: &str, found: &str| wanted.is_empty() || found.is_empty() || wanted == found;
        same(&wanted.os, &node.platform.os)
            && same(processor(&wanted.architecture), processor(&node.platform.architecture))
    };
    platforms.is_empty() || platforms.iter().any(fits)
}

/// The name that images use for a processor.
fn processor(name: &str) -> &str {
    match name {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constraint(text: &str) -> Option<(&str, bool, &str)> {
        Constraint::parse(text).map(|c| (c.key, c.equal, c.value))
    }

    #[test]
    fn reads_constraints_with_and_without_blanks() {
        assert_eq!(constraint("node.role == manager"), Some(("node.role", true, "manager")));
        assert_eq!(constraint("node.labels.a!=b==c"), Some(("node.labels.a", false, "b==c")));
        assert_eq!(constraint("node.labels.a==b!=c"), Some(("node.labels.a", true, "b!=c")));
        assert_eq!(constraint("node.role=manager"), None);
        assert_eq!(constraint("==x"), None);
    }

    #[test]
    fn networks_cover_addresses() {
        assert!(covers("192.0.2.0/24", "192.0.2.7".parse().unwrap()));
        assert!(covers("192.0.2.7", "192.0.2.7".parse().unwrap()));
        assert!(!covers("192.0.2.8", "192.0.2.7".parse().unwrap()));
        assert!(!covers("x", "192.0.2.7".parse().unwrap()));
    }
}
