//! The engine: its process, its configuration, and its own description.

use crate::Text;
use crate::swarm::Membership;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The answer to `GET /_ping`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ping {
    /// The header `Api-Version`: the newest API version of the engine.
    pub api_version: Option<String>,
    /// The header `Swarm`, such as `active/manager`; engines up to 20.10 do not send it.
    pub swarm: Option<String>,
}

/// The used parts of `GET /info`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Info {
    /// The hostname.
    pub name: String,
    /// The engine version.
    pub server_version: String,
    /// `DockerRootDir`: the data root.
    pub data_root: String,
    /// `LiveRestoreEnabled`.
    pub live_restore: bool,
    /// `Swarm`: the membership as the engine reports it.
    pub swarm: Membership,
    /// `Warnings`.
    pub warnings: Vec<String>,
    /// `OperatingSystem`, such as `Docker Desktop`.
    pub operating_system: String,
    /// `SecurityOptions`, such as `name=rootless`.
    pub security_options: Vec<String>,
    /// `HttpProxy`, `HttpsProxy` and `NoProxy`.
    pub proxy: Proxy,
    /// Images are in the containerd image store (`DriverStatus` names a snapshotter).
    pub containerd_store: bool,
    /// `FirewallBackend.Driver`, such as `nftables`; engines up to 28 do not send it.
    pub firewall_backend: Option<String>,
}

/// The proxy settings of dockerd.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Proxy {
    /// The proxy for `http` addresses; empty where there is none.
    pub http: String,
    /// The proxy for `https` addresses; empty where there is none.
    pub https: String,
    /// The addresses that bypass the proxy, separated by commas.
    pub bypass: String,
}

/// The used parts of `GET /version`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Version {
    /// The engine version, such as `20.10.24`.
    pub engine: String,
    /// The newest API version.
    pub api: String,
    /// The oldest API version.
    pub min_api: String,
}

/// The content of `daemon.json`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct DaemonJson {
    /// The path it was read from.
    pub path: String,
    /// The text.
    pub text: Text,
    /// When it was last written or moved to its path, if known.
    pub written: Option<Timestamp>,
    /// The configuration, or the first syntax error.
    pub parsed: Result<serde_json::Map<String, serde_json::Value>, Fault>,
}

impl DaemonJson {
    /// The value of a key; `None` where the file lacks it or is not valid.
    pub fn key(&self, name: &str) -> Option<&serde_json::Value> {
        self.parsed.as_ref().ok()?.get(name)
    }
}

/// Where a text is not valid JSON, or valid JSON is not an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fault {
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1, or 0 for the whole line.
    pub column: u32,
    /// The error message.
    pub what: String,
}

/// The engine as the operating system reports it, without its API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EngineProcess {
    /// The endpoint of the engine, such as `unix:///var/run/docker.sock`.
    pub endpoint: String,
    /// The file of the endpoint, if it is a unix socket that exists.
    pub socket: Option<SocketFile>,
    /// The dockerd in the process table, including a zombie.
    pub process: Option<Process>,
    /// The path of the dockerd program, if it was found.
    pub program: Option<String>,
    /// The containerd that this dockerd started, otherwise all that run. `None` in bundles without this fact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containerd: Option<Vec<Process>>,
    /// The service that starts the engine. `None` in bundles without this fact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<EngineService>,
}

impl EngineProcess {
    /// The running dockerd; a zombie is not running.
    pub fn running(&self) -> Option<&Process> {
        self.process.as_ref().filter(|process| !matches!(process.state, 'Z' | 'X'))
    }

    /// Whether the running dockerd has read the present content of a file: it was started after the file was last
    /// written, and dockerd exits at startup on a file that it rejects.
    pub fn accepted(&self, file: &DaemonJson) -> bool {
        let started = self.running().and_then(|process| process.started);
        started.zip(file.written).is_some_and(|(started, written)| started > written)
    }
}

/// The service that starts the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EngineService {
    /// What starts and stops it.
    pub manager: ServiceManager,
    /// Its name: a systemd unit such as `docker.service`, or the name of an init script.
    pub name: String,
    /// Masked systemd units that the engine needs, such as `docker.socket`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masked: Vec<String>,
    /// The drop-in files of the systemd unit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop_ins: Vec<String>,
}

/// What starts and stops services on a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceManager {
    /// systemd.
    #[default]
    Systemd,
    /// snapd, for an engine that was installed as a snap.
    Snap,
    /// OpenRC.
    Openrc,
    /// A script in `/etc/init.d`.
    InitScript,
    /// None that is known.
    Unknown,
}

impl EngineService {
    /// The command that does `action` (`start`, `stop`, `restart`, `reload` or `status`) to the engine.
    pub fn command(&self, action: &str) -> String {
        let name = self.name.strip_suffix(".service").unwrap_or(&self.name);
        let name = if name.is_empty() { "docker" } else { name };
        match (self.manager, action) {
            (ServiceManager::Snap, "status") => format!("snap services {name}"),
            (ServiceManager::Snap, "reload") => format!("snap restart --reload {name}"),
            (ServiceManager::Snap, _) => format!("snap {action} {name}"),
            (ServiceManager::Openrc, _) => format!("rc-service {name} {action}"),
            (ServiceManager::InitScript, _) => format!("/etc/init.d/{name} {action}"),
            (ServiceManager::Systemd | ServiceManager::Unknown, _) => format!("systemctl {action} {name}"),
        }
    }
}

