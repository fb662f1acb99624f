//! A stack before its deployment: the content of its file, with the line of each value.

use crate::engine::Fault;
use crate::host::Protocol;
use crate::service::Resources;
use crate::{Fact, Seen, Text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The stack, and what was collected for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    /// The name of the stack, where it was given.
    pub name: Option<String>,
    /// Its file.
    pub text: Text,
    /// The content of the file, or why it cannot be parsed.
    pub parsed: Result<Compose, Fault>,
    /// What was collected for it.
    pub surroundings: Fact<Surroundings>,
    /// The configuration files on this node that it mounts, where they could be read.
    pub files: Vec<Seen<MountedFile>>,
}

impl Stack {
    /// Where a path of the file leads on this node: what is relative begins beside the file.
    pub fn path(&self, source: &str) -> String {
        let directory = match &self.surroundings {
            Fact::Seen(seen) => seen.directory.as_str(),
            Fact::Unseen(_) => "",
        };
        resolved(directory, source)
    }
}

/// A path, resolved in a directory where it is relative. `~` stays: only the shell that deploys knows it.
pub fn resolved(directory: &str, source: &str) -> String {
    if source.starts_with(['/', '~']) {
        return source.to_owned();
    }
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in source.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// A configuration file that is mounted into a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountedFile {
    /// Its path on this node.
    pub path: String,
    /// Its content.
    pub text: Text,
}

/// The state of this node and swarm that matters to a stack, beyond what every run collects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// The name of the stack, where it was given.
    pub name: Option<String>,
    /// The directory of relative paths.
    pub directory: String,
    /// The variables that the file names, with their values in this shell.
    pub variables: BTreeMap<String, Option<String>>,
    /// The mounted paths, and whether they exist on this node.
    pub paths: BTreeMap<String, bool>,
    /// The names of the swarm's secrets; none where they could not be listed.
    pub secrets: Option<Vec<String>>,
    /// The names of the swarm's configs; none where they could not be listed.
    pub configs: Option<Vec<String>>,
    /// The configs of the stack that exist in the swarm with other content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed_configs: Vec<String>,
    /// Whether this host resolves the NFS and CIFS servers of the volumes; absent where it was not tried.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub servers: BTreeMap<String, bool>,
}

/// A value and the line it stands on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct At<T> {
    /// The line, from 1.
    pub line: u32,
    /// The value.
    pub value: T,
}

/// The content of a compose file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compose {
    /// `version`.
    pub version: Option<At<String>>,
    /// Whether `version` is a number.
    pub version_is_number: bool,
    /// Its services, in their order.
    pub services: Vec<StackService>,
    /// Its networks, volumes, secrets and configs.
    pub resources: Vec<StackResource>,
    /// What docker refuses in it, whatever its version.
    pub faults: Vec<At<String>>,
    /// What needs a version of the file above 3.0: the version, and what it is for.
    pub since: Vec<At<(u32, String)>>,
    /// The keys that stand twice in one mapping, which docker refuses from 28 on.
    pub repeated: Vec<At<String>>,
    /// The variables it names.
    pub variables: Vec<Variable>,
}

/// A `$NAME` in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variable {
    /// The line.
    pub line: u32,
    /// The name.
    pub name: String,
    /// Whether the file has a default for it.
    pub has_default: bool,
    /// Whether the deployment stops where it is not set.
    pub required: bool,
}

/// The kind of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// A secret.
    Secret,
    /// A config.
    Config,
}

impl Kind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Secret => "secret",
            Self::Config => "config",
        }
    }
}

/// A network, volume, secret or config at the top of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackResource {
    /// What it is.
    pub kind: Kind,
    /// The name it has in the file.
    pub key: At<String>,
    /// Its name in the swarm, where that differs.
    pub name: Option<String>,
    /// Whether it must exist already.
    pub external: bool,
    /// The file that a secret or config is read from.
    pub file: Option<At<String>>,
    /// The driver of a network or volume.
    pub driver: Option<String>,
    /// The options of a volume's driver.
    pub driver_opts: BTreeMap<String, At<String>>,
}

/// A service of the stack.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StackService {
    /// Its name.
    pub name: At<String>,
    /// Its image.
    pub image: Option<At<String>>,
    /// The hostname of its containers.
    pub hostname: Option<At<String>>,
    /// Whether it is global.
    pub global: bool,
    /// Its tasks; 1 is the default.
    pub replicas: At<u64>,
    /// Whether its name resolves to its tasks (`endpoint_mode: dnsrr`) instead of a VIP.
    pub dnsrr: bool,
    /// The words of its entry point and its command.
    pub command: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, At<String>>,
    /// The ports it publishes.
    pub ports: Vec<At<StackPort>>,
    /// What it mounts.
    pub mounts: Vec<At<StackMount>>,
    /// Its constraints.
    pub constraints: Vec<At<String>>,
    /// The most tasks on one node; 0 is no limit.
    pub max_replicas: At<u64>,
    /// What each task reserves.
    pub reserved: At<Resources>,
    /// What each task may use; 0 is no limit.
    pub limits: At<Resources>,
    /// How long a task may take to stop, in seconds; `None` is the engine's default of 10 s.
    pub stop_grace: Option<u64>,
    /// Whether an update starts the new task before it stops the old one.
    pub start_first: Option<At<()>>,
    /// The networks, secrets and configs it names.
    pub uses: Vec<(Kind, At<String>)>,
    /// Options that swarm ignores.
    pub ignored: Vec<At<String>>,
}

impl StackResource {
    /// Its name in the swarm; `None` where that depends on a stack name that is not given.
    pub fn name_in(&self, stack: Option<&str>) -> Option<String> {
        self.name.clone().or_else(|| Some(format!("{}_{}", stack?, self.key.value)))
    }

    /// The server of an NFS or CIFS volume, with its line.
    pub fn server(&self) -> Option<(&str, u32)> {
        let kind = self.driver_opts.get("type")?.value.as_str();
        let device = self.driver_opts.get("device");
        if !matches!(kind, "nfs" | "nfs4" | "cifs") {
            return None;
        }
        let options = self.driver_opts.get("o");
        let named = options.and_then(|options| {
            let server = options.value.split(',').find_map(|option| option.trim().strip_prefix("addr="))?;
            Some((server, options.line))
        });
        named.or_else(|| {
            let device = device?;
            let server = match kind {
                "cifs" => device.value.trim_start_matches('/').split('/').next()?,
                _ => device.value.split_once(":/")?.0,
            };
            Some((server, device.line)).filter(|(server, _)| !server.is_empty())
        })
    }
}

impl StackService {
    /// Whether it has more than one task.
    pub fn has_several_tasks(&self) -> bool {
        self.global || self.replicas.value > 1
    }

    /// The networks that it names.
    pub fn networks(&self) -> impl Iterator<Item = &str> {
        self.uses.iter().filter(|(kind, _)| *kind == Kind::Network).map(|(_, name)| name.value.as_str())
    }
}

/// A published port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackPort {
    /// The port outside; none where swarm may choose.
    pub published: Option<u16>,
    /// The port inside.
    pub target: u16,
    /// The protocol.
    pub protocol: Protocol,
    /// Whether it goes through the routing mesh.
    pub ingress: bool,
}

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackMount {
    /// The path on the node or the name of the volume, as written.
    pub source: String,
    /// The path in the container.
    pub target: String,
    /// Whether it is a path on the node.
    pub bind: bool,
}
