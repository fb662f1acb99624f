//! Everything that a fix reads and changes. Nothing else in `fix` touches the host: what decides and what acts can be
//! run on a fake host, where each durable act can fail or be the last.

mod copy;
pub mod fake;
mod file;
mod program;
pub mod real;

use super::error::Result;
use facts::Timestamp;
use facts::join::Greeting;
use facts::log::Log;
use facts::swarm::RaftLog;
use futures_util::future::LocalBoxFuture;
use hyper::Method;
use serde_json::Value;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A result that has to be waited for.
pub type Answer<'a, T> = LocalBoxFuture<'a, T>;

/// The host and its engine.
pub trait System {
    /// The content of a configuration file that may be replaced; none where there is no such file.
    ///
    /// # Errors
    /// Where it may not be replaced: a link, a directory, the file of another user.
    fn config(&self, path: &Path) -> Result<Option<Vec<u8>>>;

    /// Replaces a configuration file as a whole, if it still is `before`; owner, mode and attributes stay.
    ///
    /// # Errors
    /// Where it was changed meanwhile or cannot be written.
    fn replace(&self, path: &Path, before: Option<&[u8]>, after: Option<&[u8]>) -> Result<()>;

    /// The content of a file; none where there is no such file.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>>;

    /// Whether there is such a directory.
    fn is_directory(&self, path: &Path) -> bool;

    /// Removes a file; on disk when it returns.
    ///
    /// # Errors
    /// Where it cannot be removed.
    fn remove_file(&self, path: &Path) -> Result<()>;

    /// Creates a directory for root alone; false where it exists.
    ///
    /// # Errors
    /// Where it cannot be created.
    fn create_directory(&self, path: &Path) -> Result<bool>;

    /// Creates a file for root alone; on disk when it returns.
    ///
    /// # Errors
    /// Where it exists or cannot be written.
    fn create(&self, path: &Path, content: &[u8]) -> Result<()>;

    /// Appends to a file, all or nothing; on disk when it returns.
    ///
    /// # Errors
    /// Where it cannot be written.
    fn append(&self, path: &Path, content: &[u8]) -> Result<()>;

    /// Makes a file shorter; on disk when it returns.
    ///
    /// # Errors
    /// Where it cannot be written.
    fn truncate(&self, path: &Path, length: u64) -> Result<()>;

    /// The names in a directory, sorted; none where there is no such directory.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn list(&self, directory: &Path) -> Result<Vec<String>>;

    /// Copies a directory for root alone and compares the copy; on disk when it returns.
    ///
    /// # Errors
    /// Where it cannot be copied.
    fn copy_tree(&self, from: &Path, to: &Path, except: Option<&str>) -> Result<()>;

    /// Puts a copy of a directory in the place of another one.
    ///
    /// # Errors
    /// Where it cannot be copied.
    fn install_tree(&self, copy: &Path, place: &Path) -> Result<()>;

    /// The value of a kernel parameter.
    ///
    /// # Errors
    /// Where there is no such parameter.
    fn sysctl(&self, key: &str) -> Result<String>;

    /// Sets a kernel parameter until the next boot.
    ///
    /// # Errors
    /// Where the kernel refuses it.
    fn set_sysctl(&self, key: &str, to: &str) -> Result<()>;

    /// How many users a loaded kernel module has; none where it is not loaded.
    fn module_users(&self, name: &str) -> Option<u64>;

    /// Runs a program to its end, without a shell; its standard output.
    ///
    /// # Errors
    /// Where it cannot be started, does not end in time or fails.
    fn run(&self, argv: &[String], limit: Duration) -> Result<String>;

    /// Whether this host has an address.
    fn holds(&self, addr: IpAddr) -> bool;

    /// The kernel's neighbour entry of an address.
    ///
    /// # Errors
    /// Where the kernel does not answer.
    fn neighbour(&self, addr: IpAddr) -> io::Result<Option<NeighbourStatus>>;

    /// Whether a TCP port of this host can be bound.
    ///
    /// # Errors
    /// Where it cannot.
    fn can_bind(&self, port: u16) -> io::Result<()>;

    /// The pid of dockerd on this host.
    fn engine_pid(&self) -> Option<u32>;

    /// What starts and stops dockerd on this host.
    fn service_manager(&self) -> Option<ServiceManager>;

    /// Sends SIGHUP to dockerd.
    ///
    /// # Errors
    /// Where there is no such process.
    fn reload_engine(&self, pid: u32) -> Result<()>;

    /// Who and where the engine and this host are.
    fn identity(&self) -> Answer<'_, Identity>;

    /// Why changes by this process would not reach the host of the engine.
    fn foreign(&self) -> Option<String>;

    /// A request to the engine; null where the answer has no body.
    fn api<'a>(&'a self, method: Method, path: &'a str, body: &'a Value) -> Answer<'a, Result<Value>>;

    /// Whether the engine answers.
    fn ping(&self) -> Answer<'_, Result<()>>;

    /// Tries to connect to a TCP port.
    fn connect(&self, addr: SocketAddr, limit: Duration) -> Answer<'_, io::Result<()>>;

    /// Asks a manager for the root CA of its swarm.
    fn greet(&self, addr: SocketAddr, limit: Duration) -> Answer<'_, Greeting>;

    /// The end of the raft log below the swarm state of an engine; none where there is no log.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn raft_log(&self, state: &Path) -> Result<Option<RaftLog>>;

    /// The log of the engine, as far as it can be read.
    fn engine_log(&self) -> Answer<'_, Option<Log>>;

    /// The time.
    fn now(&self) -> Timestamp;

    /// A clock that never goes back.
    fn uptime(&self) -> Duration;

    /// Waits.
    fn sleep(&self, time: Duration) -> Answer<'_, ()>;
}

/// What the kernel's neighbour table says about an address.
#[derive(Clone, Copy, Debug)]
pub struct NeighbourStatus {
    /// The kernel asked and no host answered.
    pub failed: bool,
    /// How long ago a host answered.
    pub confirmed: Duration,
}

/// What starts and stops dockerd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceManager {
    /// systemd, with the unit of dockerd.
    Systemd {
        /// Such as `docker.service` or `snap.docker.dockerd.service`.
        unit: String,
    },
    /// An init script.
    InitScript(PathBuf),
}

impl ServiceManager {
    /// The program and its arguments for a verb such as `restart`.
    pub(super) fn argv(&self, verb: &str) -> Vec<String> {
        match self {
            Self::Systemd { unit } => vec!["systemctl".into(), verb.into(), unit.clone()],
            Self::InitScript(path) => vec![path.to_string_lossy().into_owned(), verb.into()],
        }
    }
}

/// Which engine on which boot of which host.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// The node id of the engine; empty in no swarm; none where the engine does not answer.
    pub node_id: Option<String>,
    /// The id of the cluster; empty in no swarm and on a worker.
    pub cluster_id: Option<String>,
    /// The machine id of this host.
    pub machine_id: String,
    /// The boot id of this host's kernel.
    pub boot_id: String,
}
