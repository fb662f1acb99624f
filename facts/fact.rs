//! A fact is a value with its source, or the reason why it is missing.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::ser::{Error as _, SerializeMap as _, Serializer};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// A fact is a value with its source, or the reason why it is missing. There is no third state.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact<T> {
    /// It was seen.
    Seen(Seen<T>),
    /// It could not be seen, for the reason given.
    Unseen(Gap),
}

/// A value with the place it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen<T> {
    /// What was seen.
    pub value: T,
    /// Where it was seen.
    pub source: Source,
}

/// The key under which a gap stands in the place of a value, as JSON text. No fact has such a field.
pub const GAP_KEY: &str = "$gap";

/// The keyword that marks a fact in the JSON Schema: it may be a gap.
pub const FACT_KEYWORD: &str = "x-fact";

/// The value, or a gap under [`GAP_KEY`].
impl<T: Serialize> Serialize for Fact<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Seen(seen) => seen.value.serialize(serializer),
            Self::Unseen(gap) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(GAP_KEY, &serde_json::to_string(gap).map_err(S::Error::custom)?)?;
                map.end()
            }
        }
    }
}

/// The schema of the value, marked with [`FACT_KEYWORD`].
impl<T: JsonSchema> JsonSchema for Fact<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = generator.subschema_for::<T>();
        schema.insert(FACT_KEYWORD.to_owned(), true.into());
        schema
    }
}

impl<T> Deref for Seen<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// Where a fact comes from: the artifact in the bundle, and its origin in words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// The kind of artifact.
    pub need: Need,
    /// The path of the artifact in the bundle, such as `engine/info.json`.
    pub artifact: String,
    /// Where the artifact was taken from, such as `GET /info` or `/etc/docker/daemon.json`.
    pub origin: String,
}

/// A fact that is missing, and why; `?` carries it out of a check.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// Where it was looked for.
    pub source: Source,
    /// Why it was not seen.
    pub why: Why,
}

/// Why a fact is missing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Why {
    /// This run did not collect it.
    NotAsked {
        /// Why it was not collected.
        reason: String,
    },
    /// It does not exist here: a worker has no node list.
    NotApplicable {
        /// Why it does not exist.
        reason: String,
    },
    /// The operating system or the engine denied access.
    Denied {
        /// What was denied, with the original error.
        what: String,
    },
    /// No answer within the timeout.
    TimedOut {
        /// Timeout in milliseconds.
        after_ms: u64,
    },
    /// Nothing answered: no such host, port or socket.
    Unreachable {
        /// What the attempt ended in.
        what: String,
    },
    /// The engine answered, and its answer was an error.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The engine's message.
        what: String,
    },
    /// It was collected, and does not decide the question.
    Undecidable {
        /// What it depends on.
        what: String,
    },
    /// There was an answer, and it could not be parsed.
    Malformed {
        /// The line, from 1, or 0 where lines mean nothing.
        line: u32,
        /// What is wrong with it.
        what: String,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked { reason } => write!(f, "not collected: {reason}"),
            Self::NotApplicable { reason } => write!(f, "not applicable: {reason}"),
            Self::Denied { what } => write!(f, "permission denied: {what}"),
            Self::TimedOut { after_ms } => write!(f, "no answer within {after_ms} ms"),
            Self::Unreachable { what } => write!(f, "unreachable: {what}"),
            Self::Refused { status, what } => write!(f, "HTTP {status}: {what}"),
            Self::Undecidable { what } => write!(f, "cannot determine: {what}"),
            Self::Malformed { line: 0, what } => write!(f, "malformed: {what}"),
            Self::Malformed { line, what } => write!(f, "malformed at line {line}: {what}"),
        }
    }
}

impl Why {
    /// Whether the gap leaves a question open that this run was meant to answer. The other gaps are
    /// shown, and never change the exit code.
    pub fn leaves_open(&self) -> bool {
        !matches!(self, Self::NotAsked { .. } | Self::NotApplicable { .. })
    }
}

