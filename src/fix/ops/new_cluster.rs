//! Re-creating a cluster from the raft log of one manager (`--force-new-cluster`): when it is allowed, and how.

use super::membership::Init;
use super::membership::{COPY, forget, json_file, known_managers, plan_backup, recorded};
use super::{Change, Operation, Planned, Reversal, engine, items, raft_compare, swarm_state, text};
use crate::fix::error::{FixError, Result};
use crate::fix::{FixContext, Level};
use checks::shell_quote;
use futures_util::future::join_all;
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// How long another manager may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the kernel may take to probe a neighbour again that it believes reachable: up to 45 s of reachable state, 5 s
/// of delay and three probes (Linux `net/core/neighbour.c`).
const PROBED_AGAIN: Duration = Duration::from_secs(60);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(300);
/// How long the new cluster may take to have a leader.
const LEADER: Duration = Duration::from_secs(60);
const LOCKED: &str = "autolock is on in this swarm, and a new cluster takes no unlock key: Docker refuses to load the \
                      encrypted state and leaves the engine in no swarm until it is restarted and unlocked; restore \
                      managers instead";

/// The cluster is re-created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fix) struct NewCluster {}

/// What shows that the host of another manager may be running.
#[derive(Debug)]
enum SignOfLife {
    /// Its manager port accepts connections.
    ManagerPortOpen,
    /// Its host refuses connections to the manager port.
    HostAnswers,
    /// Its host answers ARP or neighbour discovery, behind a firewall.
    NeighbourReachable,
    /// The kernel has not found out yet that its host is down.
    NeighbourNotYetFailed,
    /// The kernel's neighbour table cannot be read.
    Undetermined(io::Error),
}

impl SignOfLife {
    /// Whether `--lost` may declare the manager lost all the same.
    fn can_be_overridden(&self) -> bool {
        !matches!(self, Self::ManagerPortOpen)
    }
}

impl fmt::Display for SignOfLife {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManagerPortOpen => f.write_str("its manager port accepts connections"),
            Self::HostAnswers => f.write_str("its host refuses connections, so it is running"),
            Self::NeighbourReachable => {
                f.write_str("its host answers on the local network, behind a firewall")
            }
            Self::NeighbourNotYetFailed => f.write_str("the kernel still lists its host as reachable"),
            Self::Undetermined(error) => write!(f, "the kernel's neighbour table cannot be read: {error}"),
        }
    }
}

pub(super) async fn plan(planned: &mut Planned, context: &FixContext<'_>) -> Result<()> {
    let info = context.get("/info").await?;
    if info["Swarm"]["ControlAvailable"] != true {
        return Err(FixError::Refused("this node is not a running manager".into()));
    }
    if context.get("/nodes").await.is_ok() {
        return Err(FixError::Refused("the swarm has a leader: --force-new-cluster is refused".into()));
    }
    ensure_no_live_manager(&info, context).await?;
    if is_autolocked(&info, context) {
        return Err(FixError::Refused(LOCKED.into()));
    }
    planned.notes.push(raft_compare::ensure_newest(&info, context).await?);
    plan_backup(planned, &info, None, context)?;
    planned.push(Operation::NewCluster(NewCluster {}));
    Ok(())
}

/// Plans to let the only manager, whose swarm component does not run, accept its expired certificate and renew it.
pub(super) async fn plan_renewal(planned: &mut Planned, context: &FixContext<'_>) -> Result<()> {
    let info = context.get("/info").await?;
    if info["Swarm"]["LocalNodeState"] != "error" {
        return Err(FixError::Refused("the swarm component of this engine runs".into()));
    }
    // An engine whose swarm component does not run has no node id to exclude itself by.
    let is_own = |addr: &String| addr.parse::<SocketAddr>().is_ok_and(|addr| context.system.holds(addr.ip()));
    if let Some(other) = known_managers(&info, context).iter().find(|addr| !is_own(addr)) {
        return Err(FixError::Refused(format!(
            "another manager is known at {other}: join its swarm instead"
        )));
    }
    if is_autolocked(&info, context) {
        return Err(FixError::Refused(LOCKED.into()));
    }
    let request = init_request(&info, context)?;
    plan_backup(planned, &info, Some(forget(&info)), context)?;
    planned.push(Operation::Init(Init { request }));
    Ok(())
}

