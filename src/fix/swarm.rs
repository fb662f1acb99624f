//! What is changed of the swarm, through the engine's API.

use super::act::Undo;
use super::{Ground, quorum};
use crate::collect::{Engine, Secret};
use facts::Why;
use hyper::Method;
use serde_json::{Value, json};
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
    Unlock(Secret),
    /// The swarm is founded anew.
    ForceNewCluster {
        /// The address to advertise, where it is not the old one.
        advertise: Option<String>,
    },
}

impl Verb {
    /// In words, without the key.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Activate { id } => format!("let the node {id} take tasks"),
            Self::Remove { id, .. } => format!("remove the node {id}"),
            Self::Ingress => "create the ingress network".into(),
            Self::Unlock(_) => "unlock the manager".into(),
            Self::ForceNewCluster { .. } => "found the swarm anew from what this manager knows".into(),
        }
    }

    /// How it will be taken back.
    pub(super) async fn undo(&self, ground: &Ground) -> Result<Undo, String> {
        let last = |why: &str| Ok(Undo::Final { why: why.into() });
        match self {
            Self::Activate { id } => {
                let node = get(ground, &format!("/nodes/{id}")).await?;
                let before = node["Spec"]["Availability"].as_str().unwrap_or("active").to_owned();
                Ok(Undo::Availability { id: id.clone(), before })
            }
            Self::Ingress => Ok(Undo::Ingress),
            Self::Remove { .. } => last("an entry that was removed from the node list does not come back"),
            Self::Unlock(_) => Ok(Undo::Stays),
            Self::ForceNewCluster { .. } => last(
                "the other managers are forgotten; the copy beside the journal holds what was known before",
            ),
        }
    }

    /// Does it.
    pub(super) async fn carry_out(&self, ground: &Ground) -> Result<(), String> {
        match self {
            Self::Activate { id } => set_availability(id, "active", ground).await,
            Self::Remove { id, manager } => remove(id, *manager, ground).await,
            Self::Ingress => {
                let body =
                    json!({"Name": "ingress", "Driver": "overlay", "Ingress": true, "CheckDuplicate": true});
                change(ground, Method::POST, "/networks/create", &body).await.map(drop)
            }
            Self::Unlock(key) => {
                let body = json!({"UnlockKey": key.0.trim()});
                change(ground, Method::POST, "/swarm/unlock", &body).await.map(drop)
            }
            Self::ForceNewCluster { advertise } => quorum::found(advertise.as_deref(), ground).await,
        }
    }
}

/// Gives a node an availability.
pub(super) async fn set_availability(id: &str, to: &str, ground: &Ground) -> Result<(), String> {
    update(id, ground, |spec| spec["Availability"] = to.into()).await
}

/// Removes the ingress network, where there is one.
pub(super) async fn remove_ingress(ground: &Ground) -> Result<(), String> {
    let there = get(ground, "/networks").await?;
    let mut all = there.as_array().into_iter().flatten();
    let Some(ingress) = all.find(|network| network["Ingress"] == true) else { return Ok(()) };
    let path = format!("/networks/{}", plain(ingress["Id"].as_str().unwrap_or_default())?);
    change(ground, Method::DELETE, &path, &Value::Null).await.map(drop)
}

/// Takes an entry out of the node list, if nobody is behind it any more.
async fn remove(id: &str, manager: bool, ground: &Ground) -> Result<(), String> {
    let path = format!("/nodes/{}", plain(id)?);
    let node = get(ground, &path).await?;
    if node["Status"]["State"] != "down" {
        return Err(format!("the node {id} is {} now, and not removed", node["Status"]["State"]));
    }
    if manager {
        update(id, ground, |spec| spec["Role"] = "worker".into()).await?;
    }
    let deadline = Instant::now() + DEADLINE;
    loop {
        match change(ground, Method::DELETE, &path, &Value::Null).await {
            // Raft lets go of a manager a moment after it was demoted.
            Err(why) if manager && Instant::now() < deadline && why.contains("manager") => {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            done => return done.map(drop),
        }
    }
}

/// Changes what is wanted of a node. All that is not changed goes back as it came.
async fn update(id: &str, ground: &Ground, change_spec: impl Fn(&mut Value)) -> Result<(), String> {
    let id = plain(id)?;
    let mut node = get(ground, &format!("/nodes/{id}")).await?;
    change_spec(&mut node["Spec"]);
    let path = format!("/nodes/{id}/update?version={}", node["Version"]["Index"]);
    change(ground, Method::POST, &path, &node["Spec"]).await.map(drop)
}

/// What the engine says of something.
pub(super) async fn get(ground: &Ground, path: &str) -> Result<Value, String> {
    let answer = change(ground, Method::GET, path, &Value::Null).await?;
    serde_json::from_slice(&answer).map_err(|error| format!("{path}: {error}"))
}

/// Asks the engine for something.
pub(super) async fn change(
    ground: &Ground,
    method: Method,
    path: &str,
    body: &Value,
) -> Result<Vec<u8>, String> {
    let said = |why: Why| format!("{method} {path}: {why}");
    let engine = Engine::connect(&ground.options).await.map_err(said)?;
    engine.change(method.clone(), path, body, DEADLINE).await.map_err(said)
}

/// An id as part of a path: it must not lead anywhere else.
fn plain(id: &str) -> Result<&str, String> {
    let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain { Ok(id) } else { Err(format!("{id:?} is no id")) }
}
