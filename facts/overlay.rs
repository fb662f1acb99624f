//! The data plane of an overlay, as the kernel of one node has it, and what came of asking over it.

use crate::{NetworkId, Why};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};

/// An overlay that this node has an endpoint on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overlay {
    /// The network's id.
    pub id: NetworkId,
    /// Its name.
    pub name: String,
    /// Whether it is the routing mesh's.
    pub ingress: bool,
    /// Whether it is encrypted: between the nodes it travels as ESP and not as UDP.
    pub encrypted: bool,
    /// Its data plane, or why it could not be seen.
    pub data_plane: Result<DataPlane, Why>,
}

/// What the kernel has of an overlay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataPlane {
    /// The number that tells its packets from those of other overlays.
    pub vni: u32,
    /// The UDP port to which its packets go: the swarm's data-path port.
    pub port: u16,
    /// The largest packet that its members send.
    pub mtu: u32,
    /// The other nodes on it that an echo was asked of, by address.
    pub peers: Vec<Peer>,
    /// How many more nodes are on it, of which none was asked.
    pub not_probed: usize,
}

/// Another node on an overlay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The address of the node, to which packets for the endpoint are sent.
    pub node: IpAddr,
    /// The address of an endpoint of it.
    pub endpoint: Ipv4Addr,
    /// The link-layer address of that endpoint.
    pub mac: String,
    /// What came of a small echo.
    pub small: Echo,
    /// What came of one as large as the overlay's packets may be.
    pub full: Echo,
    /// Where the full one was lost, what came of the sizes between, from the largest down.
    pub sizes: Vec<Tried>,
    /// Where nothing came back, what came of asking the node itself, beneath the overlay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub underlay: Option<Echo>,
    /// Where nothing came back, what passed between the two machines while it was asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<Capture>,
    /// How many packets it was asked with, those beneath the overlay included; a bundle of an older doctor lacks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets: Option<u32>,
}

/// What passed between two machines of the packets of an overlay, or of ESP where that is encrypted. What comes is counted
/// before this machine's packet filter, and what goes after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// How many went.
    pub sent: u32,
    /// How many came.
    pub received: u32,
    /// How many of those were answers to our echoes; of ESP that cannot be told.
    pub answers: u32,
}

/// How far an echo got that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// It did not leave this machine.
    HeldBack,
    /// Its answer came to this machine, which did not take it.
    NotTaken,
    /// It went, and what the other sends of itself comes.
    OneWay,
    /// It went, and nothing comes.
    Lost,
}

impl Capture {
    /// What the packets tell of the echo's way.
    pub fn course(self) -> Course {
        match self {
            Self { sent: 0, .. } => Course::HeldBack,
            Self { answers: 1.., .. } => Course::NotTaken,
            Self { received: 1.., .. } => Course::OneWay,
            Self { .. } => Course::Lost,
        }
    }
}

/// An echo of one size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// The size of the packet on the overlay, its IP header included.
    pub size: u32,
    /// What came of it.
    pub echo: Echo,
}

/// What came of asking for an echo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Echo {
    /// It was answered.
    Answered {
        /// After how many microseconds.
        took_us: u64,
    },
    /// No answer came.
    Lost,
    /// The kernel or a router said that it does not fit.
    TooBig {
        /// What would fit, in bytes on the overlay; 0 where that was not told.
        mtu: u32,
    },
    /// This host would not send it.
    NotSent {
        /// The errno.
        errno: i32,
    },
}

/// Where the size of packets stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The largest that passed.
    pub passes: Option<u32>,
    /// The smallest that did not.
    pub stops: u32,
    /// The kernel tells senders, who may then send less.
    pub told: bool,
}

impl Echo {
    /// Whether an answer came.
    pub fn answered(&self) -> bool {
        matches!(self, Self::Answered { .. })
    }
}

impl Peer {
    /// The largest size between that was answered, and the smallest that was not.
    pub fn stops(&self) -> (Option<u32>, Option<u32>) {
        let sizes =
            |answered| self.sizes.iter().filter(move |it| it.echo.answered() == answered).map(|it| it.size);
        (sizes(true).max(), sizes(false).min())
    }

    /// Where packets up to the overlay's own size stop, though small ones pass.
    pub fn limit(&self, full: u32) -> Option<Limit> {
        if !self.small.answered() {
            return None;
        }
        match self.full {
            Echo::TooBig { mtu } => Some(Limit { passes: (mtu > 0).then_some(mtu), stops: full, told: true }),
            Echo::Lost => {
                let (passes, stops) = self.stops();
                // Packets that get lost whatever their size tell of another trouble.
                let clear = passes.is_some_and(|passes| stops.is_none_or(|stops| passes < stops));
                clear.then(|| Limit { passes, stops: stops.unwrap_or(full).min(full), told: false })
            }
            Echo::Answered { .. } | Echo::NotSent { .. } => None,
        }
    }
}
