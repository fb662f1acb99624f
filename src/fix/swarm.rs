//! What is changed of the swarm, through the engine's API.

use super::act::Undo;
use super::{Ground, membership, quorum};
use crate::collect::Engine;
use checks::Step;
use facts::Why;
use hyper::Method;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The most that one request may take: a manager gives the others 20 s.
const DEADLINE: Duration = Duration::from_secs(40);

/// One change of the swarm.
#[derive(Clone, Debug)]
pub(super) enum Verb {
    /// A node takes tasks again.
    Activate {
        /// Its id.
        id: String,
    },
    /// An entry goes out of the node list.
    Remove {
        /// Its id.
        id: String,
        /// It was a manager.
        manager: bool,
    },
    /// The network that published ports live on is made.
    Ingress,
    /// The manager gets its key.
    Unlock,
    /// A manager becomes a worker.
    Demote {
        /// Its id.
        id: String,
    },
    /// This node leaves the swarm.
    Leave {
        /// Although it is a manager, or no manager knows of it.
        force: bool,
        /// Where it keeps what it knows of the swarm.
        state: PathBuf,
    },
    /// This node joins a swarm: the request, without the token.
    Join(Value),
    /// A swarm is made: the request.
    Init(Value),
    /// The swarm is founded anew.
    ForceNewCluster,
}

impl Verb {
    /// What a step changes of the swarm, where that is what it does.
    pub(super) fn of(step: &Step) -> Option<Self> {
        Some(match step {
            Step::ActivateNode { id, .. } => Self::Activate { id: id.clone() },
            Step::RemoveNode { id, manager, .. } => Self::Remove { id: id.clone(), manager: *manager },
            Step::CreateIngress { .. } => Self::Ingress,
            Step::Unlock { .. } => Self::Unlock,
            Step::DemoteManager { id, .. } => Self::Demote { id: id.clone()? },
            Step::ForceNewCluster { .. } => Self::ForceNewCluster,
            _ => return None,
        })
    }

    /// Why there is no way back from it, where there is none.
    pub(super) fn last(&self) -> Option<&'static str> {
        match self {
            Self::Remove { .. } => Some("an entry that was removed from the node list does not come back"),
            Self::ForceNewCluster => Some(
                "the other managers are forgotten; the copy beside the journal holds what was known before",
            ),
            _ => None,
        }
    }

    /// In words, without the key.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Activate { id } => format!("let the node {id} take tasks"),
            Self::Remove { id, .. } => format!("remove the node {id}"),
            Self::Ingress => "create the ingress network".into(),
            Self::Unlock => "unlock the manager".into(),
            Self::Demote { id } => format!("demote the manager {id}"),
            Self::Leave { .. } => "leave the swarm".into(),
            Self::Join(request) => {
                format!("join the manager at {}", request["RemoteAddrs"][0].as_str().unwrap_or_default())
            }
            Self::Init(request) if request["ForceNewCluster"] == true => {
                "found the swarm anew, with the certificate that ran out".into()
            }
            Self::Init(request) => {
                format!("make a swarm at {}", request["AdvertiseAddr"].as_str().unwrap_or_default())
            }
            Self::ForceNewCluster => "found the swarm anew from what this manager knows".into(),
        }
    }

    /// How it will be taken back.
    pub(super) async fn undo(&self, ground: &Ground) -> Result<Undo, String> {
        if let Some(why) = self.last() {
            return Ok(Undo::Final { why: why.into() });
        }
        match self {
            Self::Activate { id } => {
                let node = Api::of(ground).await?.get(&format!("/nodes/{}", plain(id)?)).await?;
                let before = node["Spec"]["Availability"].as_str().unwrap_or("active").to_owned();
                Ok(Undo::Availability { id: id.clone(), before })
            }
            Self::Ingress => Ok(Undo::Ingress),
            Self::Demote { id } => Ok(Undo::Promotion { id: id.clone() }),
            Self::Leave { state, .. } => Ok(Undo::State { place: state.clone() }),
            _ => Ok(Undo::Stays),
        }
    }

    /// Does it.
    pub(super) async fn carry_out(&self, ground: &Ground) -> Result<(), String> {
        let api = Api::of(ground).await?;
        match self {
            Self::Activate { id } => api.update(id, |spec| spec["Availability"] = "active".into()).await,
            Self::Remove { id, manager } => remove(id, *manager, &api).await,
            Self::Ingress => {
                let body =
                    json!({"Name": "ingress", "Driver": "overlay", "Ingress": true, "CheckDuplicate": true});
                api.change(Method::POST, "/networks/create", &body).await
            }
            Self::Unlock => {
                let key = ground.key.as_ref().map(|key| key.0.trim()).unwrap_or_default();
                api.change(Method::POST, "/swarm/unlock", &json!({"UnlockKey": key})).await
            }
            Self::Demote { id } => {
                quorum::spares(id, &api).await?;
                api.update(id, |spec| spec["Role"] = "worker".into()).await
            }
            Self::Leave { force, .. } => {
                api.change(Method::POST, &format!("/swarm/leave?force={force}"), &Value::Null).await?;
                membership::gossip_ends().await
            }
            Self::Join(request) => {
                let token = ground.token.as_ref().map(|token| token.0.trim()).unwrap_or_default();
                let mut request = request.clone();
                request["JoinToken"] = token.into();
                api.change(Method::POST, "/swarm/join", &request).await
            }
            Self::Init(request) => api.change(Method::POST, "/swarm/init", request).await,
            Self::ForceNewCluster => quorum::found(&api, ground).await,
        }
    }
}

