//! Changing entries of the node list.

use super::{Change, Operation, Planned, Reversal, items, path_segment, text};
use crate::fix::error::{FixError, Result};
use crate::fix::{FixContext, Level};
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// How long raft may take to release a demoted manager.
const DEMOTION: Duration = Duration::from_secs(40);
const SETTLES: Duration = Duration::from_secs(90);

/// A new availability of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fix) struct Availability {
    id: String,
    before: String,
    after: String,
}

/// An entry is removed from the node list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fix) struct NodeRemove {
    id: String,
    manager: bool,
}

/// A manager becomes a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fix) struct Demote {
    id: String,
}

pub(super) async fn plan_activate(planned: &mut Planned, id: &str, context: &FixContext<'_>) -> Result<()> {
    let node = node(id, context).await?;
    let before = node["Spec"]["Availability"].as_str().unwrap_or("active").to_owned();
    planned.push(Operation::Availability(Availability { id: id.into(), before, after: "active".into() }));
    Ok(())
}

pub(super) fn plan_remove(planned: &mut Planned, id: &str, manager: bool) -> Result<()> {
    path_segment(id)?;
    planned.push(Operation::NodeRemove(NodeRemove { id: id.into(), manager }));
    Ok(())
}

pub(super) async fn plan_demote(planned: &mut Planned, id: &str, context: &FixContext<'_>) -> Result<()> {
    ensure_quorum_without(id, context).await?;
    planned.push(Operation::Demote(Demote { id: id.into() }));
    Ok(())
}

/// Refuses to demote a manager where the remaining ones would have no quorum.
async fn ensure_quorum_without(id: &str, context: &FixContext<'_>) -> Result<()> {
    let nodes = context.get("/nodes").await?;
    let others: Vec<&Value> =
        items(&nodes).filter(|node| node["ManagerStatus"].is_object() && node["ID"] != id).collect();
    let reachable = others.iter().filter(|node| node["ManagerStatus"]["Reachability"] == "reachable").count();
    let needed = others.len() / 2 + 1;
    if reachable >= needed {
        return Ok(());
    }
    Err(FixError::Refused(format!(
        "without this manager {reachable} of {} managers are reachable and {needed} are needed: the swarm would lose \
         its quorum",
        others.len()
    )))
}

async fn node(id: &str, context: &FixContext<'_>) -> Result<Value> {
    context.get(&format!("/nodes/{}", path_segment(id)?)).await
}

/// Sets one key of a node's specification. The rest goes back as it came.
async fn set(id: &str, key: &str, from: &str, to: &str, context: &FixContext<'_>) -> Result<()> {
    let mut node = node(id, context).await?;
    let now = text(&node["Spec"][key]);
    if now == to {
        return Ok(());
    }
    if now != from {
        return Err(FixError::Changed { what: format!("{key} of the node {id}") });
    }
    node["Spec"][key] = to.into();
    let path = format!("/nodes/{}/update?version={}", path_segment(id)?, node["Version"]["Index"]);
    context.change(Method::POST, &path, &node["Spec"]).await
}

impl Change for Availability {
    fn describe(&self) -> String {
        format!("set the availability of the node {} to {} (now {})", self.id, self.after, self.before)
    }

    fn describe_revert(&self) -> String {
        format!("set the availability of the node {} back to {}", self.id, self.before)
    }

    fn level(&self) -> Level {
        Level::Disruptive
    }

    fn settles_within(&self) -> Duration {
        SETTLES
    }

    fn needs_engine(&self) -> bool {
        true
    }

    async fn apply(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        set(&self.id, "Availability", &self.before, &self.after, context).await
    }

    async fn is_applied(&self, context: &FixContext<'_>) -> Result<bool> {
        Ok(text(&node(&self.id, context).await?["Spec"]["Availability"]) == self.after)
    }

    async fn revert(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        set(&self.id, "Availability", &self.after, &self.before, context).await
    }
}

impl Change for Demote {
    fn describe(&self) -> String {
        format!("demote the manager {} to worker", self.id)
    }

    fn describe_revert(&self) -> String {
        format!("promote the node {} to manager", self.id)
    }

    fn level(&self) -> Level {
        Level::Destructive
    }

    fn settles_within(&self) -> Duration {
        SETTLES
    }

    fn needs_engine(&self) -> bool {
        true
    }

    async fn apply(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        ensure_quorum_without(&self.id, context).await?;
        set(&self.id, "Role", "manager", "worker", context).await
    }

    async fn is_applied(&self, context: &FixContext<'_>) -> Result<bool> {
        Ok(node(&self.id, context).await?["Spec"]["Role"] == "worker")
    }

    async fn revert(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        set(&self.id, "Role", "worker", "manager", context).await
    }
}

impl NodeRemove {
    async fn is_listed(&self, context: &FixContext<'_>) -> Result<bool> {
        let nodes = context.get("/nodes").await?;
        Ok(items(&nodes).any(|node| node["ID"] == self.id.as_str()))
    }
}

impl Change for NodeRemove {
    fn describe(&self) -> String {
        let demote = if self.manager { "demote the manager and " } else { "" };
        format!("{demote}remove the node {} from the node list", self.id)
    }

    fn describe_revert(&self) -> String {
        "nothing: the entry cannot be restored".into()
    }

    fn level(&self) -> Level {
        Level::Disruptive
    }

    fn reversal(&self) -> Reversal {
        Reversal::Impossible("an entry that was removed from the node list cannot be restored")
    }

    fn settles_within(&self) -> Duration {
        SETTLES
    }

    fn needs_engine(&self) -> bool {
        true
    }

    async fn apply(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        let node = node(&self.id, context).await?;
        if node["Status"]["State"] != "down" {
            let state = text(&node["Status"]["State"]);
            return Err(FixError::Refused(format!("the node {} is {state} and is not removed", self.id)));
        }
        if self.manager && node["Spec"]["Role"] == "manager" {
            ensure_quorum_without(&self.id, context).await?;
            set(&self.id, "Role", "manager", "worker", context).await?;
        }
        let path = format!("/nodes/{}", path_segment(&self.id)?);
        let deadline = context.system.uptime() + DEMOTION;
        loop {
            match context.change(Method::DELETE, &path, &Value::Null).await {
                // Raft releases a manager a moment after its demotion.
                Err(error)
                    if self.manager && error.refused_by_engine() && context.system.uptime() < deadline =>
                {
                    context.system.sleep(Duration::from_millis(500)).await;
                }
                done => return done,
            }
        }
    }

    async fn is_applied(&self, context: &FixContext<'_>) -> Result<bool> {
        Ok(!self.is_listed(context).await?)
    }

    async fn revert(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        // It is called only while the entry is still listed.
        if self.manager { set(&self.id, "Role", "worker", "manager", context).await } else { Ok(()) }
    }
}
