//! The containers on this node that run tasks, and what each sees from inside.

use crate::host::{Interface, Listener};
use crate::link::Outcome;
use crate::{ContainerId, Fact, NetworkId, ServiceId, TaskId};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A container that runs a task on this node.
#[derive(Clone, Debug, PartialEq)]
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
    /// The pid of its first process; 0 when it does not run.
    pub pid: u32,
    /// Its networks.
    pub attachments: Vec<Attachment>,
    /// The name servers that it was given, to which the engine's passes on what it does not know.
    pub dns: Vec<IpAddr>,
    /// What it sees from inside.
    pub netns: Fact<Netns>,
    /// Its `/etc/hosts`.
    pub hosts: Fact<HostsFile>,
    /// Its `/etc/resolv.conf`.
    pub resolv_conf: Fact<ResolvConf>,
}

/// A container's place on one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The network's id.
    pub network: NetworkId,
    /// The network's name.
    pub name: String,
    /// The address.
    pub addr: Option<IpAddr>,
    /// The names it answers to there.
    pub aliases: Vec<String>,
}

/// A network namespace from inside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Netns {
    /// Interfaces and addresses.
    pub interfaces: Vec<Interface>,
    /// Listening sockets.
    pub listeners: Vec<Listener>,
    /// What the embedded DNS server answered.
    pub answers: Vec<Answer>,
    /// What came of connecting to the service's addresses; empty where none was tried.
    #[serde(default)]
    pub connects: Vec<Connect>,
    /// Whether the name servers that the container was given answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<NameServer>,
}

/// A name server that a container was given, and whether it answers from inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameServer {
    /// Its address.
    pub addr: IpAddr,
    /// An answer, of whatever kind, or why there was none.
    pub result: Result<(), String>,
}

/// An attempt to connect to an address of a service from inside one of its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connect {
    /// The address: the service's virtual one, or that of a task.
    pub addr: IpAddr,
    /// The TCP port, one on which this task listens itself.
    pub port: u16,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took, in microseconds.
    pub took_us: u64,
}

impl Netns {
    /// The addresses that a name has, as the embedded DNS server tells; none where it has none.
    pub fn addresses_of(&self, name: &str) -> &[IpAddr] {
        let answer = self.answers.iter().find(|answer| answer.name == name);
        answer.and_then(|answer| answer.result.as_ref().ok()).map_or(&[], Vec::as_slice)
    }

    /// The virtual addresses behind a name of a service: those that it has and none of the service's tasks has.
    pub fn virtual_addresses_of(&self, name: &str, service: &str) -> Vec<IpAddr> {
        let tasks = self.addresses_of(&format!("tasks.{service}"));
        self.addresses_of(name).iter().copied().filter(|addr| !tasks.contains(addr)).collect()
    }
}

/// One question to the embedded DNS server, 127.0.0.11, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The name asked for.
    pub name: String,
    /// The addresses, in order of value, or why there are none.
    pub result: Result<Vec<IpAddr>, String>,
    /// How long it took, in microseconds.
    pub took_us: u64,
}

/// A hosts file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostsFile(pub Vec<HostsLine>);

/// One line of a hosts file that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The lines that give `name` an address; names in hosts files know no case.
    pub fn lines_for<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a HostsLine> {
        self.0.iter().filter(move |line| line.names.iter().any(|n| n.eq_ignore_ascii_case(name)))
    }
}

/// A resolv.conf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// The name servers.
    pub servers: Vec<String>,
    /// The search list.
    pub search: Vec<String>,
    /// The options.
    pub options: Vec<String>,
}
