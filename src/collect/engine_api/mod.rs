//! Answers of the Docker Engine API, saved unchanged.

mod engine;
mod transport;

#[cfg(test)]
mod tests;

use super::{Artifact, Place, Session};
use bollard::Docker;
use bollard::query_parameters::{
    InspectNetworkOptionsBuilder, ListContainersOptionsBuilder, ListServicesOptionsBuilder,
};
use facts::bundle::ArtifactStatus;
use facts::engine::Ping;
use facts::{Need, Why};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;

pub(crate) use engine::Engine;

/// Maximum number of inspected networks.
const MAX_NETWORKS: usize = 64;
/// Maximum number of inspected containers.
const MAX_CONTAINERS: usize = 200;
/// Number of concurrent inspections.
const AT_ONCE: usize = 16;

/// Status and headers of the answer to `GET /_ping`.
pub(super) async fn ping(session: &Session) -> Vec<Artifact> {
    let place = Place::new(Need::Ping, "engine/ping.json", "GET /_ping");
    let answer = session.engine().await.and_then(Engine::ping);
    vec![match answer {
        Ok(answer) => {
            let (api_version, swarm) = (answer.header("Api-Version"), answer.header("Swarm"));
            place.kept_as_json(&Ping { api_version, swarm })
        }
        Err(why) => place.missed(why),
    }]
}

/// `docker info`.
pub(super) async fn info(session: &Session) -> Vec<Artifact> {
    let place = Place::new(Need::Info, "engine/info.json", "GET /info");
    vec![get(session, place, async |docker| docker.info().await).await]
}

/// `docker version`: the engine and its components.
pub(super) async fn version(session: &Session) -> Vec<Artifact> {
    let place = Place::new(Need::Version, "engine/version.json", "GET /version");
    vec![get(session, place, async |docker| docker.version().await).await]
}

/// `GET /swarm`: the specification of the swarm.
pub(super) async fn swarm(session: &Session) -> Vec<Artifact> {
    let place = Place::new(Need::Swarm, "engine/swarm.json", "GET /swarm");
    let call = async |docker: Docker| docker.inspect_swarm().await;
    vec![get_from_manager(session, place, "managers know its settings", call).await]
}

/// `docker node ls`.
pub(super) async fn nodes(session: &Session) -> Vec<Artifact> {
    let place = Place::new(Need::Nodes, "engine/nodes.json", "GET /nodes");
    let call = async |docker: Docker| docker.list_nodes(None).await;
    vec![get_from_manager(session, place, "managers list nodes", call).await]
}

/// The services, with the number of their tasks if the engine reports it.
pub(super) async fn services(session: &Session) -> Vec<Artifact> {
    let counted = session.engine().await.is_ok_and(|engine| engine.supports((1, 41)));
    let origin = if counted { "GET /services?status=true" } else { "GET /services" };
    let place = Place::new(Need::Services, "engine/services.json", origin);
    let options = counted.then(|| ListServicesOptionsBuilder::new().status(true).build());
    let call = async |docker: Docker| docker.list_services(options).await;
    vec![get_from_manager(session, place, "managers list services", call).await]
}

/// All tasks, including those that ended.
pub(super) async fn tasks(session: &Session) -> Vec<Artifact> {
    let place = Place::new(Need::Tasks, "engine/tasks.json", "GET /tasks");
    let call = async |docker: Docker| docker.list_tasks(None).await;
    vec![get_from_manager(session, place, "managers list tasks", call).await]
}