/// Refuses while another manager may return with the old cluster: two clusters would run the same services.
async fn ensure_no_live_manager(info: &Value, context: &FixContext<'_>) -> Result<()> {
    let known = known_managers(info, context);
    let mut addrs: Vec<_> = known.iter().filter_map(|addr| addr.parse::<SocketAddr>().ok()).collect();
    // The engine lists them in a different order each time.
    addrs.sort_unstable();
    let signs = join_all(addrs.iter().map(|addr| sign_of_life(*addr, context))).await;
    for (addr, sign) in addrs.iter().zip(signs) {
        let Some(sign) = sign else { continue };
        let name = addr.ip().to_string();
        if !sign.can_be_overridden() {
            return Err(FixError::Refused(format!(
                "the manager at {name} is running: {sign}; a new cluster would be a second swarm beside it"
            )));
        }
        if !context.lost.contains(&name) {
            return Err(FixError::Refused(format!(
                "the manager at {name} may return: {sign}; restore it, or declare it permanently lost with --lost \
                 {name} once it is switched off or wiped"
            )));
        }
    }
    raft_compare::ensure_newest(info, context).await.map(drop)
}

async fn sign_of_life(addr: SocketAddr, context: &FixContext<'_>) -> Option<SignOfLife> {
    let began = context.system.uptime();
    let elapsed = || context.system.uptime().saturating_sub(began);
    let mut failed_before = false;
    loop {
        match context.system.connect(addr, CONNECT).await {
            Ok(()) => return Some(SignOfLife::ManagerPortOpen),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return Some(SignOfLife::HostAnswers);
            }
            Err(_) => {}
        }
        // A host whose firewall drops everything still answers ARP. The entry of a host that is down looks the same until
        // the kernel has probed it again.
        let neighbour = match context.system.neighbour(addr.ip()) {
            Ok(neighbour) => neighbour?,
            Err(error) => return Some(SignOfLife::Undetermined(error)),
        };
        if neighbour.failed {
            // Three probes within three seconds can all be lost on a busy host.
            if failed_before {
                return None;
            }
        } else if neighbour.confirmed < elapsed() {
            return Some(SignOfLife::NeighbourReachable);
        } else if elapsed() >= PROBED_AGAIN {
            return Some(SignOfLife::NeighbourNotYetFailed);
        }
        failed_before = neighbour.failed;
        // No time passes where this host itself rejects the connection.
        context.system.sleep(PAUSE).await;
    }
}

/// Whether the key of this node is encrypted, as it is with autolock.
fn is_autolocked(info: &Value, context: &FixContext<'_>) -> bool {
    let key = context.system.read(&swarm_state(info).join("certificates/swarm-node.key"));
    key.ok().flatten().is_some_and(|key| String::from_utf8_lossy(&key).contains("ENCRYPTED"))
}

/// The request that re-creates the cluster with the addresses that the engine recorded: without them, it would use its
/// defaults.
fn init_request(info: &Value, context: &FixContext<'_>) -> Result<Value> {
    let old = recorded(info, context);
    if old.is_null() {
        return Err(FixError::Refused("docker-state.json of this engine cannot be read".into()));
    }
    let mut body = json!({"ForceNewCluster": true, "Spec": {}});
    for key in ["ListenAddr", "AdvertiseAddr", "DataPathAddr", "DataPathPort"] {
        if !old[key].is_null() {
            body[key] = old[key].clone();
        }
    }
    Ok(body)
}

impl Change for NewCluster {
    fn describe(&self) -> String {
        "docker swarm init --force-new-cluster: re-create the cluster from the raft log of this manager"
            .into()
    }

    fn describe_revert(&self) -> String {
        "nothing: the cluster cannot be rolled back".into()
    }

    fn level(&self) -> Level {
        Level::Destructive
    }

    fn reversal(&self) -> Reversal {
        Reversal::Impossible(
            "the other managers are removed from the cluster; the copy beside the receipt holds the old state",
        )
    }

    fn settles_within(&self) -> Duration {
        Duration::from_secs(90)
    }

    fn needs_engine(&self) -> bool {
        true
    }

