//! A swarm founded anew from what one manager knows: when that may be, and how.

use super::Ground;
use super::swarm::{Api, state};
use crate::collect::neighbour;
use futures_util::future::join_all;
use hyper::Method;
use serde_json::{Value, json};
use std::fmt::Display;
use std::fs;
use std::net::SocketAddr;
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
pub(super) async fn refusal(lost: &[String], ground: &Ground) -> Result<(), String> {
    let api = Api::of(ground).await?;
    let info = api.get("/info").await?;
    let swarm = &info["Swarm"];
    if swarm["ControlAvailable"] != true {
        return Err("this node is no manager that runs".into());
    }
    if api.get("/nodes").await.is_ok() {
        return Err("the swarm has a leader: there is nothing to found anew".into());
    }
    let own = swarm["NodeID"].as_str().unwrap_or_default();
    let managers = swarm["RemoteManagers"].as_array().cloned().unwrap_or_default();
    let others = managers.iter().filter(|manager| manager["NodeID"] != own);
    let addrs: Vec<_> =
        others.filter_map(|manager| manager["Addr"].as_str()?.parse::<SocketAddr>().ok()).collect();
    let signs = join_all(addrs.iter().map(|addr| alive(*addr))).await;
    for (addr, sign) in addrs.iter().zip(signs) {
        let name = addr.ip().to_string();
        match sign {
            Some(how) if how == PORT => {
                return Err(format!(
                    "the manager at {name} may come back: {how}; a second swarm would stand beside it"
                ));
            }
            Some(how) if !lost.contains(&name) => {
                return Err(format!(
                    "the manager at {name} may come back: {how}; bring it back, or declare it gone for good with --lost \
                     {name} once it is switched off or wiped"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

const PORT: &str = "its manager port takes connections";

/// What shows that a machine is there.
async fn alive(addr: SocketAddr) -> Option<String> {
    let began = Instant::now();
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
            Ok(neighbour) => neighbour.filter(|neighbour| !neighbour.failed)?,
            Err(error) => {
                return Some(format!("the kernel does not tell whether its machine is there: {error}"));
            }
        };
        if neighbour.confirmed < began.elapsed() {
            return Some("its machine still answers on the network, behind a firewall".into());
        }
        if began.elapsed() >= ASKED_AGAIN {
            // Not to know is not to have seen it gone.
            return Some("the kernel still holds its machine for there".into());
        }
        // Where this machine itself turns the connection away, no time has passed.
        tokio::time::sleep(PAUSE).await;
    }
}

/// Founds the swarm anew. What it had written down when it was made is given again, or the engine would take what is
/// usual in its place.
pub(super) async fn found(api: &Api, ground: &Ground) -> Result<(), String> {
    let info = api.get("/info").await?;
    let path = state(&info).join("docker-state.json");
    let failed = |error: &dyn Display| format!("failed to read {}: {error}", path.display());
    let text = fs::read_to_string(&path).map_err(|error| failed(&error))?;
    let old: Value = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    let mut body = json!({"ForceNewCluster": true, "Spec": {}});
    for key in ["ListenAddr", "AdvertiseAddr", "DataPathAddr", "DataPathPort"] {
        if !old[key].is_null() {
            body[key] = old[key].clone();
        }
    }
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

/// What is left to do once the swarm was founded anew, node by node.
pub(super) async fn aftermath(ground: &Ground) -> Result<Vec<String>, String> {
    let api = Api::of(ground).await?;
    let (info, nodes) = (api.get("/info").await?, api.get("/nodes").await?);
    let services = api.get("/services").await?.as_array().map_or(0, Vec::len);
    let own = info["Swarm"]["NodeID"].as_str().unwrap_or_default();
    let advertised = info["Swarm"]["NodeAddr"].as_str().unwrap_or_default();
    let mut lines = vec![format!("the new swarm has one manager, {}, and {services} services", ground.here)];
    for node in nodes.as_array().into_iter().flatten() {
        let name = node["Description"]["Hostname"].as_str().unwrap_or_default();
        let id = node["ID"].as_str().unwrap_or_default();
        if id == own {
            let raft = node["ManagerStatus"]["Addr"].as_str().unwrap_or_default();
            // Raft keeps the old address for ever, and whoever joins is told to dial it.
            if !raft.starts_with(&format!("{advertised}:")) {
                lines.push(format!(
                    "raft still knows this manager as {raft}: let no manager join before the machine has that address \
                     too (`ip addr add`), or the swarm loses its leader again"
                ));
            }
            continue;
        }
        if node["Status"]["State"] != "ready" && node["Spec"]["Role"] == "worker" {
            lines.push(format!("on {name}: a worker comes back by itself; a former manager: docker swarm leave --force, then \
                 docker swarm join --token TOKEN {advertised}:2377"));
            lines.push(format!("on {}, once {name} has joined again: docker node rm {id}", ground.here));
        }
    }
    lines.push(format!("on {}: docker swarm join-token manager prints the token", ground.here));
    Ok(lines)
}
