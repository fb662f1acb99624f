//! Leaving a swarm, joining one, and restoring the swarm state of the engine.

use super::{Change, Operation, Planned, Reversal, engine, items, swarm_state, text};
use crate::collect::with_port;
use crate::fix::error::{FixError, Result};
use crate::fix::{FixContext, Level};
use facts::join::{Greeting, RootCa, Token};
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of the copy of the swarm state beside the journal.
pub(super) const COPY: &str = "swarm";
/// The name of a copy of the swarm state that a rollback replaces.
const REPLACED: &str = "replaced-swarm";
/// How long a manager may take to answer a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// The file below the swarm state in which an engine records how it joined: without it, it starts in no swarm.
const DOCKER_STATE: &str = "docker-state.json";
/// The certificate of the node, below the swarm state.
const CERTIFICATE: &str = "certificates/swarm-node.crt";
/// A database that a worker's engine writes all the time and creates where it is missing.
const TASKS: &str = "worker/tasks.db";
/// The gossip port, fixed in libnetwork.
const GOSSIP_PORT: u16 = 7946;
/// How long an engine that left may hold the gossip port.
const RELEASE: Duration = Duration::from_secs(15);
/// The default listen address of an engine.
const LISTEN: &str = "0.0.0.0:2377";
const SETTLES: Duration = Duration::from_secs(90);

/// A manager is unlocked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fix) struct Unlock {}

/// The swarm state is copied beside the journal. It holds keys, so that the copy is readable for root alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fix) struct StateCopy {
    from: PathBuf,
    /// A file that is left out.
    except: Option<String>,
}

/// An engine that is stopped is made to start in no swarm; its swarm state stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fix) struct Forget {
    state: PathBuf,
}

/// This node leaves its swarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fix) struct Leave {
    force: bool,
    state: PathBuf,
}

/// This node joins a swarm; the request without the token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fix) struct Join {
    request: Value,
}

/// A swarm is created here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fix) struct Init {
    pub(super) request: Value,
}

/// What an engine recorded when its swarm was created or joined; null where it recorded nothing.
pub(super) fn recorded(info: &Value, context: &FixContext<'_>) -> Value {
    json_file(&swarm_state(info).join(DOCKER_STATE), context)
}