/// The names of secrets, and the names and contents of configs; `None` if they could not be listed.
pub(super) async fn secrets_and_configs(
    session: &Session,
) -> (Option<Vec<String>>, Option<BTreeMap<String, String>>) {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed {
        spec: Spec,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Spec {
        name: String,
        #[serde(default)]
        data: String,
    }
    let listed = |list: Artifact| -> Option<BTreeMap<String, String>> {
        let listed: Option<Vec<Listed>> = read(&list);
        listed.map(|list| list.into_iter().map(|one| (one.spec.name, one.spec.data)).collect())
    };
    let place = |what: &str| Place::new(Need::Stack, format!("engine/{what}.json"), format!("GET /{what}"));
    let only = "managers list secrets and configs";
    let (secrets, configs) = tokio::join!(
        get_from_manager(session, place("secrets"), only, async |docker| docker.list_secrets(None).await),
        get_from_manager(session, place("configs"), only, async |docker| docker.list_configs(None).await),
    );
    (listed(secrets).map(|secrets| secrets.into_keys().collect()), listed(configs))
}

/// All networks, and details of the ingress network and of overlay networks to which a local container is attached.
pub(super) async fn networks(session: &Session) -> Vec<Artifact> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed {
        id: String,
        #[serde(default)]
        driver: String,
        #[serde(default)]
        ingress: bool,
    }
    let place = Place::new(Need::Networks, "engine/networks.json", "GET /networks");
    let (list, attached) =
        tokio::join!(get(session, place, async |docker| docker.list_networks(None).await), attached(session));
    let mut listed: Vec<Listed> = read(&list).unwrap_or_default();
    // The engine's order is arbitrary; the ingress network comes first, so the limit never cuts it off.
    listed.sort_by(|a, b| (b.ingress, &a.id).cmp(&(a.ingress, &b.id)));
    let mut artifacts = vec![list];
    let is_attached = |network: &Listed| match &attached {
        Ok(ids) => ids.contains(&network.id),
        Err(_) => false,
    };
    let wanted = listed.into_iter().filter(|it| it.driver == "overlay" && (it.ingress || is_attached(it)));
    let inspect = async |id: String| {
        let origin = format!("GET /networks/{id}?verbose=true");
        let place = Place::new(Need::Networks, format!("engine/networks/{id}.json"), origin);
        let options = InspectNetworkOptionsBuilder::new().verbose(true).build();
        get(session, place, async |docker: Docker| docker.inspect_network(&id, Some(options)).await).await
    };
    let rest = Place::new(Need::Networks, "engine/networks/rest.json", "GET /networks/ID?verbose=true");
    artifacts.extend(each(wanted.map(|network| network.id), MAX_NETWORKS, rest.clone(), inspect).await);
    // If the list failed as well, its artifact already has the reason.
    if let (Err(why), ArtifactStatus::Collected) = (attached, &artifacts[0].entry.status) {
        artifacts.push(rest.missed(why));
    }
    artifacts
}

/// The containers of tasks, with details of each.
pub(super) async fn containers(session: &Session) -> Vec<Artifact> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed {
        id: String,
    }
    let place = Place::new(Need::Containers, "engine/containers.json", "GET /containers/json");
    let label = HashMap::from([("label", vec!["com.docker.swarm.task.id"])]);
    let options = ListContainersOptionsBuilder::new().filters(&label).build();
    let list = get(session, place, async |docker: Docker| docker.list_containers(Some(options)).await).await;
    let mut listed: Vec<Listed> = read(&list).unwrap_or_default();
    listed.sort_by(|a, b| a.id.cmp(&b.id));
    let inspect = async |id: String| {
        let origin = format!("GET /containers/{id}/json");
        let place = Place::new(Need::Containers, format!("engine/containers/{id}.json"), origin);
        get(session, place, async |docker: Docker| docker.inspect_container(&id, None).await).await
    };
    let rest = Place::new(Need::Containers, "engine/containers/rest.json", "GET /containers/ID/json");
    let mut artifacts = vec![list];
    artifacts.extend(each(listed.into_iter().map(|it| it.id), MAX_CONTAINERS, rest, inspect).await);
    artifacts
}

