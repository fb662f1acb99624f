//! Attempts to reach the other nodes.

use crate::host::Protocol;
use crate::{NodeId, NodeName};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// Another node, as far as this one knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Peer {
    /// Its address.
    pub addr: IpAddr,
    /// Its hostname, where a node list told it.
    pub name: Option<NodeName>,
    /// Its node id, where it is known.
    pub node_id: Option<NodeId>,
    /// The port of its manager, where it is one.
    pub manager_port: Option<u16>,
}

impl Peer {
    /// The name it goes by in a report: its hostname, else its address.
    pub fn label(&self) -> String {
        self.name.as_ref().map_or_else(|| self.addr.to_string(), ToString::to_string)
    }
}

/// The clock of another node, beside this one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerClock {
    /// The node's address.
    pub addr: IpAddr,
    /// By how many milliseconds it is ahead, as its kernel said within the day; nothing where it did not say.
    pub ahead_ms: Option<i64>,
}

/// One attempt from this node to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Whom it went to.
    pub peer: Peer,
    /// What was tried.
    pub attempt: Attempt,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took, in microseconds.
    pub took_us: u64,
}

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Attempt {
    /// An ICMP echo.
    Echo,
    /// A connection to a port.
    Connect {
        /// The protocol.
        protocol: Protocol,
        /// The port.
        port: u16,
    },
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Echo => f.write_str("icmp echo"),
            Self::Connect { protocol, port } => write!(f, "{port}/{protocol}"),
        }
    }
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Outcome {
    /// It was answered.
    Open,
    /// The peer said no (`ECONNREFUSED`): nobody listens, or a firewall answers with a reset.
    Refused {
        /// The errno.
        errno: i32,
    },
    /// No answer within the time: something drops it, or nobody is there.
    Filtered,
    /// The network said no (`EHOSTUNREACH`, `ENETUNREACH`, `EACCES` from an ICMP answer).
    Unreachable {
        /// The errno.
        errno: i32,
    },
    /// This host would not send it (`EPERM`: its own firewall, or the right is missing).
    NotSent {
        /// The errno.
        errno: i32,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("open"),
            Self::Refused { errno } => write!(f, "refused ({})", name(*errno)),
            Self::Filtered => f.write_str("filtered (no answer)"),
            Self::Unreachable { errno } => write!(f, "unreachable ({})", name(*errno)),
            Self::NotSent { errno } => write!(f, "not sent ({})", name(*errno)),
        }
    }
}

/// Linux's errno where a firewall of this machine forbids to send.
pub const EPERM: i32 = 1;
/// Its errno where a route of the kind blackhole stands for the address.
pub const EINVAL: i32 = 22;
/// Its errno where no route leads there.
pub const ENETUNREACH: i32 = 101;

/// The name of an errno as in errno(3), for those that connecting ends in; the numbers are those of Linux on every
/// architecture that Docker runs on.
fn name(errno: i32) -> String {
    let name = match errno {
        EPERM => "EPERM",
        13 => "EACCES",
        EINVAL => "EINVAL",
        ENETUNREACH => "ENETUNREACH",
        104 => "ECONNRESET",
        111 => "ECONNREFUSED",
        113 => "EHOSTUNREACH",
        _ => return format!("errno {errno}"),
    };
    name.to_owned()
}
