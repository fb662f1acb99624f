//! The swarm: who belongs to it, who leads it, and what each node remembers of it.

use crate::service::{Platform, Resources};
use crate::{NodeId, NodeName};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// `Swarm` of `GET /info`: what an engine reports about its own membership, also on a worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Membership {
    /// `LocalNodeState`.
    pub state: LocalState,
    /// `ControlAvailable`: a manager that can answer for the cluster.
    pub control_available: bool,
    /// `NodeID`, empty while the node is locked or its swarm component does not run.
    pub node_id: NodeId,
    /// `NodeAddr`: the address the node advertises.
    pub node_addr: Option<IpAddr>,
    /// `Error`: why the swarm component does not run, or that there is no leader.
    pub error: String,
    /// `RemoteManagers`: the managers this node knows.
    pub managers: Vec<RemoteManager>,
    /// `Cluster.ID`, on managers.
    pub cluster_id: Option<String>,
    /// `Managers`: how many managers the cluster has; 0 where the engine does not say.
    pub manager_count: u64,
    /// `Nodes`: how many nodes the cluster has; 0 where the engine does not say.
    pub node_count: u64,
}

/// `LocalNodeState`: how far the swarm component of this engine has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LocalState {
    /// Not in a swarm.
    #[default]
    Inactive,
    /// Joining.
    Pending,
    /// A member.
    Active,
    /// The swarm component stopped; [`Membership::error`] says why.
    Error,
    /// Encrypted at rest, waiting for the unlock key.
    Locked,
    /// A state this doctor does not know.
    #[serde(untagged)]
    Other(String),
}

impl LocalState {
    /// The engine's word for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Error => "error",
            Self::Locked => "locked",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for LocalState {
    fn from(word: &str) -> Self {
        match word {
            "" | "inactive" => Self::Inactive,
            "pending" => Self::Pending,
            "active" => Self::Active,
            "error" => Self::Error,
            "locked" => Self::Locked,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// A manager as another node knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct RemoteManager {
    /// Its node id.
    pub node_id: NodeId,
    /// Where its manager port is reached.
    pub addr: SocketAddr,
}

/// An entry of the node list, `GET /nodes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Its hostname.
    pub name: NodeName,
    /// Whether it is meant to be a manager (`Spec.Role`).
    pub wants_manager: bool,
    /// `Spec.Availability`: `active`, `pause` or `drain`.
    pub availability: String,
    /// `Status.State`.
    pub state: NodeState,
    /// `Status.Message`.
    pub message: String,
    /// `Status.Addr`: where its connection to the manager came from.
    pub addr: Option<IpAddr>,
    /// Its standing as a manager, where it is one.
    pub manager: Option<Manager>,
    /// The version of its engine.
    pub engine: String,
    /// `Spec.Labels`: the labels the managers gave it.
    pub labels: BTreeMap<String, String>,
    /// The labels its engine was started with.
    pub engine_labels: BTreeMap<String, String>,
    /// What it runs on.
    pub platform: Platform,
    /// What it has in all.
    pub resources: Resources,
    /// What it has besides, by kind, such as processors for graphics.
    pub kinds: BTreeMap<String, u64>,
    /// `Description.TLSInfo.CertIssuerPublicKey` of the authority that its certificate is from, base64.
    pub issuer: String,
    /// The plugins its engine has, by type and name, such as `Volume` and `local`.
    pub plugins: Vec<(String, String)>,
}

/// `Status.State` of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// It beats.
    Ready,
    /// It missed its heartbeats.
    Down,
    /// It left the session and looks for a manager.
    Disconnected,
    /// The leader is new and has not heard from it yet; normal for some 30 s.
    Unknown,
    /// A state this doctor does not know.
    #[serde(untagged)]
    Other(String),
}

impl NodeState {
    /// The engine's word for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ready => "ready",
            Self::Down => "down",
            Self::Disconnected => "disconnected",
            Self::Unknown => "unknown",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for NodeState {
    fn from(word: &str) -> Self {
        match word {
            "ready" => Self::Ready,
            "down" => Self::Down,
            "disconnected" => Self::Disconnected,
            "unknown" => Self::Unknown,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// `ManagerStatus` of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Manager {
    /// Whether it leads.
    pub leader: bool,
    /// `Reachability`: whether the leader's raft reaches it.
    pub reachable: bool,
    /// Where raft reaches it.
    pub addr: Option<SocketAddr>,
}

/// `GET /swarm`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Cluster {
    /// The cluster's id.
    pub id: String,
    /// `DataPathPort`; 0 means 4789.
    pub data_path_port: u16,
    /// `DefaultAddrPool`.
    pub address_pools: Vec<String>,
    /// `Spec.EncryptionConfig.AutoLockManagers`.
    pub autolock: bool,
    /// `CAConfig.NodeCertExpiry`: how long node certificates are valid, in seconds.
    pub certificate_seconds: Option<u64>,
    /// `CAConfig.ExternalCAs`.
    pub external_cas: Vec<ExternalCa>,
    /// `Raft.ElectionTick` and `Raft.HeartbeatTick`.
    pub raft_ticks: Option<(u64, u64)>,
    /// `Orchestration.TaskHistoryRetentionLimit`: how many old tasks of each slot are listed.
    pub task_history: Option<i64>,
    /// When its records begin.
    pub created: Option<Timestamp>,
    /// When they were last changed.
    pub updated: Option<Timestamp>,
    /// `TLSInfo.CertIssuerPublicKey` of the authority that nodes are to have their certificates from, base64.
    pub issuer: String,
    /// `RootRotationInProgress`: not every node has its certificate from that authority yet.
    pub rotating: bool,
}

/// A CA outside of the swarm that signs node certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ExternalCa {
    /// Where it is reached.
    pub url: String,
    /// Whether the swarm has the root certificate for its TLS certificate.
    pub pinned: bool,
}

/// The port of a manager, unless another is named.
pub const MANAGER_PORT: u16 = 2377;

/// `docker-state.json`: what a node remembers of how it came into the swarm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SwarmState {
    /// The address it advertises.
    pub advertise_addr: String,
    /// The address it took for its own.
    pub local_addr: String,
    /// The address it listens on.
    pub listen_addr: String,
    /// The address its VXLAN traffic leaves from, empty for the advertised one.
    pub data_path_addr: String,
    /// The manager it joined through, empty for the first.
    pub remote_addr: String,
    /// The UDP port of the data plane; 0 means 4789.
    pub data_path_port: u16,
    /// A join was begun and not ended.
    pub join_in_progress: bool,
}

impl SwarmState {
    /// The port on which it would be a manager. The listen address is stored as given: an address or the name of an interface,
    /// with or without a port.
    pub fn manager_port(&self) -> u16 {
        let port = self.listen_addr.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        port.filter(|port| *port != 0).unwrap_or(MANAGER_PORT)
    }
}

/// Where the raft log of a manager ends: of two, the greater one is the newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct RaftLog {
    /// The term of its last entry.
    pub term: u64,
    /// The number of its last entry.
    pub index: u64,
}

impl fmt::Display for RaftLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {} of term {}", self.index, self.term)
    }
}

/// A certificate of the swarm, without its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Certificate {
    /// CN: the node id.
    pub common_name: String,
    /// OU: `swarm-manager` or `swarm-worker`.
    pub unit: String,
    /// O: the cluster id.
    pub organisation: String,
    /// When it begins to be valid.
    pub not_before: Timestamp,
    /// When it ends to be valid.
    pub not_after: Timestamp,
    /// When its file was last written, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Timestamp>,
}
