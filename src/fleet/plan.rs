//! Which nodes are examined, and where they are reached.

use crate::error::ExpectedError;
use facts::link::Peer;
use facts::swarm::{Node, NodeState};
use facts::{NodeId, NodeName, Snapshot};
use glob::Pattern;
use std::io::Read as _;
use std::path::Path;

/// The largest file of hosts that is read, in bytes.
const MOST_OF_HOSTS: u64 = 1 << 20;
/// The most nodes that are examined.
const MOST_NODES: usize = 10_000;

/// A node to examine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Its hostname, else its address.
    pub(super) name: NodeName,
    /// Its node id, where it is known.
    pub(super) id: Option<NodeId>,
    /// The address or hostname that ssh connects to.
    pub(super) addr: String,
}

/// The nodes to examine, each once.
#[derive(Debug)]
pub(super) struct Plan {
    targets: Vec<Target>,
    only: Vec<Pattern>,
    /// The user named the hosts, so the node list adds none.
    fixed: bool,
}

impl Plan {
    /// A plan without nodes.
    pub(super) fn new(only: &[Pattern]) -> Self {
        Self { targets: Vec::new(), only: only.to_vec(), fixed: false }
    }

    /// The hosts in a file, one per line; `#` starts a comment.
    pub(super) fn of_hosts(path: &Path, only: &[Pattern]) -> Result<Self, ExpectedError> {
        let failed = |error: &std::io::Error| ExpectedError::file("read", path, error);
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
        file.take(MOST_OF_HOSTS).read_to_string(&mut text).map_err(|error| failed(&error))?;
        let mut plan = Self { fixed: true, ..Self::new(only) };
        for (at, line) in text.lines().enumerate() {
            let host = line.split('#').next().unwrap_or_default().trim();
            if host.is_empty() {
                continue;
            }
            if !is_host(host) {
                let what = format!("{}:{}: {host:?} is not a host", path.display(), at + 1);
                return Err(ExpectedError::usage(what));
            }
            // `admin@node2` is a node named node2.
            let name = host.rsplit_once('@').map_or(host, |(_, name)| name);
            plan.add(Target { name: name.into(), id: None, addr: host.to_owned() });
        }
        Ok(plan)
    }

    /// The nodes in it.
    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Adds the nodes of a node list, and returns those that are new.
    pub(super) fn add_nodes(&mut self, nodes: &[Node]) -> Vec<Target> {
        if self.fixed {
            return Vec::new();
        }
        let is_stale = |node: &&Node| {
            let replaced = |other: &Node| other.state == NodeState::Ready && other.name == node.name;
            node.state == NodeState::Down && nodes.iter().any(replaced)
        };
        let listed = nodes.iter().filter(|node| !is_stale(node)).map(|node| {
            let addr = node.manager.as_ref().and_then(|manager| manager.addr).map(|addr| addr.ip());
            let usable = |addr: &std::net::IpAddr| !addr.is_unspecified() && !addr.is_loopback();
            let addr = addr.filter(usable).or(node.addr.filter(usable));
            Target {
                name: node.name.clone(),
                id: Some(node.id.clone()),
                addr: addr.map_or_else(|| node.name.to_string(), |addr| addr.to_string()),
            }
        });
        listed.filter_map(|target| self.add(target)).collect()
    }

    /// Adds the nodes that a node without a node list remembers, and returns those that are new.
    pub(super) fn add_peers(&mut self, peers: &[Peer]) -> Vec<Target> {
        if self.fixed {
            return Vec::new();
        }
        let remembered = peers.iter().map(|peer| Target {
            name: peer.label().as_str().into(),
            id: peer.node_id.clone(),
            addr: peer.addr.to_string(),
        });
        remembered.filter_map(|target| self.add(target)).collect()
    }

    /// This host as one of the nodes: by the user's file, else where it is a member of a swarm.
    pub(super) fn local(&mut self, snapshot: &Snapshot) -> Option<Target> {
        let host = snapshot.hosts.first()?;
        if self.fixed {
            let interfaces = host.interfaces.get().map(|all| all.value.as_slice()).unwrap_or_default();
            let holds = |target: &Target| match target.addr.parse() {
                Ok(addr) => interfaces.iter().any(|interface| interface.holds(addr)),
                Err(_) => target.name == host.name,
            };
            return self.targets.iter().find(|target| holds(target)).cloned();
        }
        let info = host.info.get().ok().map(|info| &info.swarm);
        let reported = info.map(|swarm| swarm.node_id.clone()).filter(|id| !id.as_str().is_empty());
        let certified = || Some(NodeId(host.certificate.get().ok()?.as_ref()?.common_name.clone()));
        let id = reported.or_else(certified)?;
        let addr = info.and_then(|swarm| swarm.node_addr);
        let addr = addr.map_or_else(|| host.name.to_string(), |addr| addr.to_string());
        self.add(Target { name: host.name.clone(), id: Some(id), addr })
    }

    /// The name of the node at an address, as far as it became known.
    pub(super) fn name(&self, addr: &str) -> NodeName {
        let found = self.targets.iter().find(|target| target.addr == addr);
        found.map_or_else(|| addr.into(), |target| target.name.clone())
    }

    /// Adds a node that is not in the plan and that the user wants; a later name or id completes the earlier entry.
    fn add(&mut self, target: Target) -> Option<Target> {
        let wanted =
            |pattern: &Pattern| pattern.matches(target.name.as_str()) || pattern.matches(&target.addr);
        if !(self.only.is_empty() || self.only.iter().any(wanted)) || self.targets.len() >= MOST_NODES {
            return None;
        }
        let same =
            |other: &&mut Target| other.addr == target.addr || (other.id.is_some() && other.id == target.id);
        if let Some(other) = self.targets.iter_mut().find(same) {
            other.id = other.id.take().or(target.id);
            if other.name.as_str() == other.addr {
                other.name = target.name;
            }
            return None;
        }
        self.targets.push(target.clone());
        Some(target)
    }
}

/// Whether a text can be given to ssh as a host: a hostname or an address, with a user where one is named. It cannot be
/// taken for an option.
pub(super) fn is_host(text: &str) -> bool {
    let plain = |char: char| char.is_ascii_alphanumeric() || "._:@%-".contains(char);
    !text.is_empty() && text.len() <= 320 && !text.starts_with('-') && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_cannot_be_an_option_or_hold_a_blank() {
        for good in ["node2", "admin@192.0.2.2", "fe80::1%eth0", "a.example"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "-oProxyCommand=x", "a b", "a;b", "$(x)", "a\nb"] {
            assert!(!is_host(bad), "{bad}");
        }
    }

    #[test]
    fn a_file_of_hosts_names_each_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        std::fs::write(&path, "# nodes\nnode1\nadmin@node2 # the second\n\nnode1\n").unwrap();
        let names = |only: &[Pattern]| {
            let plan = Plan::of_hosts(&path, only).unwrap();
            plan.targets().iter().map(|target| target.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(&[]), ["node1", "node2"]);
        assert_eq!(names(&[Pattern::new("*2").unwrap()]), ["node2"]);
        std::fs::write(&path, "node1\n-oProxyCommand=x\n").unwrap();
        let error = Plan::of_hosts(&path, &[]).unwrap_err().to_string();
        assert!(error.ends_with(":2: \"-oProxyCommand=x\" is not a host"), "{error}");
    }
}
