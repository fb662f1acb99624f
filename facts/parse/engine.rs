//! `GET /info` and `GET /version`.

use super::or_default;
use crate::NodeId;
use crate::engine::{Info, Version};
use crate::swarm::{LocalState, Membership, RemoteManager};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InfoAnswer {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    server_version: String,
    #[serde(default, deserialize_with = "or_default")]
    docker_root_dir: String,
    #[serde(default, deserialize_with = "or_default")]
    live_restore_enabled: bool,
    #[serde(default, deserialize_with = "or_default")]
    swarm: SwarmAnswer,
    #[serde(default, deserialize_with = "or_default")]
    warnings: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SwarmAnswer {
    #[serde(rename = "NodeID", default, deserialize_with = "or_default")]
    node_id: NodeId,
    #[serde(default, deserialize_with = "or_default")]
    node_addr: String,
    #[serde(default, deserialize_with = "or_default")]
    local_node_state: String,
    #[serde(default, deserialize_with = "or_default")]
    control_available: bool,
    #[serde(default, deserialize_with = "or_default")]
    error: String,
    #[serde(default, deserialize_with = "or_default")]
    remote_managers: Vec<RemoteAnswer>,
    #[serde(default, deserialize_with = "or_default")]
    cluster: ClusterAnswer,
    #[serde(default, deserialize_with = "or_default")]
    managers: u64,
    #[serde(default, deserialize_with = "or_default")]
    nodes: u64,
}

#[derive(Default, Deserialize)]
struct ClusterAnswer {
    #[serde(rename = "ID", default, deserialize_with = "or_default")]
    id: String,
}

#[derive(Deserialize)]
pub(super) struct RemoteAnswer {
    #[serde(rename = "NodeID", alias = "node_id", default, deserialize_with = "or_default")]
    node_id: NodeId,
    #[serde(rename = "Addr", alias = "addr", default, deserialize_with = "or_default")]
    addr: String,
}

/// Managers as `GET /info` lists them and as `state.json` does, which spells the names otherwise.
pub(super) fn remote_managers(answers: Vec<RemoteAnswer>) -> Vec<RemoteManager> {
    let one = |a: RemoteAnswer| Some(RemoteManager { addr: a.addr.parse().ok()?, node_id: a.node_id });
    let mut managers: Vec<_> = answers.into_iter().filter_map(one).collect();
    managers.sort();
    managers
}

pub(super) fn info(answer: InfoAnswer) -> Info {
    let swarm = answer.swarm;
    Info {
        name: answer.name,
        server_version: answer.server_version,
        data_root: answer.docker_root_dir,
        live_restore: answer.live_restore_enabled,
        warnings: answer.warnings,
        swarm: Membership {
            state: LocalState::from(swarm.local_node_state.as_str()),
            control_available: swarm.control_available,
            node_id: swarm.node_id,
            node_addr: swarm.node_addr.parse().ok(),
            error: swarm.error,
            managers: remote_managers(swarm.remote_managers),
            cluster_id: Some(swarm.cluster.id).filter(|id| !id.is_empty()),
            manager_count: swarm.managers,
            node_count: swarm.nodes,
        },
    }
}

#[derive(Deserialize)]
pub(super) struct VersionAnswer {
    #[serde(rename = "Version", default, deserialize_with = "or_default")]
    version: String,
    #[serde(rename = "ApiVersion", default, deserialize_with = "or_default")]
    api: String,
    #[serde(rename = "MinAPIVersion", default, deserialize_with = "or_default")]
    min_api: String,
}

pub(super) fn version(answer: VersionAnswer) -> Version {
    Version { engine: answer.version, api: answer.api, min_api: answer.min_api }
}