pub(super) fn json_file(path: &Path, context: &FixContext<'_>) -> Value {
    let bytes = context.system.read(path).ok().flatten().unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// The managers other than this node that the engine lists or recorded, as address and port.
pub(super) fn known_managers(info: &Value, context: &FixContext<'_>) -> Vec<String> {
    let file = json_file(&swarm_state(info).join("state.json"), context);
    let others = |list: &Value, id: &str, addr: &str| -> Vec<String> {
        let others = items(list).filter(|manager| manager[id] != info["Swarm"]["NodeID"]);
        others.filter_map(|manager| manager[addr].as_str().map(str::to_owned)).collect()
    };
    let mut all = others(&info["Swarm"]["RemoteManagers"], "NodeID", "Addr");
    for addr in others(&file, "node_id", "addr") {
        if !all.contains(&addr) {
            all.push(addr);
        }
    }
    all
}

pub(super) fn plan_unlock(planned: &mut Planned, context: &FixContext<'_>) -> Result<()> {
    if context.key.is_none() {
        let why =
            "there is no unlock key; it is read from the terminal, or from standard input with --key-stdin";
        return Err(FixError::Refused(why.into()));
    }
    planned.push(Operation::Unlock(Unlock {}));
    Ok(())
}

/// Plans to copy the state of a manager while dockerd is stopped, and what else needs a stopped engine.
pub(super) fn plan_backup(
    planned: &mut Planned,
    info: &Value,
    also: Option<Operation>,
    context: &FixContext<'_>,
) -> Result<()> {
    engine::plan(planned, engine::Action::Stop, context)?;
    planned.push(Operation::StateCopy(StateCopy { from: swarm_state(info), except: None }));
    planned.operations.extend(also);
    engine::plan_start_after_stop(planned, context)
}

pub(super) fn forget(info: &Value) -> Operation {
    Operation::Forget(Forget { state: swarm_state(info) })
}

pub(super) async fn plan_leave(planned: &mut Planned, force: bool, context: &FixContext<'_>) -> Result<()> {
    let info = context.get("/info").await?;
    ensure_may_leave(&info, context).await?;
    let state = swarm_state(&info);
    if context.system.is_directory(&state.join("raft")) {
        plan_backup(planned, &info, None, context)?;
    } else {
        // A rollback stops dockerd.
        engine::argv(engine::Action::Stop, context)?;
        let copy = StateCopy { from: state.clone(), except: Some(TASKS.into()) };
        planned.push(Operation::StateCopy(copy));
    }
    planned.push(Operation::Leave(Leave { force, state }));
    Ok(())
}

/// Refuses where this node is one of several managers.
async fn ensure_may_leave(info: &Value, context: &FixContext<'_>) -> Result<()> {
    if info["Swarm"]["ControlAvailable"] != true {
        return Ok(());
    }
    // Without a leader no manager lists the others, and what the check found stands.
    let Ok(nodes) = context.get("/nodes").await else { return Ok(()) };
    let managers = items(&nodes).filter(|node| node["ManagerStatus"].is_object()).count();
    if managers <= 1 {
        return Ok(());
    }
    let why = format!("this node is one of {managers} managers: demote it on another manager first");
    Err(FixError::Refused(why))
}

pub(super) async fn plan_join(
    planned: &mut Planned,
    advertise: Option<&str>,
    context: &FixContext<'_>,
) -> Result<()> {
    let info = context.get("/info").await?;
    let token = context.token.as_ref().ok_or_else(|| {
        let why = "there is no join token; it is read from the terminal, or from standard input with --token-stdin. A \
                   manager prints it: docker swarm join-token worker";
        FixError::Refused(why.into())
    })?;
    let Token::Valid { root_ca, .. } = facts::parse::token(token.0.trim()) else {
        return Err(FixError::Refused("the join token is malformed".into()));
    };
    if let Some(advertise) = advertise {
        ensure_advertisable(advertise, context)?;
    }
    let manager = manager_of_token(&root_ca, &info, context).await?;
    let old = recorded(&info, context);
    let held = |key: &str| {
        old[key].as_str().filter(|text| address_of(text).is_some_and(|addr| context.system.holds(addr)))
    };
    let advertise = advertise.or_else(|| held("AdvertiseAddr"));
    let request = json!({
        "RemoteAddrs": [manager],
        "ListenAddr": old["ListenAddr"].as_str().unwrap_or(LISTEN),
        "AdvertiseAddr": advertise.unwrap_or_default(),
        "DataPathAddr": held("DataPathAddr").unwrap_or_default(),
        "Availability": "active",
    });
    planned.push(Operation::Join(Join { request }));
    Ok(())
}

pub(super) async fn plan_init(
    planned: &mut Planned,
    advertise: &str,
    context: &FixContext<'_>,
) -> Result<()> {
    ensure_advertisable(advertise, context)?;
    let info = context.get("/info").await?;
    let old = recorded(&info, context);
    let request = json!({
        "ListenAddr": old["ListenAddr"].as_str().unwrap_or(LISTEN),
        "AdvertiseAddr": advertise,
        "Spec": {},
    });
    planned.push(Operation::Init(Init { request }));
    Ok(())
}

/// Refuses an advertise address that no other node can reach.
fn ensure_advertisable(advertise: &str, context: &FixContext<'_>) -> Result<()> {
    let Some(addr) = address_of(advertise) else { return Ok(()) };
    let local_only = match addr {
        IpAddr::V4(addr) => addr.is_link_local() || addr.is_loopback() || addr.is_unspecified(),
        IpAddr::V6(addr) => addr.is_unicast_link_local() || addr.is_loopback() || addr.is_unspecified(),
    };
    if local_only {
        return Err(FixError::Refused(format!("other nodes cannot reach the address {addr}")));
    }
    if context.system.holds(addr) {
        Ok(())
    } else {
        Err(FixError::Refused(format!("this host does not have the address {addr}")))
    }
}

/// The first manager that answers and belongs to the swarm of the token.
async fn manager_of_token(digest: &str, info: &Value, context: &FixContext<'_>) -> Result<SocketAddr> {
    let mut why = "this node knows no other manager; name one with --manager ADDRESS".to_owned();
    let known = match &context.manager {
        Some(named) => vec![named.clone()],
        None => known_managers(info, context),
    };
    for named in known {
        let Ok(addr) = with_port(&named).parse::<SocketAddr>() else {
            why = format!("{named} is not an IP address");
            continue;
        };
        why = match context.system.greet(addr, HANDSHAKE).await {
            Greeting::Tls(answer) => match answer.root_ca {
                RootCa::Returned { digest: theirs, .. } if theirs == digest => return Ok(addr),
                RootCa::Returned { .. } => {
                    format!("the join token belongs to another swarm than the manager at {addr}")
                }
                RootCa::Unavailable { what } => {
                    format!("the manager at {addr} does not send its root CA: {what}")
                }
            },
            Greeting::NoTls { what } => format!("the manager at {addr} does not answer: {what}"),
        };
    }
    Err(FixError::Refused(why))
}

/// The address of `10.0.0.1`, `10.0.0.1:2377` or `[::1]:2377`; the name of an interface has none.
fn address_of(text: &str) -> Option<IpAddr> {
    text.parse::<SocketAddr>().map(|addr| addr.ip()).or_else(|_| text.parse()).ok()
}

/// Waits until the engine that left has released the gossip port: one that joins before has no networks in its swarm.
async fn gossip_ends(context: &FixContext<'_>) -> Result<()> {
    let deadline = context.system.uptime() + RELEASE;
    while let Err(error) = context.system.can_bind(GOSSIP_PORT) {
        if context.system.uptime() >= deadline {
            let why = format!("the engine left the swarm and still holds {GOSSIP_PORT}/tcp: {error}");
            return Err(FixError::Failed(why));
        }
        context.system.sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Restores the copied swarm state, unless the node still is the one of the copy.
async fn restore(place: &Path, saved: &Path, context: &FixContext<'_>) -> Result<()> {
    let copy = saved.join(COPY);
    let certificate = |of: &Path| context.system.read(&of.join(CERTIFICATE)).ok().flatten();
    let same_node = certificate(place).is_some() && certificate(place) == certificate(&copy);
    let recorded = context.system.read(&place.join(DOCKER_STATE))?.is_some();
    let info = context.get("/info").await.ok();
    let outside = info.is_some_and(|info| info["Swarm"]["LocalNodeState"] == "inactive");
    if same_node && recorded && !outside {
        return Ok(());
    }
    engine::argv(engine::Action::Stop, context)?;
    engine::stop(context)?;
    // What is replaced is saved first, and only once.
    let replaced = saved.join(REPLACED);
    if context.system.is_directory(place) && !context.system.is_directory(&replaced) {
        context.system.copy_tree(place, &replaced, None)?;
    }
    context.system.install_tree(&copy, place)?;
    engine::start(context).await
}

async fn local_state(context: &FixContext<'_>) -> Result<String> {
    Ok(text(&context.get("/info").await?["Swarm"]["LocalNodeState"]).to_owned())
}

impl Change for Unlock {
    fn describe(&self) -> String {
        "unlock the manager".into()
    }

    fn describe_revert(&self) -> String {
        "nothing: the manager stays unlocked".into()
    }

    fn level(&self) -> Level {
        Level::Safe
    }

    fn reversal(&self) -> Reversal {
        Reversal::Unneeded
    }

    fn settles_within(&self) -> Duration {
        SETTLES
    }

    fn needs_engine(&self) -> bool {
        true
    }

    async fn apply(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        let key = context.key.as_ref().map(|key| key.0.trim()).unwrap_or_default();
        context.change(Method::POST, "/swarm/unlock", &json!({"UnlockKey": key})).await
    }

    async fn is_applied(&self, context: &FixContext<'_>) -> Result<bool> {
        Ok(local_state(context).await? != "locked")
    }

    async fn revert(&self, _saved: &Path, _context: &FixContext<'_>) -> Result<()> {
        Ok(())
    }
}

impl Change for StateCopy {
    fn describe(&self) -> String {
        format!("copy {} beside the receipt", self.from.display())
    }

    fn describe_revert(&self) -> String {
        "nothing: the copy stays".into()
    }

    fn level(&self) -> Level {
        Level::Safe
    }

    fn reversal(&self) -> Reversal {
        Reversal::Unneeded
    }

    fn settles_within(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn apply(&self, saved: &Path, context: &FixContext<'_>) -> Result<()> {
        context.system.copy_tree(&self.from, &saved.join(COPY), self.except.as_deref())
    }

    async fn is_applied(&self, _context: &FixContext<'_>) -> Result<bool> {
        Ok(true)
    }

    async fn revert(&self, _saved: &Path, _context: &FixContext<'_>) -> Result<()> {
        Ok(())
    }
}

impl Change for Forget {
    fn describe(&self) -> String {
        format!("remove {}", self.state.join(DOCKER_STATE).display())
    }

    fn describe_revert(&self) -> String {
        format!("restore {} and restart dockerd", self.state.display())
    }

    fn level(&self) -> Level {
        Level::Destructive
    }

    fn settles_within(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn apply(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        context.system.remove_file(&self.state.join(DOCKER_STATE))
    }

    async fn is_applied(&self, _context: &FixContext<'_>) -> Result<bool> {
        // The engine writes the file again as soon as it is in a swarm.
        Ok(true)
    }

    async fn revert(&self, saved: &Path, context: &FixContext<'_>) -> Result<()> {
        restore(&self.state, saved, context).await
    }
}

impl Change for Leave {
    fn describe(&self) -> String {
        if self.force { "docker swarm leave --force".into() } else { "docker swarm leave".into() }
    }

    fn describe_revert(&self) -> String {
        format!("restore {} and restart dockerd", self.state.display())
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
        let path = format!("/swarm/leave?force={}", self.force);
        context.change(Method::POST, &path, &Value::Null).await?;
        gossip_ends(context).await
    }

    async fn is_applied(&self, context: &FixContext<'_>) -> Result<bool> {
        Ok(local_state(context).await? == "inactive")
    }

    async fn revert(&self, saved: &Path, context: &FixContext<'_>) -> Result<()> {
        restore(&self.state, saved, context).await
    }
}

impl Change for Join {
    fn describe(&self) -> String {
        let advertise = text(&self.request["AdvertiseAddr"]);
        let flag =
            if advertise.is_empty() { String::new() } else { format!(" --advertise-addr {advertise}") };
        format!("docker swarm join{flag} {} (with the given token)", text(&self.request["RemoteAddrs"][0]))
    }

    fn describe_revert(&self) -> String {
        "nothing: the previous swarm state replaces it".into()
    }

    fn level(&self) -> Level {
        Level::Destructive
    }

    /// The operation that left the swarm before restores its state.
    fn reversal(&self) -> Reversal {
        Reversal::Unneeded
    }

    fn settles_within(&self) -> Duration {
        SETTLES
    }

    fn needs_engine(&self) -> bool {
        true
    }

    async fn apply(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        let token = context.token.as_ref().map(|token| token.0.trim()).unwrap_or_default();
        let mut request = self.request.clone();
        request["JoinToken"] = token.into();
        context.change(Method::POST, "/swarm/join", &request).await
    }

    async fn is_applied(&self, context: &FixContext<'_>) -> Result<bool> {
        Ok(local_state(context).await? == "active")
    }

    async fn revert(&self, _saved: &Path, _context: &FixContext<'_>) -> Result<()> {
        Ok(())
    }
}

impl Change for Init {
    fn describe(&self) -> String {
        if self.request["ForceNewCluster"] == true {
            "docker swarm init --force-new-cluster (accepts the expired certificate)".into()
        } else {
            format!("docker swarm init --advertise-addr {}", text(&self.request["AdvertiseAddr"]))
        }
    }

    fn describe_revert(&self) -> String {
        "nothing: the previous swarm state replaces it".into()
    }

    fn level(&self) -> Level {
        Level::Destructive
    }

    /// The operation that left the swarm before restores its state.
    fn reversal(&self) -> Reversal {
        Reversal::Unneeded
    }

    fn settles_within(&self) -> Duration {
        SETTLES
    }

    fn needs_engine(&self) -> bool {
        true
    }

    async fn apply(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        context.change(Method::POST, "/swarm/init", &self.request).await
    }

    async fn is_applied(&self, context: &FixContext<'_>) -> Result<bool> {
        Ok(local_state(context).await? == "active")
    }

    async fn revert(&self, _saved: &Path, _context: &FixContext<'_>) -> Result<()> {
        Ok(())
    }
}
