//! The firewall rules of a host, and their effect on a packet.
//!
//! nftables (written by nft, firewalld, ufw or `iptables-nft`) and legacy iptables use one model. Values are kept as in the
//! kernel: as bytes, little-endian where the kernel uses host byte order.

mod bits;
mod bpf;
mod bytes;
mod evaluate;
mod expr;
mod header;
mod ipset;
mod rule;
mod set;
mod text;
mod xt;

use serde::{Deserialize, Serialize};
use std::fmt;

pub use bpf::{Instruction, Number, Step};
pub use bytes::Bytes;
pub use evaluate::{Location, Outcome, evaluate};
pub use expr::{Expr, Fib, Load, Net, Op, Ports, Range16, Side, Xt};
pub use header::{Direction, Flow, Link, Packet};
pub use ipset::{IpSet, Member, Part, Reach};
pub use set::{Element, Set};
pub use text::{Condition, Field, conditions};

/// All firewall rules of one network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruleset {
    /// The tables, in kernel order.
    pub tables: Vec<Table>,
    /// The ipsets, if iptables rules refer to any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ipsets: Vec<IpSet>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The address family.
    pub family: Family,
    /// Its name.
    pub name: String,
    /// It belongs to legacy iptables.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub legacy: bool,
    /// It is disabled (`flags dormant`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dormant: bool,
    /// Its chains.
    pub chains: Vec<Chain>,
    /// Its sets and maps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<Set>,
}

/// The address family of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// All packets of single devices (`netdev`).
    Netdev,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Netdev => "netdev",
        })
    }
}

/// A chain of rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Its hook; a chain without one is only reached by jumps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

/// The hook of a base chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The hook.
    pub hook: Hook,
    /// The priority; lower ones come first.
    pub priority: i32,
    /// `type nat`: it sees only the first packet of a connection.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nat: bool,
    /// Whether its policy is drop.
    pub drops: bool,
    /// The devices it is bound to, if any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
}

/// A hook of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// At the device, before all others.
    Ingress,
    /// All received packets.
    Prerouting,
    /// Packets for this host.
    Input,
    /// Forwarded packets.
    Forward,
    /// Packets from this host.
    Output,
    /// All sent packets.
    Postrouting,
    /// At the device, after all others.
    Egress,
}

impl Hook {
    /// Its nft keyword.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Egress => "egress",
        }
    }
}

/// A rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its nft handle; 0 in legacy iptables.
    #[serde(default)]
    pub handle: u64,
    /// Its comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Its expressions, in order.
    pub exprs: Vec<Expr>,
}

/// The verdict of a rule or of an element of a verdict map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Accept: continue with the next base chain.
    Accept,
    /// Drop.
    Drop,
    /// Continue in another chain, and return.
    Jump(String),
    /// Continue in another chain, and return to the caller of this one.
    Goto(String),
    /// Return to the calling chain.
    Return,
    /// Continue with the next rule.
    Continue,
    /// Pass to a userspace program.
    Queue,
}
