//! `GET /info` and `GET /version`.

use super::or_default;
use crate::NodeId;
use crate::engine::{Info, Proxy, Version};
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
    #[serde(default, deserialize_with = "or_default")]
    operating_system: String,
    #[serde(default, deserialize_with = "or_default")]
    security_options: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    http_proxy: String,
    #[serde(default, deserialize_with = "or_default")]
    https_proxy: String,
    #[serde(default, deserialize_with = "or_default")]
    no_proxy: String,
    #[serde(default, deserialize_with = "or_default")]
    driver_status: Vec<Vec<String>>,
    #[serde(default, deserialize_with = "or_default")]
    firewall_backend: FirewallAnswer,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FirewallAnswer {
    #[serde(default, deserialize_with = "or_default")]
    driver: String,
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

/// Managers from `GET /info` or from `state.json`, whose keys are spelled differently.
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
        operating_system: answer.operating_system,
        security_options: answer.security_options,
        proxy: Proxy { http: answer.http_proxy, https: answer.https_proxy, bypass: answer.no_proxy },
        containerd_store: answer
            .driver_status
            .iter()
            .flatten()
            .any(|word| word.contains("io.containerd.snapshotter")),
        firewall_backend: Some(answer.firewall_backend.driver).filter(|driver| !driver.is_empty()),
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
