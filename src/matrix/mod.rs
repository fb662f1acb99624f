//! The paths from this node to every other node, by layer: proven, refuted or unknown, with the reason.

mod path;

use facts::link::Probe;
use facts::{Host, NodeName, Snapshot, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// The paths from this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Matrix {
    /// This node.
    pub host: NodeName,
    /// When it was examined.
    pub taken: Timestamp,
    /// How long the run took, in milliseconds.
    pub took_ms: u64,
    /// For how long packets were captured, in milliseconds; `None` if they were not.
    pub listened_ms: Option<u64>,
    /// The other nodes.
    pub peers: Vec<Row>,
    /// Why no other node is known, if none is.
    pub why: Option<String>,
}

/// The paths to one other node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its hostname, else its address.
    pub name: String,
    /// Its address.
    pub addr: String,
    /// One for each layer, in their order.
    pub paths: Vec<Path>,
}

/// The path to one other node on one layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Path {
    /// The layer.
    pub layer: Layer,
    /// Its state.
    pub state: State,
    /// The state in a word or two, such as `refused`.
    pub says: String,
    /// The observation behind the state, or why there is none.
    pub why: String,
}

/// A layer of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Layer {
    /// Whether the host answers an ICMP echo.
    #[serde(rename = "icmp")]
    Icmp,
    /// Whether the manager port accepts connections.
    #[serde(rename = "2377/tcp")]
    Manager,
    /// Whether the gossip port accepts connections.
    #[serde(rename = "7946/tcp")]
    GossipTcp,
    /// Whether gossip datagrams pass in both directions.
    #[serde(rename = "7946/udp")]
    GossipUdp,
    /// Whether overlay packets pass in both directions.
    #[serde(rename = "vxlan")]
    Vxlan,
    /// The packet loss.
    #[serde(rename = "loss")]
    Loss,
    /// Whether overlay packets of full size pass.
    #[serde(rename = "mtu")]
    Mtu,
    /// Whether packets of encrypted overlays pass in both directions.
    #[serde(rename = "esp")]
    Esp,
    /// Whether the clocks are synchronised.
    #[serde(rename = "clock")]
    Clock,
}

/// The state of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It works.
    Proven,
    /// It does not work.
    Refuted,
    /// Nothing was observed.
    Unknown,
    /// It does not exist.
    None,
}

impl Layer {
    /// All of them, from the lowest up.
    pub const ALL: [Self; 9] = [
        Self::Icmp,
        Self::Manager,
        Self::GossipTcp,
        Self::GossipUdp,
        Self::Vxlan,
        Self::Loss,
        Self::Mtu,
        Self::Esp,
        Self::Clock,
    ];
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Icmp => "icmp",
            Self::Manager => "2377/tcp",
            Self::GossipTcp => "7946/tcp",
            Self::GossipUdp => "7946/udp",
            Self::Vxlan => "vxlan",
            Self::Loss => "loss",
            Self::Mtu => "mtu",
            Self::Esp => "esp",
            Self::Clock => "clock",
        })
    }
}

/// The other nodes that a host knows, each with its probes and its paths.
pub(crate) fn rows(host: &Host) -> impl Iterator<Item = (&[Probe], Row)> {
    let probes = host.probes.get().ok().map(|probes| probes.value.as_slice()).unwrap_or_default();
    let of_one = probes.chunk_by(|one, next| one.peer == next.peer);
    of_one.filter_map(move |probes| Some((probes, path::row(host, &probes.first()?.peer, probes))))
}

impl Matrix {
    /// The paths of a snapshot.
    pub fn of(snapshot: &Snapshot, took_ms: u64) -> Self {
        let host = snapshot.hosts.first();
        let probes = host.map(|host| host.probes.get());
        let why = match &probes {
            Some(Ok(probes)) if probes.is_empty() => Some("this node knows no other node".to_owned()),
            Some(Ok(_)) => None,
            Some(Err(gap)) => Some(gap.why.to_string()),
            None => Some("no host was examined".to_owned()),
        };
        Self {
            host: host.map_or_else(|| "unknown".into(), |host| host.name.clone()),
            taken: snapshot.taken,
            took_ms,
            listened_ms: host
                .and_then(|host| host.gossip_capture.get().ok())
                .map(|overheard| overheard.listened_ms),
            peers: host.into_iter().flat_map(rows).map(|(_, row)| row).collect(),
            why,
        }
    }

    /// Adds the names of nodes that this node knows by address only.
    pub fn named(mut self, names: &BTreeMap<IpAddr, NodeName>) -> Self {
        for row in self.peers.iter_mut().filter(|row| row.name == row.addr) {
            if let Some(name) = row.addr.parse().ok().and_then(|addr: IpAddr| names.get(&addr)) {
                row.name = name.to_string();
            }
        }
        self
    }

    /// All paths.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.peers.iter().flat_map(|row| &row.paths)
    }
}

#[cfg(test)]
mod tests;
