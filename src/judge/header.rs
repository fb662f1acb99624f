//! The head of a report: where, when and on what.

use crate::matrix::{Path, State, rows};
use facts::bundle::Manifest;
use facts::link::{Attempt, Outcome, Peer, Probe};
use facts::{Host, NodeName, Snapshot, Timestamp};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Where, when and on what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The machine; of several that are judged together, the one that speaks for the swarm.
    pub host: NodeName,
    /// The machines that are judged together; none where it is one.
    pub members: Vec<NodeName>,
    /// The version of the engine, where it is known.
    pub engine: Option<String>,
    /// The API version the engine speaks at most.
    pub api: Option<String>,
    /// `manager (leader)`, `manager`, `worker`, or the state of a node that is neither.
    pub role: String,
    /// The node's id.
    pub node_id: Option<String>,
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// The address the node advertises.
    pub node_addr: Option<String>,
    /// The operating system.
    pub os: String,
    /// The kernel.
    pub kernel: String,
    /// When the facts were taken.
    pub taken: Timestamp,
    /// How long that took, in milliseconds.
    pub took_ms: u64,
    /// What each other node answered.
    pub peers: Vec<PeerAnswers>,
    /// The facts were taken without root.
    pub unprivileged: bool,
}

/// What one other node answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAnswers {
    /// Its hostname, else its address.
    pub name: String,
    /// Its address.
    pub addr: String,
    /// Each attempt with what came of it, such as (`2377/tcp`, `open`).
    pub answers: Vec<(String, String)>,
    /// The paths to it, one for each layer.
    pub paths: Vec<Path>,
    /// Every attempt was answered, and no path is broken.
    pub all_open: bool,
    /// How many packets it was asked with over the overlays, where it was.
    pub echoes: Option<u32>,
}

pub(super) fn header(snapshot: &Snapshot, manifest: &Manifest) -> Header {
    let host = snapshot.hosts.first();
    let info = host.and_then(|host| host.info.get().ok());
    let version = host.and_then(|host| host.version.get().ok());
    let os = host.and_then(|host| host.os.get().ok());
    let certificate = host.and_then(|host| host.certificate.get().ok()).and_then(|seen| seen.value.as_ref());
    let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Header {
        host: manifest.host.clone(),
        members: Vec::new(),
        engine: version.map(|v| v.engine.clone()).or(info.map(|i| i.server_version.clone())),
        api: version.map(|v| v.api.clone()),
        role: role(snapshot),
        node_id: info
            .and_then(|info| filled(info.swarm.node_id.as_str()))
            .or_else(|| certificate.and_then(|c| filled(&c.common_name))),
        cluster_id: info
            .and_then(|info| info.swarm.cluster_id.clone())
            .or_else(|| certificate.and_then(|c| filled(&c.organisation))),
        node_addr: info.and_then(|info| info.swarm.node_addr).map(|addr| addr.to_string()),
        os: os.map(|os| os.pretty_name.clone()).unwrap_or_default(),
        kernel: os.map(|os| os.kernel.clone()).unwrap_or_default(),
        taken: manifest.taken,
        took_ms: manifest.took_ms,
        peers: peers(snapshot),
        unprivileged: manifest.unprivileged,
    }
}

fn role(snapshot: &Snapshot) -> String {
    let Some(host) = snapshot.hosts.first() else { return "unknown".into() };
    let certified = || {
        let certificate = host.certificate.get().ok()?.value.clone()?;
        Some(certificate.unit.trim_start_matches("swarm-").to_owned())
    };
    let Ok(info) = host.info.get() else {
        let stateless = host.swarm_state.get().is_ok_and(|state| state.is_none());
        return certified().unwrap_or_else(|| if stateless { "not in a swarm" } else { "unknown" }.into());
    };
    let own = snapshot.nodes.get().ok().and_then(|nodes| nodes.iter().find(|n| n.id == info.swarm.node_id));
    match info.swarm.state.as_str() {
        "active" if own.is_some_and(|n| n.manager.as_ref().is_some_and(|m| m.leader)) => {
            "manager (leader)".into()
        }
        "active" if info.swarm.control_available => "manager".into(),
        "active" => "worker".into(),
        "inactive" => "not in a swarm".into(),
        other => match certified() {
            Some(role) => format!("{role} ({other})"),
            None => other.to_owned(),
        },
    }
}

/// How many echoes a machine sent to each of the others over the overlays.
fn echoes(host: &Host) -> BTreeMap<IpAddr, u32> {
    let mut sent = BTreeMap::new();
    let overlays = host.overlays.get().map(|overlays| overlays.value.as_slice()).unwrap_or_default();
    let planes = overlays.iter().filter_map(|one| one.data_plane.as_ref().ok());
    for peer in planes.flat_map(|plane| &plane.peers) {
        if let Some(packets) = peer.packets {
            *sent.entry(peer.node).or_default() += packets;
        }
    }
    sent
}

fn peers(snapshot: &Snapshot) -> Vec<PeerAnswers> {
    let mut peers = Vec::new();
    for host in &snapshot.hosts {
        let echoes = echoes(host);
        for (probes, row) in rows(host) {
            let Some(first) = probes.first() else { continue };
            let broken = row.paths.iter().any(|path| path.state == State::Refuted);
            peers.push(PeerAnswers {
                name: name(host, &first.peer),
                addr: row.addr,
                answers: probes.iter().map(answer).collect(),
                paths: row.paths,
                // An echo that we may not send says nothing about the peer.
                all_open: !broken
                    && probes.iter().all(|probe| probe.outcome == Outcome::Open || muted(probe)),
                echoes: echoes.get(&first.peer.addr).copied(),
            });
        }
    }
    peers
}

/// The name of another node: its hostname, else what /etc/hosts calls its address, else its address.
fn name(host: &Host, peer: &Peer) -> String {
    if peer.name.is_some() {
        return peer.label();
    }
    let hosts = host.hosts_file.get().map(|file| file.0.as_slice()).unwrap_or_default();
    let named = hosts.iter().find(|line| line.addr == peer.addr).and_then(|line| line.names.first());
    named.map_or_else(|| peer.label(), ToString::to_string)
}

fn muted(probe: &Probe) -> bool {
    probe.attempt == Attempt::Echo && matches!(probe.outcome, Outcome::NotSent { .. })
}

fn answer(probe: &Probe) -> (String, String) {
    let attempt = match probe.attempt {
        Attempt::Echo => "icmp".to_owned(),
        Attempt::Connect { protocol, port } => format!("{port}/{protocol}"),
    };
    let outcome = match probe.outcome {
        Outcome::Open => "open",
        Outcome::Refused { .. } => "refused",
        Outcome::Filtered => "filtered",
        Outcome::Unreachable { .. } => "unreachable",
        Outcome::NotSent { .. } => "not sent",
    };
    (attempt, outcome.to_owned())
}
