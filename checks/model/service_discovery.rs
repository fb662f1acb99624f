//! The endpoints that the managers expect on a network, and the records of them in NetworkDB of one node.

use crate::{Findings, Subject, View};
use facts::container::{Container, Netns};
use facts::network::{EndpointRecord, Network};
use facts::service::{Service, Task};
use facts::swarm::{Node, NodeState};
use facts::{Host, NodeId, Seen, TaskId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// For how many seconds a state must have lasted until every node has to know it. Gossip sends a change within seconds;
/// what it loses is repaired by the bulk sync, which each node does with one other node every 30 s.
pub(crate) const SETTLED_SECONDS: i64 = 60;

/// How far apart the manager and a node may have been examined, in seconds, to compare the node with the task list.
const SAME_TIME_SECONDS: i64 = 5;

/// Whether a node and the lists of the manager were examined at the same time.
pub(crate) fn taken_at_once(host: &Host, view: &View<'_>) -> bool {
    let apart = host.taken.as_second() - view.snapshot.taken.as_second();
    apart.abs() <= SAME_TIME_SECONDS
}

/// What the managers know.
pub(crate) struct Expected<'a> {
    pub(crate) tasks: &'a Seen<Vec<Task>>,
    pub(crate) services: &'a Seen<Vec<Service>>,
    pub(crate) nodes: &'a Seen<Vec<Node>>,
    taken: Timestamp,
}

/// The containers whose namespace was examined, with their node; the others are unknown.
pub(crate) fn examined_containers<'a>(
    view: &View<'a>,
    out: &mut Findings<'_>,
) -> Vec<(&'a Host, &'a Container, &'a Seen<Netns>)> {
    let mut examined = Vec::new();
    for host in &view.snapshot.hosts {
        let containers = match host.containers.get() {
            Ok(containers) => containers,
            Err(gap) => {
                out.inconclusive(Subject::Node(host.name.clone()), gap);
                continue;
            }
        };
        for container in &containers.value {
            match container.netns.get() {
                Ok(netns) => examined.push((host, container, netns)),
                Err(gap) => out.inconclusive(Subject::Service(container.service_name.clone()), gap),
            }
        }
    }
    examined
}

impl<'a> Expected<'a> {
    pub(crate) fn of(view: &View<'a>) -> Result<Self, facts::Gap> {
        let snapshot = view.snapshot;
        Ok(Self {
            tasks: snapshot.tasks.get()?,
            services: snapshot.services.get()?,
            nodes: snapshot.nodes.get()?,
            taken: snapshot.taken,
        })
    }

    /// Whether the task list may be newer or as old as what was collected on the node, but not older.
    pub(crate) fn covers(&self, host: &Host) -> bool {
        host.taken.as_second() - self.taken.as_second() <= SAME_TIME_SECONDS
    }

    pub(crate) fn task(&self, id: &TaskId) -> Option<&'a Task> {
        self.tasks.value.iter().find(|task| task.id == *id)
    }

    pub(crate) fn service_of(&self, task: &Task) -> Option<&'a Service> {
        self.services.value.iter().find(|service| service.id == task.service)
    }

    /// The node, if it is Ready.
    pub(crate) fn ready_node(&self, id: Option<&NodeId>) -> Option<&'a Node> {
        let id = id?;
        self.nodes.value.iter().find(|node| node.id == *id && node.state == NodeState::Ready)
    }

    /// The node with this address, if it is Ready.
    pub(crate) fn ready_node_at(&self, addr: IpAddr) -> Option<&'a Node> {
        let mut ready = self.nodes.value.iter().filter(|node| node.state == NodeState::Ready);
        ready.find(|node| addresses(node).any(|it| it == addr))
    }

    /// Whether a service and all its tasks have been unchanged for long enough when `host` was examined.
    pub(crate) fn is_settled(&self, service: &Service, host: &Host) -> bool {
        let since = |at: Option<Timestamp>| lasted(at, host) >= SETTLED_SECONDS;
        let mut tasks = self.tasks.value.iter().filter(|task| task.service == service.id);
        since(service.updated) && tasks.all(|task| since(task.since))
    }

    /// The running tasks that every node has to know when `host` was examined.
    pub(crate) fn settled(&self, host: &Host) -> impl Iterator<Item = &'a Task> {
        let settled = |task: &&Task| {
            task.state == "running"
                && task.desired == "running"
                && lasted(task.since, host) >= SETTLED_SECONDS
        };
        let tasks = self.tasks.value.iter().filter(settled);
        tasks.filter(|task| self.ready_node(task.node.as_ref()).is_some())
    }

    /// Those with an address on the network.
    pub(crate) fn running_on(&self, network: &Network, host: &Host) -> impl Iterator<Item = &'a Task> {
        self.settled(host).filter(|task| {
            task.attachments.iter().any(|it| it.network == network.id && !it.addresses.is_empty())
        })
    }

    /// The addresses of the nodes: as the node list has them, and the data path addresses in records of live tasks.
    pub(crate) fn node_addresses(&self, records: &[EndpointRecord]) -> BTreeSet<IpAddr> {
        let listed = self.nodes.value.iter().flat_map(addresses);
        let of_live = records.iter().filter_map(|record| {
            self.task(&record.task()?).filter(|task| is_live(task))?;
            record.host
        });
        listed.chain(of_live).collect()
    }
}

/// The addresses of a node in the node list.
pub(crate) fn addresses(node: &Node) -> impl Iterator<Item = IpAddr> {
    let manager = node.manager.as_ref().and_then(|manager| manager.addr).map(|addr| addr.ip());
    node.addr.into_iter().chain(manager).filter(|addr| !addr.is_unspecified() && !addr.is_loopback())
}

/// Whether the container of the task may still exist.
pub(crate) fn is_live(task: &Task) -> bool {
    !matches!(task.state.as_str(), "complete" | "shutdown" | "failed" | "rejected" | "remove" | "orphaned")
}

/// How long a state had lasted when `host` was examined, in seconds; 0 where its begin is not known.
pub(crate) fn lasted(since: Option<Timestamp>, host: &Host) -> i64 {
    since.map_or(0, |since| host.taken.as_second() - since.as_second())
}

/// The overlays of a node that have been in use there long enough, with their records.
pub(crate) fn settled_overlays<'a>(
    host: &Host,
    networks: &'a [Network],
) -> impl Iterator<Item = (&'a Network, &'a [EndpointRecord])> {
    networks
        .iter()
        .filter(|network| network.driver == "overlay" && lasted(network.created, host) >= SETTLED_SECONDS)
        .filter_map(|network| Some((network, network.records.as_deref()?)))
}

/// The tasks by the name of their service.
pub(crate) fn by_service<'a>(
    tasks: impl IntoIterator<Item = &'a Task>,
    expected: &Expected<'a>,
) -> BTreeMap<&'a str, Vec<&'a Task>> {
    let mut services: BTreeMap<&str, Vec<&Task>> = BTreeMap::new();
    for task in tasks {
        if let Some(service) = expected.service_of(task) {
            services.entry(&service.name).or_default().push(task);
        }
    }
    services
}