    async fn apply(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        let info = context.get("/info").await?;
        // Another manager may have returned while the state was copied.
        ensure_no_live_manager(&info, context).await?;
        let mut body = init_request(&info, context)?;
        if let Some(advertise) = &context.advertise {
            body["AdvertiseAddr"] = advertise.as_str().into();
        }
        context.change(Method::POST, "/swarm/init", &body).await?;
        let deadline = context.system.uptime() + LEADER;
        loop {
            match context.get("/services").await {
                Ok(_) => return Ok(()),
                Err(error) if context.system.uptime() >= deadline => {
                    return Err(FixError::Failed(format!("the new cluster has no leader: {error}")));
                }
                Err(_) => context.system.sleep(PAUSE).await,
            }
        }
    }

    async fn is_applied(&self, context: &FixContext<'_>) -> Result<bool> {
        Ok(context.get("/nodes").await.is_ok())
    }

    async fn revert(&self, _saved: &Path, _context: &FixContext<'_>) -> Result<()> {
        // It is called only where it did not take effect.
        Ok(())
    }
}

/// What is left to do after the cluster was re-created, node by node; `saved` is the directory of the receipt.
pub(in crate::fix) async fn aftermath(saved: &Path, context: &FixContext<'_>) -> Result<Vec<String>> {
    let saved = saved.join(COPY);
    let (info, nodes) = (context.get("/info").await?, context.get("/nodes").await?);
    let services = items(&context.get("/services").await?).count();
    let own = text(&info["Swarm"]["NodeID"]);
    let advertised = text(&info["Swarm"]["NodeAddr"]);
    let known = json_file(&saved.join("state.json"), context);
    let was_manager = |id: &str| items(&known).any(|manager| manager["node_id"] == id);
    let here = &context.here;
    let raft = items(&nodes).find(|node| node["ID"] == own).map(|node| text(&node["ManagerStatus"]["Addr"]));
    let raft = raft.unwrap_or_default();
    let reachable = raft.parse::<SocketAddr>().is_ok_and(|addr| context.system.holds(addr.ip()));
    let mut lines =
        vec![format!("The new cluster has one manager, {here} at {advertised}, and {services} services.")];
    // Raft keeps the old address permanently, and a joining manager dials it.
    if !reachable {
        lines.push(format!(
            "Raft still lists this manager at {raft}: add that address to this host before a manager joins or is \
             promoted, or the swarm loses its leader again."
        ));
    }
    lines.push(
        "Switch the former managers on one at a time, and let each leave before the next: two of them together form the \
         old cluster."
            .into(),
    );
    let (former, workers): (Vec<&Value>, Vec<&Value>) =
        items(&nodes).filter(|node| node["ID"] != own).partition(|node| was_manager(text(&node["ID"])));
    let name = |node: &Value| shell_quote(text(&node["Description"]["Hostname"]));
    for node in former {
        let (name, id) = (name(node), text(&node["ID"]));
        lines.push(format!("on {name}: docker swarm leave --force"));
        lines.push(format!("on {here}: docker node rm --force {id}"));
        if reachable {
            lines.push(format!("on {here}: docker swarm join-token -q manager"));
            lines.push(format!("on {name}: docker swarm join --token TOKEN {raft}"));
        }
    }
    for node in workers {
        let name = name(node);
        lines.push(format!(
            "{name} is a worker and reconnects by itself. If it does not, it leaves and joins again:"
        ));
        lines.push(format!("on {name}: docker swarm leave"));
        lines.push(format!("on {here}: docker swarm join-token -q worker"));
        lines.push(format!("on {name}: docker swarm join --token TOKEN {advertised}:2377"));
    }
    lines.push("As long as no node has joined, this restores the previous state:".into());
    let commands = restore_commands(&swarm_state(&info), &saved, context)?;
    lines.extend(commands.into_iter().map(|command| format!("on {here}: {command}")));
    Ok(lines)
}

/// The commands that replace the state by a copy of it.
fn restore_commands(place: &Path, saved: &Path, context: &FixContext<'_>) -> Result<[String; 4]> {
    let (place, saved) = (shell_quote(&place.to_string_lossy()), shell_quote(&saved.to_string_lossy()));
    let line = |action| engine::argv(action, context).map(|argv| argv.join(" "));
    Ok([
        line(engine::Action::Stop)?,
        format!("mv {place} {place}.new"),
        format!("cp -a {saved} {place}"),
        line(engine::Action::Start)?,
    ])
}
