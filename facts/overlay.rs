//! The data plane of an overlay in the kernel of one node, and the probes over it.

use crate::link::{Burst, Outcome};
use crate::{NetworkId, Why};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};

/// An overlay on which this node has an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Overlay {
    /// The network's id.
    pub id: NetworkId,
    /// The network's name.
    pub name: String,
    /// Whether it is the ingress network.
    pub ingress: bool,
    /// Whether it is encrypted: between the nodes its packets are ESP instead of UDP.
    pub encrypted: bool,
    /// Its data plane, or why it could not be read.
    pub data_plane: Result<DataPlane, Why>,
}

/// The kernel's state of an overlay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataPlane {
    /// The VXLAN network identifier.
    pub vni: u32,
    /// The UDP port of VXLAN: the swarm's data-path port.
    pub port: u16,
    /// The MTU of its endpoints, in bytes.
    pub mtu: u32,
    /// The probed nodes, by address.
    pub peers: Vec<Peer>,
    /// The number of nodes that were not probed.
    pub not_probed: usize,
}

/// The network namespaces of the engine and the VXLAN devices in them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EngineNamespaces {
    /// The names of the namespaces, such as `ingress_sbox` and `1-9mg6tgpzvs`.
    pub names: Vec<String>,
    /// The VXLAN devices in them and in the namespace of the host.
    pub vxlans: Vec<VxlanDevice>,
}

/// A VXLAN device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VxlanDevice {
    /// The namespace it is in; `None` for that of the host.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its VXLAN network identifier.
    pub vni: u32,
    /// Its UDP port.
    pub port: u16,
    /// Whether it is up.
    pub up: bool,
}

/// Another node on an overlay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Peer {
    /// The address of the node, to which packets for the endpoint are sent.
    pub node: IpAddr,
    /// The address of one of its endpoints.
    pub endpoint: Ipv4Addr,
    /// The MAC address of that endpoint.
    pub mac: String,
    /// The result of a small echo.
    pub small: Echo,
    /// The result of an echo of the overlay's MTU.
    pub full: Echo,
    /// Where the full echo was lost, the results of smaller ones, largest first.
    pub sizes: Vec<SizedEcho>,
    /// Where no echo was answered, the result of an echo to the node's own address on the underlay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub underlay: Option<Echo>,
    /// Where no echo was answered, the packets captured between the two nodes during the second attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<Capture>,
    /// The number of packets sent to it, those on the underlay included. Absent in bundles of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets: Option<u32>,
    /// A burst of small echoes over the overlay. Absent where the small echo was lost, and in bundles of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<Burst>,
    /// The answer to a TCP SYN for a port that nothing listens on; a reset proves that TCP passes. Absent where the small
    /// echo was lost, and in bundles of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<Outcome>,
}

/// The packets of an overlay, or ESP packets of an encrypted one, that were captured between two nodes. Received packets
/// are counted before the firewall of this node, sent packets after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Capture {
    /// Packets sent.
    pub sent: u32,
    /// Packets received.
    pub received: u32,
    /// Received packets that reply to our echoes. Always 0 for ESP, which hides its content.
    pub answers: u32,
}

/// How far an unanswered echo got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchoPath {
    /// It did not leave this node.
    NotSent,
    /// The reply reached this node and was dropped here.
    ReplyDropped,
    /// It was sent, and other packets of the peer arrive.
    OneWay,
    /// It was sent, and no packet of the peer arrives.
    Lost,
}

impl Capture {
    /// How far the echo got.
    pub fn path(self) -> EchoPath {
        match self {
            Self { sent: 0, .. } => EchoPath::NotSent,
            Self { answers: 1.., .. } => EchoPath::ReplyDropped,
            Self { received: 1.., .. } => EchoPath::OneWay,
            Self { .. } => EchoPath::Lost,
        }
    }
}

/// An echo of one size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SizedEcho {
    /// The size of the packet on the overlay in bytes, IP header included.
    pub size: u32,
    /// The result.
    pub echo: Echo,
}

/// The result of an echo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Echo {
    /// The reply arrived.
    Answered {
        /// The round-trip time in microseconds.
        took_us: u64,
    },
    /// No reply arrived.
    Lost,
    /// The kernel or a router reported that it is too big.
    TooBig {
        /// The reported MTU in bytes on the overlay; 0 if none was reported.
        mtu: u32,
    },
    /// The kernel of this node refused to send it.
    NotSent {
        /// The errno.
        errno: i32,
    },
}

/// The size at which packets stop passing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The largest size that passed, if any did.
    pub passes: Option<u32>,
    /// The smallest size that was lost.
    pub stops: u32,
    /// Whether the kernel reports the limit to senders, which then send less.
    pub reported: bool,
}

impl Echo {
    /// Whether the reply arrived.
    pub fn answered(&self) -> bool {
        matches!(self, Self::Answered { .. })
    }
}

impl Peer {
    /// The largest tried size that was answered, and the smallest that was not.
    pub fn size_limits(&self) -> (Option<u32>, Option<u32>) {
        let sizes =
            |answered| self.sizes.iter().filter(move |it| it.echo.answered() == answered).map(|it| it.size);
        (sizes(true).max(), sizes(false).min())
    }

    /// The size at which packets stop passing, where small ones pass and those of the overlay's MTU do not.
    pub fn limit(&self, full: u32) -> Option<Limit> {
        if !self.small.answered() {
            return None;
        }
        match self.full {
            Echo::TooBig { mtu } => {
                Some(Limit { passes: (mtu > 0).then_some(mtu), stops: full, reported: true })
            }
            Echo::Lost => {
                let (passes, stops) = self.size_limits();
                // Loss that does not depend on the size has another cause.
                let clear = passes.is_some_and(|passes| stops.is_none_or(|stops| passes < stops));
                clear.then(|| Limit { passes, stops: stops.unwrap_or(full).min(full), reported: false })
            }
            Echo::Answered { .. } | Echo::NotSent { .. } => None,
        }
    }

    /// Whether any echo was answered. On a path with packet loss the small one may be lost twice.
    pub fn answers(&self) -> bool {
        self.small.answered() || self.full.answered()
    }

    /// Whether ICMP passes over the overlay and TCP does not.
    pub fn drops_tcp_only(&self) -> bool {
        self.answers() && matches!(self.tcp, Some(Outcome::Filtered))
    }
}
