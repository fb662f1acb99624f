//! Applications that form their own cluster: how each is configured, and what it reports.

mod answers;
mod config_files;
mod nifi;
mod program;
mod programs;
mod settings;

use crate::host::Address;
use crate::{ContainerId, ServiceId, TaskId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

pub use answers::{ClusterNode, Membership};
pub use program::{
    Config, Endpoint, HostSetting, Malformed, PROGRAMS, Program, Requirement, Version, version,
};
pub use settings::{Origin, Setting, Settings};

/// The label, of a service or a container, that names the program where nothing else shows it.
pub const LABEL: &str = "swarm-doctor.app";

/// The applications on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Apps {
    /// The program of a service, by the service's name, where the user named it.
    pub named: BTreeMap<String, String>,
    /// The containers that run a known program, or ran it last.
    pub apps: Vec<App>,
    /// The containers of tasks that exited within the last minutes, the newest of each service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exited: Vec<Exited>,
}

/// A container of a task that exited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exited {
    /// Its name.
    pub name: String,
    /// The task it ran.
    pub task: TaskId,
    /// The task's service.
    pub service: ServiceId,
    /// The exit code.
    pub exit_code: i64,
    /// Whether the kernel's OOM killer killed a process of it.
    pub oom_killed: bool,
    /// The last lines that it wrote, the oldest first; empty where its log cannot be read back.
    pub lines: Vec<String>,
}

/// A container of a task that runs a known program, or ran it and exited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// The exit code, where it exited.
    pub exit_code: i64,
    /// Its addresses, with their networks; none where it does not run.
    pub addresses: Vec<Address>,
    /// The ports of its host that lead to it without the routing mesh.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<u16>,
    /// Its aliases on its networks.
    pub aliases: Vec<String>,
    /// The settings of the program that are about addresses.
    pub settings: Settings,
    /// Files that could not be read, and why.
    pub unread: Vec<String>,
    /// The names in those settings, as the container resolves them.
    pub names: Vec<Resolved>,
    /// The HTTP requests to it, and their results.
    #[serde(rename = "asked")]
    pub http_probes: Vec<HttpProbe>,
    /// Lines of its own log about addresses and limits.
    pub log: Vec<String>,
}

/// A name, as a container resolves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resolved {
    /// The name.
    pub name: String,
    /// The addresses in the container's hosts file, which counts before DNS.
    pub hosts: Vec<IpAddr>,
    /// The answer of the engine's DNS server, or why there is no address.
    pub dns: Result<Vec<IpAddr>, String>,
    /// Its answer for `tasks.NAME`: the tasks, where the name is a service.
    pub tasks: Vec<IpAddr>,
}

impl Resolved {
    /// The addresses that the container itself uses.
    pub fn inside(&self) -> Vec<IpAddr> {
        match (self.hosts.is_empty(), &self.dns) {
            (false, _) => self.hosts.clone(),
            (true, Ok(addrs)) => addrs.clone(),
            (true, Err(_)) => Vec::new(),
        }
    }

    /// The VIPs among the addresses that peers get: those that are no task's.
    pub fn vips(&self) -> Vec<IpAddr> {
        let addrs = self.dns.as_deref().unwrap_or_default();
        match self.tasks.is_empty() {
            true => Vec::new(),
            false => addrs.iter().filter(|addr| !self.tasks.contains(addr)).copied().collect(),
        }
    }
}

/// One HTTP request from inside the container's network namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HttpProbe {
    /// The address with its scheme, name and port, such as `http://nifi1:8080/nifi-api/flow/about`.
    pub url: String,
    /// The `Host` header, where it was not that of the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What the name stands for: `its task's address`, `its VIP`, `localhost`.
    pub target: String,
    /// The address that was connected to.
    pub addr: Option<IpAddr>,
    /// The answer, or why there is none.
    pub result: Result<Reply, String>,
}

/// An answer over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The beginning of the body.
    pub body: String,
}
