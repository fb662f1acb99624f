//! Applications that form clusters of their own: what each was told, and what it says.

mod answers;
mod kin;
mod nested;
mod nifi;
mod program;
mod settings;

use crate::host::Address;
use crate::{ContainerId, ServiceId, TaskId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

pub use answers::{ClusterNode, Membership};
pub use program::{Claim, Config, Endpoint, Malformed, PROGRAMS, Program, Version, version};
pub use settings::{Origin, Said, Settings};

/// The label, of a service or a container, that names the program where nothing else tells it.
pub const LABEL: &str = "swarm-doctor.app";

/// What was found out about applications on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apps {
    /// The program of a service, by the service's name, where the user named it.
    pub named: BTreeMap<String, String>,
    /// The containers that run a program we know, or ran it last.
    pub apps: Vec<App>,
}

/// A container of a task that runs a program we know, or ran it and ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// Its id.
    pub container: ContainerId,
    /// Its name.
    pub name: String,
    /// The task it runs.
    pub task: TaskId,
    /// The task's service.
    pub service: ServiceId,
    /// The service's name.
    pub service_name: String,
    /// The program, by [`Program::name`].
    pub program: String,
    /// The image.
    pub image: String,
    /// Its hostname.
    pub hostname: String,
    /// Whether it runs.
    pub running: bool,
    /// The status it ended with, where it ended.
    pub exit_code: i64,
    /// The addresses it holds, with their networks; none where it does not run.
    pub addresses: Vec<Address>,
    /// The ports of its machine that lead to it, past the routing mesh.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<u16>,
    /// The names it goes by on them.
    pub aliases: Vec<String>,
    /// What the program was told, as far as it bears on addresses.
    pub settings: Settings,
    /// Files that could not be read, and why.
    pub unread: Vec<String>,
    /// The names in those settings, as the container resolves them.
    pub names: Vec<Resolved>,
    /// What it was asked over HTTP, and what came of it.
    pub asked: Vec<Asked>,
    /// Lines of its own log that bear on addresses.
    pub log: Vec<String>,
}

/// A name, as a container resolves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The name.
    pub name: String,
    /// What the container's hosts file says, which counts before DNS.
    pub hosts: Vec<IpAddr>,
    /// What the engine's DNS server answers, or why there is no address.
    pub dns: Result<Vec<IpAddr>, String>,
    /// What it answers for `tasks.NAME`: the tasks, where the name is a service.
    pub tasks: Vec<IpAddr>,
}

impl Resolved {
    /// The addresses that the container itself takes.
    pub fn inside(&self) -> Vec<IpAddr> {
        match (self.hosts.is_empty(), &self.dns) {
            (false, _) => self.hosts.clone(),
            (true, Ok(addrs)) => addrs.clone(),
            (true, Err(_)) => Vec::new(),
        }
    }

    /// The addresses that the name has for others and that are no task's: virtual ones.
    pub fn virtual_addresses(&self) -> Vec<IpAddr> {
        let addrs = self.dns.as_deref().unwrap_or_default();
        match self.tasks.is_empty() {
            true => Vec::new(),
            false => addrs.iter().filter(|addr| !self.tasks.contains(addr)).copied().collect(),
        }
    }
}

/// One question over HTTP from inside the container's network namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The address with its scheme, name and port, such as `http://nifi1:8080/nifi-api/flow/about`.
    pub url: String,
    /// The `Host` header, where it was not that of the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What the name stands for: `its task's address`, `its virtual address`, `localhost`.
    pub target: String,
    /// The address that was connected to.
    pub addr: Option<IpAddr>,
    /// The answer, or why there is none.
    pub result: Result<Reply, String>,
}

/// An answer over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The beginning of the body.
    pub body: String,
}
