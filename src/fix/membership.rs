//! Leaving a swarm and coming into one. What can be found wrong is found before the node leaves, and what it knew of the
//! swarm can be put back.

use super::engine::{self, Turn, way};
use super::swarm::{Api, state};
use super::{Ground, copy};
use crate::collect::{greet, with_port};
use facts::join::{Authority, Greeting, Token};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a manager may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where an engine writes down, below its state, how it came into its swarm: without it, it starts outside of any.
pub(super) const WRITTEN: &str = "docker-state.json";
/// Where an engine keeps who it is in the swarm, below its state.
const IDENTITY: &str = "certificates/swarm-node.crt";
/// What a worker's engine writes all the time, and makes anew where it is missing.
pub(super) const TASKS: &str = "worker/tasks.db";
/// Gossip's port, fixed in libnetwork.
const GOSSIP_PORT: u16 = 7946;
/// How long an engine that left may hold it.
const LET_GO: Duration = Duration::from_secs(15);
/// How an engine listens that was told nothing.
const LISTEN: &str = "0.0.0.0:2377";

/// What an engine wrote down when its swarm was made or joined; nothing where it did not.
pub(super) fn written(info: &Value) -> Value {
    let text = fs::read_to_string(state(info).join(WRITTEN)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Whether this machine has an address.
pub(super) fn is_local(addr: IpAddr) -> bool {
    UdpSocket::bind((addr, 0)).is_ok()
}

/// Why this node must not leave, where it must not.
pub(super) async fn bound(info: &Value, api: &Api) -> Result<(), String> {
    if info["Swarm"]["ControlAvailable"] != true {
        return Ok(());
    }
    // Without a leader nobody lists the others, and what the check found stands.
    let Ok(nodes) = api.get("/nodes").await else { return Ok(()) };
    let managers = nodes.as_array().into_iter().flatten().filter(|node| node["ManagerStatus"].is_object());
    match managers.count() {
        0 | 1 => Ok(()),
        count => Err(format!("this node is one of {count} managers: demote it first, from another one")),
    }
}

/// The request with which this node joins, but for the token: who is joined answers, and has the token's authority.
pub(super) async fn joining(advertise: Option<&str>, info: &Value, ground: &Ground) -> Result<Value, String> {
    let token = ground.token.as_ref().ok_or(
        "the join token is read from the terminal, or with --token-stdin from standard input, and there is none; a manager \
         prints it: docker swarm join-token worker",
    )?;
    let Token::Sound { authority, .. } = facts::parse::token(token.0.trim()) else {
        return Err("what was given is no join token".into());
    };
    let manager = manager(&authority, info, ground).await?;
    let old = written(info);
    let local = |key: &str| old[key].as_str().filter(|text| host(text).is_some_and(is_local));
    let advertise = advertise.or_else(|| local("AdvertiseAddr"));
    Ok(json!({
        "RemoteAddrs": [manager],
        "ListenAddr": old["ListenAddr"].as_str().unwrap_or(LISTEN),
        "AdvertiseAddr": advertise.unwrap_or_default(),
        "DataPathAddr": local("DataPathAddr").unwrap_or_default(),
        "Availability": "active",
    }))
}

/// The request with which a swarm is made here.
pub(super) fn beginning(advertise: &str, info: &Value) -> Value {
    let old = written(info);
    json!({
        "ListenAddr": old["ListenAddr"].as_str().unwrap_or(LISTEN),
        "AdvertiseAddr": advertise,
        "Spec": {},
    })
}

/// The first manager that answers and is of the swarm that the token is for.
async fn manager(authority: &str, info: &Value, ground: &Ground) -> Result<SocketAddr, String> {
    let mut why = "this node remembers no other manager; --manager ADDRESS names one".to_owned();
    let known = ground.manager.as_ref().map_or_else(|| remembered(info), |named| vec![named.clone()]);
    for named in known {
        let Ok(addr) = with_port(&named).parse::<SocketAddr>() else {
            why = format!("{named} is no address of a manager");
            continue;
        };
        why = match greet(addr, PATIENCE).await {
            Greeting::Tls(spoken) => match spoken.authority {
                Authority::Told { digest, .. } if digest == authority => return Ok(addr),
                Authority::Told { .. } => {
                    format!("the token is for another swarm than that of the manager at {addr}")
                }
                Authority::Untold { what } => format!("{addr} is no manager that answers: {what}"),
            },
            Greeting::Silent { what } => format!("the manager at {addr} does not answer: {what}"),
        };
    }
    Err(why)
}

/// The other managers that the engine knows, and those that it wrote down.
pub(super) fn remembered(info: &Value) -> Vec<String> {
    let file = fs::read_to_string(state(info).join("state.json")).unwrap_or_default();
    let file: Value = serde_json::from_str(&file).unwrap_or_default();
    let of = |list: &Value, id: &str, addr: &str| -> Vec<String> {
        let others = list.as_array().into_iter().flatten().filter(|it| it[id] != info["Swarm"]["NodeID"]);
        others.filter_map(|it| it[addr].as_str().map(str::to_owned)).collect()
    };
    let mut all = of(&info["Swarm"]["RemoteManagers"], "NodeID", "Addr");
    for addr in of(&file, "node_id", "addr") {
        if !all.contains(&addr) {
            all.push(addr);
        }
    }
    all
}

/// The address of `10.0.0.1`, `10.0.0.1:2377` or `[::1]:2377`; the name of an interface has none.
fn host(text: &str) -> Option<IpAddr> {
    text.parse::<SocketAddr>().map(|addr| addr.ip()).or_else(|_| text.parse()).ok()
}

/// Lets an engine that stands start outside of its swarm.
pub(super) fn forget(state: &Path) -> Result<(), String> {
    let path = state.join(WRITTEN);
    let gone = fs::remove_file(&path).and_then(|()| File::open(state)?.sync_all());
    gone.map_err(|error| format!("failed to remove {}: {error}", path.display()))
}

/// Waits until the engine that left has let go of gossip's port: one that joins before that is in the swarm without any
/// network, for gossip begins once.
///
/// Errors: it still holds the port after a time in which it should not.
pub(super) async fn gossip_ends() -> Result<(), String> {
    let deadline = Instant::now() + LET_GO;
    while let Err(error) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, GOSSIP_PORT)) {
        if Instant::now() >= deadline {
            return Err(format!("the engine left, and {GOSSIP_PORT}/tcp is still held: {error}"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Whether an engine that answers takes itself for one that is in no swarm.
async fn is_outside(ground: &Ground) -> bool {
    let Ok(api) = Api::of(ground).await else { return false };
    api.get("/info").await.is_ok_and(|info| info["Swarm"]["LocalNodeState"] == "inactive")
}

/// Gives an engine back what it knew of its swarm, unless it still is who it was.
pub(super) async fn restore(place: &Path, kept: &Path, ground: &Ground) -> Result<(), String> {
    let identity = |of: &Path| fs::read(of.join(IDENTITY)).ok();
    let is_itself = identity(place).is_some() && identity(place) == identity(kept);
    if is_itself && place.join(WRITTEN).is_file() && !is_outside(ground).await {
        return Ok(());
    }
    let failed = |error: std::io::Error| format!("failed to put {} back: {error}", place.display());
    way(Turn::Stop)?;
    engine::turn(Turn::Stop, ground).await?;
    let (new, old) = (place.with_extension("swarm-doctor"), place.with_extension("left"));
    for rest in [&new, &old] {
        if rest.exists() {
            fs::remove_dir_all(rest).map_err(failed)?;
        }
    }
    copy::copy(kept, &new, None)?;
    if place.exists() {
        fs::rename(place, &old).map_err(failed)?;
    }
    fs::rename(&new, place).map_err(failed)?;
    if old.exists() {
        fs::remove_dir_all(&old).map_err(failed)?;
    }
    engine::turn(Turn::Start, ground).await
}
