//! A swarm founded anew from what one manager knows: when that may be, and how.

use super::engine::{Turn, way};
use super::membership::{is_local, remembered, written};
use super::swarm::{Api, state};
use super::{Ground, newest};
use crate::collect::neighbour;
use checks::shell_quote;
use futures_util::future::join_all;
use hyper::Method;
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// How long another manager may take to show that it is there.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the kernel may take to ask for a machine again that it believes it knows: up to 45 s of belief, 5 s of
/// waiting and three questions (Linux `net/core/neighbour.c`).
const ASKED_AGAIN: Duration = Duration::from_secs(60);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(300);
/// How long the new swarm may take to have its leader.
const LEADER: Duration = Duration::from_secs(60);

/// Why the swarm must not be founded anew, where it must not: a quorum that exists, or may come back.
pub(super) async fn refusal(ground: &Ground) -> Result<(), String> {
    let api = Api::of(ground).await?;
    let info = api.get("/info").await?;
    let swarm = &info["Swarm"];
    if swarm["ControlAvailable"] != true {
        return Err("this node is no manager that runs".into());
    }
    if api.get("/nodes").await.is_ok() {
        return Err("the swarm has a leader: there is nothing to found anew".into());
    }
    unopposed(&info, ground).await
}

/// Why another manager may still found or join a swarm beside the new one: it shows a sign of life, or knows more.
async fn unopposed(info: &Value, ground: &Ground) -> Result<(), String> {
    let mut addrs: Vec<_> =
        remembered(info).iter().filter_map(|addr| addr.parse::<SocketAddr>().ok()).collect();
    // The engine tells them in another order each time.
    addrs.sort_unstable();
    let signs = join_all(addrs.iter().map(|addr| alive(*addr))).await;
    for (addr, sign) in addrs.iter().zip(signs) {
        let name = addr.ip().to_string();
        match sign {
            Some(how) if how == PORT => {
                return Err(format!(
                    "the manager at {name} may come back: {how}; a second swarm would stand beside it"
                ));
            }
            Some(how) if !ground.lost.contains(&name) => {
                return Err(format!(
                    "the manager at {name} may come back: {how}; bring it back, or declare it gone for good with --lost \
                     {name} once it is switched off or wiped"
                ));
            }
            _ => {}
        }
    }
    newest::known(info, ground).await.map(drop)
}

const PORT: &str = "its manager port takes connections";

/// What shows that a machine is there.
async fn alive(addr: SocketAddr) -> Option<String> {
    let began = Instant::now();
    let mut failed_before = false;
    loop {
        match tokio::time::timeout(PATIENCE, TcpStream::connect(addr)).await {
            Ok(Ok(_)) => return Some(PORT.into()),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                return Some("its machine answers".into());
            }
            _ => {}
        }
        // A firewall that drops everything does not keep a machine from telling its neighbours where it is. What the
        // kernel remembers of one that is off looks alike until it has asked again.
        let neighbour = match neighbour(addr.ip()) {
            Ok(neighbour) => neighbour?,
            Err(error) => {
                return Some(format!("the kernel does not tell whether its machine is there: {error}"));
            }
        };
        if neighbour.failed {
            // Three questions within three seconds can all be lost on a busy machine.
            if failed_before {
                return None;
            }
        } else if neighbour.confirmed < began.elapsed() {
            return Some("its machine still answers on the network, behind a firewall".into());
        } else if began.elapsed() >= ASKED_AGAIN {
            // Not to know is not to have seen it gone.
            return Some("the kernel still holds its machine for there".into());
        }
        failed_before = neighbour.failed;
        // Where this machine itself turns the connection away, no time has passed.
        tokio::time::sleep(PAUSE).await;
    }
}

