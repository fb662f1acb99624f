//! Networks, as the engine of one node lists them.

use crate::NetworkId;
use jiff::Timestamp;
use std::net::IpAddr;

/// A network, as one engine lists it. A worker lists an overlay only while it has something on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
    /// Its name.
    pub name: String,
    /// Its driver, such as `overlay`.
    pub driver: String,
    /// `swarm` or `local`.
    pub scope: String,
    /// Whether it is the routing mesh's.
    pub ingress: bool,
    /// Whether what it carries between nodes is encrypted.
    pub encrypted: bool,
    /// The interface that is its bridge on this node, where its driver makes one.
    pub bridge: Option<String>,
    /// Its subnets in CIDR notation.
    pub subnets: Vec<String>,
    /// `Peers`: the nodes gossip knows on it, as this node sees it. Only where the network was inspected.
    pub peers: Option<Vec<Peer>>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// The names of the endpoints this node has on it, such as `ingress-endpoint`.
    pub endpoints: Vec<String>,
    /// The ports that services publish through it; only the routing mesh's network has some, and workers see them.
    pub ports: Vec<MeshPort>,
}

/// A port that a service publishes through the routing mesh.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MeshPort {
    /// The service's name.
    pub service: String,
    /// The port outside.
    pub published: u16,
    /// The port inside.
    pub target: u16,
}

/// A node on an overlay, as gossip knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The gossip name: 12 hex digits, new at every start of the engine.
    pub name: String,
    /// Its address.
    pub addr: IpAddr,
}