/// One kind of artifact. `collect` and `parse` match on it exhaustively.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// `GET /_ping` and its headers.
    Ping,
    /// `GET /info`.
    Info,
    /// `GET /version`.
    Version,
    /// `GET /swarm`.
    Swarm,
    /// `GET /nodes`.
    Nodes,
    /// `GET /services`.
    Services,
    /// `GET /tasks`.
    Tasks,
    /// `GET /networks`, and `GET /networks/ID?verbose=true` of ingress and of the overlays this node is on.
    Networks,
    /// `GET /containers/json` and the inspection of each container that runs a task.
    Containers,
    /// `daemon.json`.
    DaemonJson,
    /// The dockerd process, its arguments and its socket.
    EngineProcess,
    /// `<data-root>/swarm/docker-state.json` and `state.json`, and how far the raft log goes.
    SwarmState,
    /// `<data-root>/swarm/certificates/*.crt`.
    Certificates,
    /// `/etc/hosts` of the node.
    Hosts,
    /// `/etc/resolv.conf` of the node.
    ResolvConf,
    /// `/etc/os-release`, the kernel's release and the node's hostname.
    OsRelease,
    /// Interfaces and their addresses.
    Interfaces,
    /// Routes.
    Routes,
    /// Listening sockets and who owns them.
    Sockets,
    /// Firewall rules (nftables and iptables).
    Firewall,
    /// Kernel settings.
    Sysctls,
    /// Kernel modules: loaded, built in or installed.
    Modules,
    /// Whether the clock is synchronised, and by which service.
    Clock,
    /// Room on the file system of the data root.
    Disk,
    /// Memory.
    Memory,
    /// The log of the engine.
    EngineLog,
    /// Attempts to reach the other nodes.
    Probes,
    /// The other machines on this one's networks, as the kernel knows them once it was tried to reach them.
    Neighbours,
    /// What a task sees from inside: addresses, sockets, names, hosts file.
    TaskNetns,
    /// A manager of the swarm that this host would join.
    Join,
    /// Applications that form clusters: their settings, and what they report.
    Apps,
    /// FDB and neighbour entries of the overlays, and overlay echoes.
    Overlays,
    /// Captured packets of gossip and of encrypted overlays. Collected with `--listen`.
    GossipCapture,
    /// The clocks of the other nodes. Collected for the matrix.
    Clocks,
    /// A stack file that is about to be deployed, and what it meets here. Collected where one is named.
    Stack,
}

impl Need {
    /// All of them, in the order they are collected and shown.
    pub const ALL: [Self; 35] = [
        Self::Ping,
        Self::Info,
        Self::Version,
        Self::Swarm,
        Self::Nodes,
        Self::Services,
        Self::Tasks,
        Self::Networks,
        Self::Containers,
        Self::DaemonJson,
        Self::EngineProcess,
        Self::SwarmState,
        Self::Certificates,
        Self::Hosts,
        Self::ResolvConf,
        Self::OsRelease,
        Self::Interfaces,
        Self::Routes,
        Self::Sockets,
        Self::Firewall,
        Self::Sysctls,
        Self::Modules,
        Self::Clock,
        Self::Disk,
        Self::Memory,
        Self::EngineLog,
        Self::Probes,
        Self::Neighbours,
        Self::TaskNetns,
        Self::Join,
        Self::Apps,
        Self::Overlays,
        Self::GossipCapture,
        Self::Clocks,
        Self::Stack,
    ];

    /// What it is called in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ping => "engine ping",
            Self::Info => "engine info",
            Self::Version => "engine version",
            Self::Swarm => "swarm",
            Self::Nodes => "node list",
            Self::Services => "services",
            Self::Tasks => "tasks",
            Self::Networks => "networks",
            Self::Containers => "containers",
            Self::DaemonJson => "daemon.json",
            Self::EngineProcess => "engine process",
            Self::SwarmState => "swarm state files",
            Self::Certificates => "node certificate",
            Self::Hosts => "/etc/hosts",
            Self::ResolvConf => "/etc/resolv.conf",
            Self::OsRelease => "operating system",
            Self::Interfaces => "interfaces",
            Self::Routes => "routes",
            Self::Sockets => "listening sockets",
            Self::Firewall => "firewall rules",
            Self::Sysctls => "kernel settings",
            Self::Modules => "kernel modules",
            Self::Clock => "clock",
            Self::Disk => "disk room",
            Self::Memory => "memory",
            Self::EngineLog => "engine log",
            Self::Probes => "probes",
            Self::Neighbours => "neighbours",
            Self::TaskNetns => "task namespaces",
            Self::Join => "manager to join",
            Self::Apps => "applications",
            Self::Overlays => "overlays",
            Self::GossipCapture => "gossip capture",
            Self::Clocks => "clocks of the others",
            Self::Stack => "stack file",
        }
    }
}

impl<T> Fact<T> {
    /// The fact, or the gap in its place.
    pub fn get(&self) -> Result<&Seen<T>, Gap> {
        match self {
            Self::Seen(seen) => {
                #[cfg(feature = "testing")]
                recording::note(seen.source.need);
                Ok(seen)
            }
            Self::Unseen(gap) => {
                #[cfg(feature = "testing")]
                recording::note(gap.source.need);
                Err(gap.clone())
            }
        }
    }

    /// The fact in another shape; the source stays.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Self::Seen(seen) => Fact::Seen(Seen { value: change(seen.value), source: seen.source }),
            Self::Unseen(gap) => Fact::Unseen(gap),
        }
    }
}

#[cfg(feature = "testing")]
mod recording {
    //! Which needs were read, so that a test can hold a check to the needs it declares.

    use super::Need;
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    thread_local! {
        static READS: RefCell<BTreeSet<Need>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(super) fn note(need: Need) {
        READS.with_borrow_mut(|reads| reads.insert(need));
    }

    /// Forgets what this thread has read so far.
    pub fn start_recording_reads() {
        READS.with_borrow_mut(BTreeSet::clear);
    }

    /// What this thread has read since.
    pub fn reads() -> BTreeSet<Need> {
        READS.with_borrow(BTreeSet::clone)
    }
}
#[cfg(feature = "testing")]
pub use recording::{reads, start_recording_reads};