/// The file of a unix socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SocketFile {
    /// Its path.
    pub path: String,
    /// Its permission bits, such as `0o660`.
    pub mode: u32,
    /// The uid of its owner.
    pub uid: u32,
    /// The gid of its group.
    pub gid: u32,
    /// Whether this user may write to it.
    pub writable: bool,
}

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// Its pid.
    pub pid: u32,
    /// Its arguments, the program first. Empty where they may not be read.
    pub args: Vec<String>,
    /// Its state in `/proc/PID/stat`: `R` running, `S` sleeping, `D` in uninterruptible sleep, `T` stopped, `Z` zombie.
    pub state: char,
    /// When it started, if that could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// Its soft limit of open files, if there is one and it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_open_files: Option<u64>,
    /// Its open files, if they could be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
}

impl Process {
    /// The value of a flag in the forms `--name=value`, `--name value` and, for a switch, `--name`.
    pub fn flag(&self, name: &str) -> Option<&str> {
        let long = format!("--{name}");
        let mut args = self.args.iter().skip(1);
        while let Some(arg) = args.next() {
            if *arg == long {
                return Some(args.next().map_or("", String::as_str));
            }
            if let Some(value) = arg.strip_prefix(&long).and_then(|rest| rest.strip_prefix('=')) {
                return Some(value);
            }
        }
        None
    }

    /// The listen addresses in its flags: `-H ADDR`, `-HADDR`, `--host ADDR` and `--host=ADDR`.
    pub fn endpoints(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut args = self.args.iter().skip(1);
        while let Some(arg) = args.next() {
            if arg == "-H" || arg == "--host" {
                found.extend(args.next().cloned());
            } else if let Some(addr) = arg.strip_prefix("--host=") {
                found.push(addr.to_owned());
            } else if let Some(addr) = arg.strip_prefix("-H") {
                found.push(addr.trim_start_matches('=').to_owned());
            }
        }
        found
    }

    /// Whether a boolean flag is on; the last one wins, as in dockerd.
    pub fn switched_on(&self, name: &str) -> Option<bool> {
        let long = format!("--{name}");
        self.args.iter().skip(1).rev().find_map(|arg| match arg.strip_prefix(&long)? {
            "" | "=true" | "=1" | "=t" | "=T" | "=TRUE" | "=True" => Some(true),
            "=false" | "=0" | "=f" | "=F" | "=FALSE" | "=False" => Some(false),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{EngineService, Process, ServiceManager};

    fn dockerd(args: &[&str]) -> Process {
        let args = std::iter::once("dockerd").chain(args.iter().copied()).map(str::to_owned).collect();
        Process { pid: 1, args, state: 'S', ..Process::default() }
    }

    #[test]
    fn reads_a_switch_in_each_of_its_forms() {
        assert_eq!(dockerd(&["--live-restore"]).switched_on("live-restore"), Some(true));
        assert_eq!(dockerd(&["--live-restore=true"]).switched_on("live-restore"), Some(true));
        assert_eq!(
            dockerd(&["--live-restore", "--live-restore=false"]).switched_on("live-restore"),
            Some(false)
        );
        assert_eq!(dockerd(&["--live-restored"]).switched_on("live-restore"), None);
    }

    #[test]
    fn reads_where_it_listens() {
        let args = ["-H", "fd://", "--host=tcp://192.0.2.1:2376", "-Hunix:///run/a.sock", "--host", "b"];
        assert_eq!(dockerd(&args).endpoints(), ["fd://", "tcp://192.0.2.1:2376", "unix:///run/a.sock", "b"]);
    }

    #[test]
    fn reads_a_value_beside_or_after_its_flag() {
        assert_eq!(dockerd(&["--data-root=/a"]).flag("data-root"), Some("/a"));
        assert_eq!(dockerd(&["--data-root", "/a"]).flag("data-root"), Some("/a"));
        assert_eq!(dockerd(&["--debug"]).flag("data-root"), None);
    }

    #[test]
    fn names_the_command_of_each_service_manager() {
        let service =
            |manager, name: &str| EngineService { manager, name: name.into(), ..Default::default() };
        let start = |manager, name| service(manager, name).command("start");
        assert_eq!(start(ServiceManager::Systemd, "docker.service"), "systemctl start docker");
        assert_eq!(start(ServiceManager::Systemd, "docker-custom.service"), "systemctl start docker-custom");
        assert_eq!(start(ServiceManager::Snap, "docker.dockerd"), "snap start docker.dockerd");
        assert_eq!(start(ServiceManager::InitScript, "docker"), "/etc/init.d/docker start");
        assert_eq!(start(ServiceManager::Openrc, "docker"), "rc-service docker start");
        assert_eq!(
            service(ServiceManager::Snap, "docker.dockerd").command("status"),
            "snap services docker.dockerd"
        );
    }
}