/// Gives a node an availability.
pub(super) async fn set_availability(id: &str, to: &str, ground: &Ground) -> Result<(), String> {
    Api::of(ground).await?.update(id, |spec| spec["Availability"] = to.into()).await
}

/// Makes a node a manager again.
pub(super) async fn promote(id: &str, ground: &Ground) -> Result<(), String> {
    Api::of(ground).await?.update(id, |spec| spec["Role"] = "manager".into()).await
}

/// Takes an entry out of the node list, if nobody is behind it any more.
async fn remove(id: &str, manager: bool, api: &Api) -> Result<(), String> {
    let path = format!("/nodes/{}", plain(id)?);
    let node = api.get(&path).await?;
    if node["Status"]["State"] != "down" {
        return Err(format!("the node {id} is {} now, and not removed", node["Status"]["State"]));
    }
    if manager {
        api.update(id, |spec| spec["Role"] = "worker".into()).await?;
    }
    let deadline = Instant::now() + DEADLINE;
    loop {
        match api.change(Method::DELETE, &path, &Value::Null).await {
            // Raft lets go of a manager a moment after it was demoted.
            Err(why) if manager && Instant::now() < deadline && why.contains("manager") => {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            done => return done,
        }
    }
}

/// Where an engine keeps what it knows of its swarm.
pub(super) fn state(info: &Value) -> PathBuf {
    Path::new(info["DockerRootDir"].as_str().unwrap_or("/var/lib/docker")).join("swarm")
}

/// The engine of this node, as it is asked for what it says and what it changes.
pub(super) struct Api(Engine);

impl Api {
    /// Of an engine that answers.
    pub(super) async fn of(ground: &Ground) -> Result<Self, String> {
        let said = |why: Why| format!("the engine does not answer: {why}");
        Engine::connect(&ground.options).await.map(Self).map_err(said)
    }

    /// What it says of something.
    pub(super) async fn get(&self, path: &str) -> Result<Value, String> {
        let answer = self.ask(Method::GET, path, &Value::Null).await?;
        serde_json::from_slice(&answer).map_err(|error| format!("{path}: {error}"))
    }

    /// Has something changed.
    pub(super) async fn change(&self, method: Method, path: &str, body: &Value) -> Result<(), String> {
        self.ask(method, path, body).await.map(drop)
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Vec<u8>, String> {
        let said = |why: Why| format!("{method} {path}: {why}");
        self.0.change(method.clone(), path, body, DEADLINE).await.map_err(said)
    }

    /// Changes what is wanted of a node. All that is not changed goes back as it came.
    async fn update(&self, id: &str, change_spec: impl Fn(&mut Value)) -> Result<(), String> {
        let id = plain(id)?;
        let mut node = self.get(&format!("/nodes/{id}")).await?;
        change_spec(&mut node["Spec"]);
        let path = format!("/nodes/{id}/update?version={}", node["Version"]["Index"]);
        self.change(Method::POST, &path, &node["Spec"]).await
    }
}

/// An id or a name as part of a path: it must not lead anywhere else.
pub(super) fn plain(id: &str) -> Result<&str, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let plain = !id.is_empty() && !id.starts_with('.') && id.bytes().all(fits);
    if plain { Ok(id) } else { Err(format!("{id:?} is no id and no name")) }
}
