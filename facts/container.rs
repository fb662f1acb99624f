//! The containers of tasks on this node, and the state inside each of them.

use crate::host::{Interface, Listener};
use crate::link::Outcome;
use crate::{ContainerId, Fact, NetworkId, ServiceId, TaskId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A container of a task on this node.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Container {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// The task it runs.
    pub task: TaskId,
    /// The task's service.
    pub service: ServiceId,
    /// The service's name.
    pub service_name: String,
    /// The image.
    pub image: String,
    /// Its hostname.
    pub hostname: String,
    /// The pid of its first process; 0 if it does not run.
    pub pid: u32,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Its networks.
    pub attachments: Vec<Attachment>,
    /// `HostConfig.Dns`: the upstream servers of the embedded DNS server, where the service configures some.
    pub dns: Vec<IpAddr>,
    /// Its network namespace.
    pub netns: Fact<Netns>,
    /// Its `/etc/hosts`.
    pub hosts: Fact<HostsFile>,
    /// Its `/etc/resolv.conf`.
    pub resolv_conf: Fact<ResolvConf>,
}

/// The endpoint of a container on one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Attachment {
    /// The network's id.
    pub network: NetworkId,
    /// The network's name.
    pub name: String,
    /// The address.
    pub addr: Option<IpAddr>,
    /// Its names on the network.
    pub aliases: Vec<String>,
}

/// The network namespace of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Netns {
    /// Interfaces and addresses.
    pub interfaces: Vec<Interface>,
    /// Listening sockets.
    pub listeners: Vec<Listener>,
    /// The answers of the embedded DNS server.
    pub answers: Vec<Answer>,
    /// A TCP connection to the embedded DNS server, 127.0.0.11:53. Older bundles lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver: Option<Outcome>,
    /// Connections to the addresses of the service; empty if none was tried.
    #[serde(default)]
    pub connects: Vec<Connect>,
    /// Whether the DNS servers in [`Container::dns`] answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<NameServer>,
}

/// A DNS server, and whether it answers from inside a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NameServer {
    /// Its address.
    pub addr: IpAddr,
    /// `Ok` for an answer of any kind, else the reason why there was none.
    pub result: Result<(), String>,
}

/// A TCP connection to an address of a service from inside one of its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Connect {
    /// The VIP of the service, or the address of a task.
    pub addr: IpAddr,
    /// The TCP port; this task listens on it.
    pub port: u16,
    /// The outcome.
    pub outcome: Outcome,
    /// The duration in microseconds.
    pub took_us: u64,
}

impl Netns {
    /// The addresses in the answer for a name; empty without an answer.
    pub fn addresses_of(&self, name: &str) -> &[IpAddr] {
        let answer = self.answers.iter().find(|answer| answer.name == name);
        answer.and_then(|answer| answer.result.as_ref().ok()).map_or(&[], Vec::as_slice)
    }

    /// The VIPs behind a name: its addresses without those of the tasks of the service.
    pub fn vips_of(&self, name: &str, service: &str) -> Vec<IpAddr> {
        let tasks = self.addresses_of(&format!("tasks.{service}"));
        self.addresses_of(name).iter().copied().filter(|addr| !tasks.contains(addr)).collect()
    }
}

/// One question to the embedded DNS server, 127.0.0.11, and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The name in the question.
    pub name: String,
    /// The addresses, sorted, or the reason why there are none.
    pub result: Result<Vec<IpAddr>, String>,
    /// The duration in microseconds.
    pub took_us: u64,
}

/// A hosts file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HostsFile(pub Vec<HostsLine>);

/// One entry of a hosts file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HostsLine {
    /// Its number, from 1.
    pub number: u32,
    /// The line.
    pub text: String,
    /// The address.
    pub addr: IpAddr,
    /// The names.
    pub names: Vec<String>,
}

impl HostsFile {
    /// The entries with the name, in any letter case.
    pub fn lines_for<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a HostsLine> {
        self.0.iter().filter(move |line| line.names.iter().any(|n| n.eq_ignore_ascii_case(name)))
    }
}

/// A resolv.conf.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ResolvConf {
    /// The DNS servers.
    pub servers: Vec<String>,
    /// The search list.
    pub search: Vec<String>,
    /// The options.
    pub options: Vec<String>,
}
