//! Services and tasks, from a manager.

use crate::host::Protocol;
use crate::{NetworkId, NodeId, ServiceId, TaskId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Service {
    /// Its id.
    pub id: ServiceId,
    /// Its name.
    pub name: String,
    /// The image.
    pub image: String,
    /// How many tasks it wants, or `None` where it is global.
    pub replicas: Option<u64>,
    /// `hostname` of the container, where it is set.
    pub hostname: Option<String>,
    /// Whether its name resolves to its tasks (`endpoint_mode: dnsrr`) instead of a VIP.
    pub dnsrr: bool,
    /// Its VIPs by network.
    pub vips: Vec<(NetworkId, IpAddr)>,
    /// Its aliases, each with the network on which it has it, as given in `networks`.
    pub network_aliases: Vec<(String, String)>,
    /// The ports it publishes.
    pub ports: Vec<PublishedPort>,
    /// Its labels, such as `com.docker.stack.namespace`.
    pub labels: BTreeMap<String, String>,
    /// Whether it is a job, so that its tasks are meant to exit.
    pub job: bool,
    /// The command, in place of the image's entry point.
    pub command: Vec<String>,
    /// The arguments.
    pub args: Vec<String>,
    /// `Healthcheck.Test` of the specification; empty for the health check of the image.
    pub health_test: Vec<String>,
    /// Its environment by name, without secrets.
    pub env: BTreeMap<String, String>,
    /// Its mounts.
    pub mounts: Vec<Mount>,
    /// The log driver, where one is set.
    pub log_driver: Option<String>,
    /// The kernel settings in its containers by dotted name.
    pub sysctls: BTreeMap<String, String>,
    /// The capabilities that its containers have besides the default ones, such as `CAP_NET_ADMIN`.
    pub capabilities: Vec<String>,
    /// Extra entries in the hosts files of its tasks, as `ADDRESS NAME`.
    pub hosts: Vec<String>,
    /// The restart delay in seconds, where it is set.
    pub restart_delay: Option<u64>,
    /// Its networks, by id or name as they were given.
    pub networks: Vec<String>,
    /// Where its tasks may run.
    pub placement: Placement,
    /// What each task reserves.
    pub reserved: Resources,
    /// The generic resources that each task reserves, by kind, such as `gpu`.
    pub reserved_kinds: BTreeMap<String, u64>,
    /// What each task may use; 0 is no limit.
    pub limits: Resources,
    /// `RestartPolicy.Condition`: `none`, `on-failure` or `any`.
    pub restart: String,
    /// How its last update went, where there was one.
    pub update: Option<UpdateStatus>,
    /// How its tasks are replaced by an update.
    pub update_config: UpdateConfig,
    /// A digest of what each task is created from; tasks with another one are of an older version.
    pub template: Option<u64>,
    /// How long a task may take to stop, in seconds; `None` where the engine's default of 10 s applies.
    pub stop_grace: Option<u64>,
    /// When it was last changed.
    pub updated: Option<Timestamp>,
}

impl Service {
    /// Its aliases on any network.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.network_aliases.iter().map(|(_, alias)| alias.as_str())
    }

    /// Its name and its aliases, the name first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.aliases())
    }

    /// Whether it has a name or alias on any network.
    pub fn is_called(&self, name: &str) -> bool {
        self.names().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// Whether it has a name or alias on a network, which is given as in `networks`.
    pub fn goes_by(&self, name: &str, network: &str) -> bool {
        let alias = |(on, alias): &(String, String)| on == network && alias.eq_ignore_ascii_case(name);
        self.networks.iter().any(|it| it == network)
            && (self.name.eq_ignore_ascii_case(name) || self.network_aliases.iter().any(alias))
    }

    /// The stack it was deployed with.
    pub fn stack(&self) -> Option<&str> {
        self.labels.get("com.docker.stack.namespace").map(String::as_str)
    }
}

/// A mount of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Mount {
    /// `bind`, `volume`, `tmpfs`, `npipe` or `cluster`.
    pub kind: String,
    /// The path on the node, or the name of the volume.
    pub source: String,
    /// The path in the container.
    pub target: String,
    /// The driver of the volume; empty for the engine's own.
    pub driver: String,
    /// Its options.
    pub options: BTreeMap<String, String>,
}

/// Where tasks may run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Placement {
    /// Conditions on a node, such as `node.role==manager`; all must hold.
    pub constraints: Vec<String>,
    /// The most tasks on one node; 0 is no limit.
    pub max_replicas: u64,
    /// The platforms the image was built for; empty where they are not known.
    pub platforms: Vec<Platform>,
}

/// An operating system and an architecture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Platform {
    /// The operating system, such as `linux`.
    pub os: String,
    /// The architecture, such as `x86_64` or `amd64`.
    pub architecture: String,
}

/// CPU and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Resources {
    /// Billionths of a CPU.
    pub nano_cpus: i64,
    /// Memory in bytes.
    pub memory_bytes: i64,
}

/// How the tasks of a service are replaced by an update.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct UpdateConfig {
    /// How many tasks are replaced at once; 0 is all.
    pub parallelism: u64,
    /// The pause between two rounds, in seconds.
    pub delay: u64,
    /// Whether the new task starts before the old one stops.
    pub start_first: bool,
}

/// How an update of a service went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UpdateStatus {
    /// `updating`, `paused`, `completed`, `rollback_started`, `rollback_paused` or `rollback_completed`.
    pub state: String,
    /// The manager's message.
    pub message: String,
    /// When it began.
    pub started: Option<Timestamp>,
}

/// A port that is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PublishedPort {
    /// The protocol, where it is TCP or UDP.
    pub protocol: Option<Protocol>,
    /// The port outside.
    pub published: u16,
    /// The port inside.
    pub target: u16,
    /// Whether it goes through the routing mesh.
    pub ingress: bool,
}

/// A task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Its service.
    pub service: ServiceId,
    /// The node it was assigned to.
    pub node: Option<NodeId>,
    /// The slot, for a replicated service.
    pub slot: u64,
    /// `Status.State`, such as `running`.
    pub state: String,
    /// `DesiredState`.
    pub desired: String,
    /// `Status.Message`: the node's last action.
    pub message: String,
    /// `Status.Err`.
    pub error: String,
    /// The exit code of its container; `None` where no container was created.
    pub exit_code: Option<i64>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// When it entered its state.
    pub since: Option<Timestamp>,
    /// The image.
    pub image: String,
    /// A digest of what it was created from, to compare with its service's.
    pub template: Option<u64>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its networks, with its addresses on each.
    pub attachments: Vec<TaskAttachment>,
}

impl Task {
    /// Its addresses on a network.
    pub fn addresses_on(&self, network: &NetworkId) -> impl Iterator<Item = IpAddr> {
        let on = self.attachments.iter().filter(move |attachment| attachment.network == *network);
        on.flat_map(|attachment| attachment.addresses.iter().copied())
    }
}

/// A network of a task, as the managers assigned it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TaskAttachment {
    /// The network.
    pub network: NetworkId,
    /// Whether it is the ingress network.
    pub ingress: bool,
    /// The addresses of the task on it; empty if the nodes assign them, as with macvlan.
    pub addresses: Vec<IpAddr>,
}
