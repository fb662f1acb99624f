//! The containers on this node that run tasks, and what each sees from inside.

use crate::host::{Interface, Listener};
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