/// Founds the swarm anew. What it had written down when it was made is given again, or the engine would take what is
/// usual in its place.
pub(super) async fn found(api: &Api, ground: &Ground) -> Result<(), String> {
    let info = api.get("/info").await?;
    // The copy took its time, in which another manager may have come back.
    unopposed(&info, ground).await?;
    let mut body = anew(&info)?;
    if let Some(advertise) = &ground.advertise {
        body["AdvertiseAddr"] = advertise.as_str().into();
    }
    api.change(Method::POST, "/swarm/init", &body).await?;
    let deadline = Instant::now() + LEADER;
    loop {
        match api.get("/services").await {
            Ok(_) => return Ok(()),
            Err(why) if Instant::now() >= deadline => {
                return Err(format!("the new swarm has no leader: {why}"));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// The request that founds a swarm anew as its engine wrote it down.
fn anew(info: &Value) -> Result<Value, String> {
    let old = written(info);
    if old.is_null() {
        return Err("what the engine wrote down of its swarm cannot be read".into());
    }
    let mut body = json!({"ForceNewCluster": true, "Spec": {}});
    for key in ["ListenAddr", "AdvertiseAddr", "DataPathAddr", "DataPathPort"] {
        if !old[key].is_null() {
            body[key] = old[key].clone();
        }
    }
    Ok(body)
}

/// The request with which an only manager, whose swarm component does not run, takes its old certificate and renews it.
pub(super) async fn renewal(info: &Value, ground: &Ground) -> Result<Value, String> {
    if info["Swarm"]["LocalNodeState"] != "error" {
        return Err("the swarm component of this engine does run".into());
    }
    // An engine whose swarm component does not run has no id to tell its own address by.
    let is_own = |addr: &String| addr.parse::<SocketAddr>().is_ok_and(|addr| is_local(addr.ip()));
    if let Some(other) = remembered(info).iter().find(|addr| !is_own(addr)) {
        return Err(format!("the manager at {other} is remembered: join that swarm instead"));
    }
    if is_locking(ground).await {
        return Err(
            "the manager starts locked, and a new cluster takes no key: Docker has no way out of both".into(),
        );
    }
    anew(info)
}

/// Why a manager must not be demoted, where that would take the swarm its leader.
pub(super) async fn spares(id: &str, api: &Api) -> Result<(), String> {
    let nodes = api.get("/nodes").await?;
    let others: Vec<&Value> = nodes
        .as_array()
        .into_iter()
        .flatten()
        .filter(|node| node["ManagerStatus"].is_object() && node["ID"] != id)
        .collect();
    let present = others.iter().filter(|node| node["ManagerStatus"]["Reachability"] == "reachable").count();
    let needed = others.len() / 2 + 1;
    match present >= needed {
        true => Ok(()),
        false => Err(format!(
            "without it {present} of {} managers answer, and {needed} are needed: the swarm would lose its leader",
            others.len()
        )),
    }
}

/// Whether the managers of this swarm start locked.
pub(super) async fn is_locking(ground: &Ground) -> bool {
    let Ok(api) = Api::of(ground).await else { return false };
    let Ok(info) = api.get("/info").await else { return false };
    fs::read_to_string(state(&info).join("certificates/swarm-node.key"))
        .is_ok_and(|key| key.contains("ENCRYPTED"))
}

/// What is left to do once the swarm was founded anew, node by node; `kept` is the copy of what was known before.
pub(super) async fn aftermath(kept: &Path, ground: &Ground) -> Result<Vec<String>, String> {
    let api = Api::of(ground).await?;
    let (info, nodes) = (api.get("/info").await?, api.get("/nodes").await?);
    let services = api.get("/services").await?.as_array().map_or(0, Vec::len);
    let own = info["Swarm"]["NodeID"].as_str().unwrap_or_default();
    let advertised = info["Swarm"]["NodeAddr"].as_str().unwrap_or_default();
    let text = fs::read_to_string(kept.join("state.json")).unwrap_or_default();
    let known: Value = serde_json::from_str(&text).unwrap_or_default();
    let was_manager =
        |id: &str| known.as_array().into_iter().flatten().any(|manager| manager["node_id"] == id);
    let here = &ground.here;
    let all: Vec<&Value> = nodes.as_array().into_iter().flatten().collect();
    let raft =
        all.iter().find(|node| node["ID"] == own).and_then(|node| node["ManagerStatus"]["Addr"].as_str());
    let raft = raft.unwrap_or_default();
    let reachable = raft.parse::<SocketAddr>().is_ok_and(|addr| is_local(addr.ip()));
    let mut lines =
        vec![format!("The new swarm has one manager, {here} at {advertised}, and {services} services.")];
    // Raft keeps the old address for ever, and whoever joins is told to dial it.
    if !reachable {
        lines.push(format!(
            "Raft still knows this manager as {raft}: let no manager join, and promote none, before the machine has that \
             address too, or the swarm loses its leader again."
        ));
    }
    lines.push("Each former manager leaves before the next one is switched on: two of them that meet are the old swarm.".into());
    let (former, workers): (Vec<&Value>, Vec<&Value>) = all
        .into_iter()
        .filter(|node| node["ID"] != own)
        .partition(|node| was_manager(node["ID"].as_str().unwrap_or_default()));
    let name = |node: &Value| shell_quote(node["Description"]["Hostname"].as_str().unwrap_or_default());
    for node in former {
        let (name, id) = (name(node), node["ID"].as_str().unwrap_or_default());
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
            "{name} is a worker and comes back by itself; where it does not, it leaves and joins anew:"
        ));
        lines.push(format!("on {name}: docker swarm leave"));
        lines.push(format!("on {here}: docker swarm join-token -q worker"));
        lines.push(format!("on {name}: docker swarm join --token TOKEN {advertised}:2377"));
    }
    lines.push("As long as nobody has joined, this brings back what was before:".into());
    lines.extend(restoring(&state(&info), kept)?.into_iter().map(|command| format!("on {here}: {command}")));
    Ok(lines)
}

/// The commands that put a copy of the state in the place of the present one.
fn restoring(place: &Path, kept: &Path) -> Result<[String; 4], String> {
    let (place, kept) = (shell_quote(&place.to_string_lossy()), shell_quote(&kept.to_string_lossy()));
    let line = |argv: Vec<String>| argv.join(" ");
    Ok([
        line(way(Turn::Stop)?),
        format!("mv {place} {place}.new"),
        format!("cp -a {kept} {place}"),
        line(way(Turn::Start)?),
    ])
}
