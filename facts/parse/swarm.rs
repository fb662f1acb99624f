//! The node list, the cluster, and what a node keeps of the swarm on disk.

use super::or_default;
use super::services::{Amount, PlatformSpec};
use crate::swarm::{Cluster, ExternalCa, Manager, Node, NodeState, SwarmState};
use crate::{NodeId, NodeName};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NodeAnswer {
    #[serde(rename = "ID")]
    id: NodeId,
    #[serde(default, deserialize_with = "or_default")]
    spec: NodeSpec,
    #[serde(default, deserialize_with = "or_default")]
    description: Description,
    #[serde(default, deserialize_with = "or_default")]
    status: Status,
    #[serde(default)]
    manager_status: Option<ManagerStatus>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NodeSpec {
    #[serde(default, deserialize_with = "or_default")]
    role: String,
    #[serde(default, deserialize_with = "or_default")]
    availability: String,
    #[serde(default, deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Description {
    #[serde(default, deserialize_with = "or_default")]
    hostname: NodeName,
    #[serde(default, deserialize_with = "or_default")]
    engine: Engine,
    #[serde(default, deserialize_with = "or_default")]
    platform: PlatformSpec,
    #[serde(default, deserialize_with = "or_default")]
    resources: Amount,
    #[serde(rename = "TLSInfo", default, deserialize_with = "or_default")]
    tls: Tls,
}

#[derive(Default, Deserialize)]
struct Tls {
    #[serde(rename = "CertIssuerPublicKey", default, deserialize_with = "or_default")]
    issuer: String,
}

#[derive(Default, Deserialize)]
struct Engine {
    #[serde(rename = "EngineVersion", default, deserialize_with = "or_default")]
    version: String,
    #[serde(rename = "Labels", default, deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
    #[serde(rename = "Plugins", default, deserialize_with = "or_default")]
    plugins: Vec<Plugin>,
}

#[derive(Deserialize)]
struct Plugin {
    #[serde(rename = "Type", default, deserialize_with = "or_default")]
    kind: String,
    #[serde(rename = "Name", default, deserialize_with = "or_default")]
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    #[serde(default, deserialize_with = "or_default")]
    state: String,
    #[serde(default, deserialize_with = "or_default")]
    message: String,
    #[serde(default, deserialize_with = "or_default")]
    addr: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ManagerStatus {
    #[serde(default, deserialize_with = "or_default")]
    leader: bool,
    #[serde(default, deserialize_with = "or_default")]
    reachability: String,
    #[serde(default, deserialize_with = "or_default")]
    addr: String,
}

pub(super) fn nodes(answers: Vec<NodeAnswer>) -> Vec<Node> {
    let one = |answer: NodeAnswer| Node {
        id: answer.id,
        name: answer.description.hostname,
        wants_manager: answer.spec.role == "manager",
        availability: answer.spec.availability,
        state: NodeState::from(answer.status.state.as_str()),
        message: answer.status.message,
        addr: answer.status.addr.parse().ok(),
        manager: answer.manager_status.map(|status| Manager {
            leader: status.leader,
            reachable: status.reachability != "unreachable",
            addr: status.addr.parse().ok(),
        }),
        engine: answer.description.engine.version,
        labels: answer.spec.labels,
        engine_labels: answer.description.engine.labels,
        platform: answer.description.platform.into(),
        issuer: answer.description.tls.issuer,
        kinds: answer.description.resources.kinds(),
        resources: answer.description.resources.into(),
        plugins: answer.description.engine.plugins.into_iter().map(|p| (p.kind, p.name)).collect(),
    };
    let mut nodes: Vec<_> = answers.into_iter().map(one).collect();
    nodes.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    nodes
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ClusterAnswer {
    #[serde(rename = "ID", default, deserialize_with = "or_default")]
    id: String,
    #[serde(default, deserialize_with = "or_default")]
    data_path_port: u16,
    #[serde(default, deserialize_with = "or_default")]
    default_addr_pool: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    spec: ClusterSpec,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    updated_at: Option<String>,
    #[serde(rename = "TLSInfo", default, deserialize_with = "or_default")]
    tls: Tls,
    #[serde(rename = "RootRotationInProgress", default, deserialize_with = "or_default")]
    rotating: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ClusterSpec {
    #[serde(default, deserialize_with = "or_default")]
    encryption_config: Encryption,
    #[serde(default, deserialize_with = "or_default")]
    orchestration: Orchestration,
    #[serde(default, deserialize_with = "or_default")]
    raft: Raft,
    #[serde(rename = "CAConfig", default, deserialize_with = "or_default")]
    ca: CaConfig,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Orchestration {
    #[serde(default)]
    task_history_retention_limit: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raft {
    #[serde(default)]
    election_tick: Option<u64>,
    #[serde(default)]
    heartbeat_tick: Option<u64>,
}

#[derive(Default, Deserialize)]
struct CaConfig {
    /// Nanoseconds.
    #[serde(rename = "NodeCertExpiry", default)]
    expiry: Option<u64>,
    #[serde(rename = "ExternalCAs", default, deserialize_with = "or_default")]
    external: Vec<External>,
}

#[derive(Deserialize)]
struct External {
    #[serde(rename = "URL", default, deserialize_with = "or_default")]
    url: String,
    #[serde(rename = "CACert", default, deserialize_with = "or_default")]
    root: String,
}

#[derive(Default, Deserialize)]
struct Encryption {
    #[serde(rename = "AutoLockManagers", default, deserialize_with = "or_default")]
    autolock: bool,
}

pub(super) fn cluster(answer: ClusterAnswer) -> Cluster {
    let time = |at: Option<String>| at.and_then(|at| at.parse().ok());
    Cluster {
        id: answer.id,
        data_path_port: answer.data_path_port,
        address_pools: answer.default_addr_pool,
        autolock: answer.spec.encryption_config.autolock,
        certificate_seconds: answer.spec.ca.expiry.map(|nanoseconds| nanoseconds / 1_000_000_000),
        external_cas: answer
            .spec
            .ca
            .external
            .into_iter()
            .map(|ca| ExternalCa { url: ca.url, pinned: !ca.root.is_empty() })
            .collect(),
        raft_ticks: answer.spec.raft.election_tick.zip(answer.spec.raft.heartbeat_tick),
        task_history: answer.spec.orchestration.task_history_retention_limit,
        created: time(answer.created_at),
        updated: time(answer.updated_at),
        issuer: answer.tls.issuer,
        rotating: answer.rotating,
    }
}

/// Field names as in moby's `daemon/cluster/noderunner.go`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StateAnswer {
    #[serde(default, deserialize_with = "or_default")]
    advertise_addr: String,
    #[serde(default, deserialize_with = "or_default")]
    local_addr: String,
    #[serde(default, deserialize_with = "or_default")]
    listen_addr: String,
    #[serde(default, deserialize_with = "or_default")]
    data_path_addr: String,
    #[serde(default, deserialize_with = "or_default")]
    remote_addr: String,
    #[serde(default, deserialize_with = "or_default")]
    data_path_port: u16,
    #[serde(default, deserialize_with = "or_default")]
    join_in_progress: bool,
}

pub(super) fn swarm_state(answer: StateAnswer) -> SwarmState {
    SwarmState {
        advertise_addr: answer.advertise_addr,
        local_addr: answer.local_addr,
        listen_addr: answer.listen_addr,
        data_path_addr: answer.data_path_addr,
        remote_addr: answer.remote_addr,
        data_path_port: answer.data_path_port,
        join_in_progress: answer.join_in_progress,
    }
}
