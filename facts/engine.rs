//! The engine: its process, its configuration, and what it says of itself.

use crate::Text;
use crate::swarm::Membership;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The answer to `GET /_ping`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// The header `Api-Version`: the newest API the engine speaks.
    pub api_version: Option<String>,
    /// The header `Swarm`, such as `active/manager`; engines up to 20.10 do not send it.
    pub swarm: Option<String>,
}

/// What we use of `GET /info`.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// The hostname, as the engine sees it.
    pub name: String,
    /// The engine's version.
    pub server_version: String,
    /// `DockerRootDir`: the data root.
    pub data_root: String,
    /// `LiveRestoreEnabled`.
    pub live_restore: bool,
    /// `Swarm`: what the engine says of its membership.
    pub swarm: Membership,
    /// `Warnings`.
    pub warnings: Vec<String>,
}

/// What we use of `GET /version`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// The engine's version, such as `20.10.24`.
    pub engine: String,
    /// The newest API it speaks.
    pub api: String,
    /// The oldest API it speaks.
    pub min_api: String,
}

/// `daemon.json` as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct DaemonJson {
    /// The path it was read from.
    pub path: String,
    /// The text.
    pub text: Text,
    /// When it was last written or put in its place, where that is known.
    pub written: Option<Timestamp>,
    /// What it says, or where it stops being what dockerd accepts.
    pub parsed: Result<serde_json::Map<String, serde_json::Value>, Fault>,
}

/// Where a text stops being JSON, or JSON stops being an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1, or 0 where the fault is in the whole line.
    pub column: u32,
    /// What is wrong.
    pub what: String,
}

/// The engine as the operating system sees it, with no word from the engine itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineProcess {
    /// Where the doctor speaks to the engine, such as `unix:///var/run/docker.sock`.
    pub endpoint: String,
    /// The file of the endpoint, where it is a unix socket that exists.
    pub socket: Option<SocketFile>,
    /// The dockerd in the process table, dead ones included.
    pub process: Option<Process>,
    /// The dockerd program on this machine, where it was found.
    pub program: Option<String>,
    /// The containerd of that dockerd: its child, else whichever there are. `None` where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containerd: Option<Vec<Process>>,
}

impl EngineProcess {
    /// The dockerd that runs. One that is dead and waits for its parent to take note does not.
    pub fn running(&self) -> Option<&Process> {
        self.process.as_ref().filter(|process| !matches!(process.state, 'Z' | 'X'))
    }

    /// Whether the dockerd that runs read a file as it stands: it was started after the file was last written, and
    /// would have ended at once of what it does not accept.
    pub fn accepted(&self, file: &DaemonJson) -> bool {
        let started = self.running().and_then(|process| process.started);
        started.zip(file.written).is_some_and(|(started, written)| started > written)
    }
}

/// The file of a unix socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketFile {
    /// Its path.
    pub path: String,
    /// Its permission bits, such as `0o660`.
    pub mode: u32,
    /// The user that owns it.
    pub uid: u32,
    /// The group that owns it.
    pub gid: u32,
    /// Whether this user is allowed to write to it.
    pub writable: bool,
}

/// A running process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its pid.
    pub pid: u32,
    /// Its arguments, the program first. Empty where they may not be read.
    pub args: Vec<String>,
    /// Its state as in `/proc/PID/stat`: `R` runs, `S` sleeps, `D` waits for a device, `T` is stopped, `Z` is dead.
    pub state: char,
    /// When it started, where that could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// The most files it may have open at once, where there is a limit and it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_open_files: Option<u64>,
}

impl Process {
    /// The value of a flag, whether it stands as `--name=value`, `--name value`, or, for a switch, `--name`.
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

    /// Where its flags tell it to listen: `-H ADDR`, `-HADDR`, `--host ADDR` and `--host=ADDR`.
    pub fn endpoints(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut args = self.args.iter().skip(1);
        while let Some(arg) = args.next() {
            if arg == "-H" || arg == "--host" {
                found.extend(args.next().cloned());
            } else if let Some(told) = arg.strip_prefix("--host=") {
                found.push(told.to_owned());
            } else if let Some(told) = arg.strip_prefix("-H") {
                found.push(told.trim_start_matches('=').to_owned());
            }
        }
        found
    }

    /// Whether a boolean flag is on; a later one wins, as in dockerd.
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
    use super::Process;

    fn dockerd(args: &[&str]) -> Process {
        let args = std::iter::once("dockerd").chain(args.iter().copied()).map(str::to_owned).collect();
        Process { pid: 1, args, state: 'S', started: None, max_open_files: None }
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
}
