//! Networks, as the engine of one node lists them.

use crate::{NetworkId, TaskId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::net::IpAddr;

/// A network, as one engine lists it. A worker lists an overlay only while it has an endpoint on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
    /// Its name.
    pub name: String,
    /// Its driver, such as `overlay`.
    pub driver: String,
    /// `swarm` or `local`.
    pub scope: String,
    /// Whether it is the ingress network.
    pub ingress: bool,
    /// Whether its traffic between nodes is encrypted.
    pub encrypted: bool,
    /// The bridge interface on this node, for drivers that have one.
    pub bridge: Option<String>,
    /// Its subnets in CIDR notation.
    pub subnets: Vec<String>,
    /// The IP ranges within the subnets from which addresses are assigned, in CIDR notation.
    pub ip_ranges: Vec<String>,
    /// The config-only network that it takes its settings from.
    pub config_from: Option<String>,
    /// The VXLAN network identifiers of an overlay.
    pub vnis: Vec<u32>,
    /// `Peers`: the nodes that gossip of this node knows on the network. Absent if the network was not inspected.
    pub peers: Option<Vec<Peer>>,
    /// The endpoint records in NetworkDB of this node. Absent if the network was not inspected with `verbose`.
    pub records: Option<Vec<EndpointRecord>>,
    /// When it was created on this node.
    pub created: Option<Timestamp>,
    /// The names of the endpoints of this node on it, such as `ingress-endpoint`.
    pub endpoints: Vec<String>,
    /// The ports that services publish through it. Only the ingress network has some; workers list them as well.
    pub ports: Vec<MeshPort>,
}

/// A port that a service publishes through the routing mesh.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct MeshPort {
    /// The service's name.
    pub service: String,
    /// The published port.
    pub published: u16,
    /// The target port in the container.
    pub target: u16,
}

/// A node on an overlay, as gossip knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Peer {
    /// The gossip name: 12 hex digits, different after each start of the engine.
    pub name: String,
    /// Its address.
    pub addr: IpAddr,
}

/// The record of one endpoint in NetworkDB: an element of `Services.NAME.Tasks`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct EndpointRecord {
    /// The service; empty for a container that is no task of a service.
    pub service: String,
    /// The name of the endpoint, for a task `SERVICE.SLOT.TASK` or `SERVICE.NODE.TASK`.
    pub name: String,
    /// The address of the endpoint on the network.
    pub addr: IpAddr,
    /// `Info["Host IP"]`: the data path address of the node that the endpoint is on.
    pub host: Option<IpAddr>,
}

impl EndpointRecord {
    /// The task, for an endpoint of a service.
    pub fn task(&self) -> Option<TaskId> {
        let rest = self.name.strip_prefix(self.service.as_str())?.strip_prefix('.')?;
        let (_, task) = rest.rsplit_once('.')?;
        (!self.service.is_empty() && !task.is_empty()).then(|| task.into())
    }
}
