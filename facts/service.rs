//! Services and tasks, from a manager.

use crate::host::Protocol;
use crate::{NetworkId, NodeId, ServiceId, TaskId};
use std::net::IpAddr;

/// A service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Service {
    /// Its id.
    pub id: ServiceId,
    /// Its name.
    pub name: String,
    /// The image.
    pub image: String,
    /// How many tasks it wants, or `None` where there is one on every node.
    pub replicas: Option<u64>,
    /// `hostname` of the container, where it is set.
    pub hostname: Option<String>,
    /// `dnsrr` where it is so, else a VIP.
    pub dnsrr: bool,
    /// Its virtual addresses by network.
    pub vips: Vec<(NetworkId, IpAddr)>,
    /// The names it goes by besides its own, by network.
    pub aliases: Vec<String>,
    /// The ports it publishes.
    pub ports: Vec<PublishedPort>,
}

/// A port that is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedPort {
    /// The protocol, where it is TCP or UDP.
    pub protocol: Option<Protocol>,
    /// The port outside.
    pub published: u16,
    /// The port inside.
    pub target: u16,
    /// Whether it goes through the routing mesh.
    pub ingress: bool,
}

/// A task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Its service.
    pub service: ServiceId,
    /// The node it was given to.
    pub node: Option<NodeId>,
    /// The slot, for a replicated service.
    pub slot: u64,
    /// `Status.State`, such as `running`.
    pub state: String,
    /// `DesiredState`.
    pub desired: String,
    /// `Status.Err`.
    pub error: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}