/// The ids of the networks to which local running containers are attached.
async fn attached(session: &Session) -> Result<BTreeSet<String>, Why> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Running {
        network_settings: Option<Settings>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Settings {
        networks: Option<BTreeMap<String, Option<Attachment>>>,
    }
    #[derive(Deserialize)]
    struct Attachment {
        #[serde(rename = "NetworkID", default)]
        network: String,
    }
    let body = session.engine().await?.json(async |docker| docker.list_containers(None).await).await?;
    let running: Vec<Running> = serde_json::from_slice(&body)
        .map_err(|error| Why::Malformed { line: 0, what: format!("GET /containers/json: {error}") })?;
    let networks = running.into_iter().filter_map(|it| it.network_settings?.networks).flatten();
    Ok(networks.filter_map(|(_, attachment)| Some(attachment?.network)).collect())
}

/// Inspects up to `most` objects; the rest becomes one gap.
async fn each<F: Future<Output = Artifact>>(
    ids: impl Iterator<Item = String>,
    most: usize,
    rest: Place,
    inspect: impl Fn(String) -> F,
) -> Vec<Artifact> {
    // An id becomes part of a path in the bundle and must not traverse directories.
    let ids: Vec<_> =
        ids.filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric())).collect();
    let left = ids.len().saturating_sub(most);
    let mut artifacts: Vec<_> =
        stream::iter(ids.into_iter().take(most)).map(inspect).buffered(AT_ONCE).collect().await;
    if left > 0 {
        let reason = format!("{left} of {} are left out; this run inspects no more than {most}", left + most);
        artifacts.push(rest.missed(Why::NotAsked { reason }));
    }
    artifacts
}

/// The answer of a manager to one call of bollard; `only` is the reason why a worker is not asked.
async fn get_from_manager<T>(
    session: &Session,
    place: Place,
    only: &str,
    call: impl AsyncFnOnce(Docker) -> T,
) -> Artifact {
    match manages(session, only).await {
        Ok(()) => get(session, place, call).await,
        Err(why) => place.missed(why),
    }
}

/// Whether the engine reports itself as a manager; a worker would answer with an error.
async fn manages(session: &Session, only: &str) -> Result<(), Why> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Info {
        #[serde(default)]
        swarm: Swarm,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Swarm {
        local_node_state: String,
        control_available: bool,
        error: Option<String>,
    }
    let artifacts = session.artifacts(Need::Info).await;
    if let Some(ArtifactStatus::Failed { why }) = artifacts.first().map(|artifact| &artifact.entry.status) {
        return Err(why.clone());
    }
    let info: Option<Info> = artifacts.first().and_then(read);
    let Some(Info { swarm }) = info else {
        return Err(Why::Malformed { line: 0, what: "GET /info: it does not tell of a swarm".into() });
    };
    let reason = |reason: &str| Err(Why::NotApplicable { reason: reason.to_owned() });
    let stuck = |what: String| Err(Why::Unreachable { what });
    match swarm.local_node_state.as_str() {
        _ if swarm.control_available => Ok(()),
        "" | "inactive" => reason("this node is in no swarm"),
        "active" => reason(&format!("this node is a worker; only {only}")),
        "locked" => stuck("the swarm component is locked".into()),
        "pending" => stuck("this node is still joining the swarm".into()),
        "error" => stuck(format!("the swarm component has stopped: {}", swarm.error.unwrap_or_default())),
        state => stuck(format!("the swarm component is in the state {state}")),
    }
}

/// The answer to one call of bollard.
async fn get<T>(session: &Session, place: Place, call: impl AsyncFnOnce(Docker) -> T) -> Artifact {
    let engine = match session.engine().await {
        Ok(engine) => engine,
        Err(why) => return place.missed(why),
    };
    match engine.json(call).await {
        Ok(body) => place.kept(body),
        Err(why) => place.missed(why),
    }
}

/// The parsed content of an artifact; `None` if it is absent or malformed.
fn read<T: DeserializeOwned>(artifact: &Artifact) -> Option<T> {
    serde_json::from_slice(artifact.content.as_deref()?).ok()
}
