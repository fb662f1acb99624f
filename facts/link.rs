//! Attempts to reach the other nodes.

use crate::host::Protocol;
use crate::{NodeId, NodeName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// Another node, as this one knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Peer {
    /// Its address.
    pub addr: IpAddr,
    /// Its hostname, if the node list has it.
    pub name: Option<NodeName>,
    /// Its node id, where it is known.
    pub node_id: Option<NodeId>,
    /// The port of its manager, where it is one.
    pub manager_port: Option<u16>,
}

impl Peer {
    /// The name in a report: its hostname, else its address.
    pub fn label(&self) -> String {
        self.name.as_ref().map_or_else(|| self.addr.to_string(), ToString::to_string)
    }
}

/// The clock of another node, compared with the clock of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeerClock {
    /// The node's address.
    pub addr: IpAddr,
    /// By how many milliseconds it is ahead; `None` if its kernel did not report the time.
    pub ahead_ms: Option<i64>,
}

/// One attempt from this node to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// The node that was probed.
    pub peer: Peer,
    /// What was tried.
    pub attempt: Attempt,
    /// The outcome.
    pub outcome: Outcome,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// A burst of echoes to the peer. Absent where the first echo was not answered, and in bundles of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<Burst>,
}

/// The result of several small echoes to one peer within a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Burst {
    /// The number of echoes sent.
    pub sent: u32,
    /// The number of replies.
    pub received: u32,
    /// The mean round-trip time in microseconds.
    pub rtt_us: u64,
    /// The longest round-trip time in microseconds.
    pub max_us: u64,
    /// The mean difference of successive round-trip times in microseconds.
    pub jitter_us: u64,
}

impl Burst {
    /// The result for the round-trip times in microseconds, in the order sent; `None` for a lost echo.
    pub fn of(times: &[Option<u64>]) -> Self {
        let received: Vec<u64> = times.iter().flatten().copied().collect();
        let mean = |values: &[u64]| values.iter().sum::<u64>().checked_div(values.len() as u64).unwrap_or(0);
        let steps: Vec<u64> =
            received.iter().zip(received.iter().skip(1)).map(|(one, next)| one.abs_diff(*next)).collect();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            sent: count(times.len()),
            received: count(received.len()),
            rtt_us: mean(&received),
            max_us: received.iter().copied().max().unwrap_or(0),
            jitter_us: mean(&steps),
        }
    }

    /// The number of echoes without a reply.
    pub fn lost(&self) -> u32 {
        self.sent.saturating_sub(self.received)
    }

    /// The loss in percent, rounded down.
    pub fn loss_percent(&self) -> u32 {
        (self.lost() * 100).checked_div(self.sent).unwrap_or(0)
    }
}

impl fmt::Display for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |us: u64| format!("{}.{}", us / 1000, us % 1000 / 100);
        write!(f, "{} of {} echoes lost ({} %)", self.lost(), self.sent, self.loss_percent())?;
        if self.received > 0 {
            write!(f, ", RTT {} ms, jitter {} ms", millis(self.rtt_us), millis(self.jitter_us))?;
        }
        Ok(())
    }
}

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
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

/// The outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Outcome {
    /// It was answered.
    Open,
    /// The peer refused (`ECONNREFUSED`): nothing listens, or a firewall answers with a reset.
    Refused {
        /// The errno.
        errno: i32,
    },
    /// No answer before the timeout: a firewall drops the packets, or the host is down.
    Filtered,
    /// The network rejected it (`EHOSTUNREACH`, `ENETUNREACH`, `EACCES` from an ICMP answer).
    Unreachable {
        /// The errno.
        errno: i32,
    },
    /// This node did not send it (`EPERM`: its own firewall, or a missing privilege).
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

/// The errno if a firewall of this node blocks the packet.
pub const EPERM: i32 = 1;
/// The errno for a blackhole route.
pub const EINVAL: i32 = 22;
/// The errno if there is no route.
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
