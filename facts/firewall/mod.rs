//! The packet filter of a machine, and what it does with a packet.
//!
//! nftables, whoever writes it (people, firewalld, ufw or `iptables-nft`), and the older iptables are told with one
//! model. Values are kept as the kernel keeps them: bytes, in the order of a little-endian machine where they are
//! numbers of its own.

mod bits;
mod bytes;
mod expr;
mod header;
mod ipset;
mod program;
mod rule;
mod set;
mod text;
mod walk;
mod xt;

use serde::{Deserialize, Serialize};
use std::fmt;

pub use bytes::Bytes;
pub use expr::{Expr, Fib, Load, Net, Op, Ports, Range16, Side, Xt};
pub use header::{Flow, Link, Packet, Way};
pub use ipset::{IpSet, Member, Part, Reach};
pub use program::{Instruction, Number, Step};
pub use set::{Element, Set};
pub use text::{Condition, Field, conditions};
pub use walk::{Fate, Place, fate};

/// Everything that filters packets in one network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruleset {
    /// The tables, in the order of the kernel.
    pub tables: Vec<Table>,
    /// The sets of ipset, where rules of iptables ask for any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ipsets: Vec<IpSet>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The packets it sees.
    pub family: Family,
    /// Its name.
    pub name: String,
    /// It is of the older iptables, beside nftables.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub legacy: bool,
    /// It is switched off (`flags dormant`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dormant: bool,
    /// Its chains.
    pub chains: Vec<Chain>,
    /// Its sets and maps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<Set>,
}

/// The packets a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// What passes one device, before all others.
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
    /// Where it hangs in the kernel; a chain without is only jumped to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

/// Where a chain hangs in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// On a packet's way.
    pub hook: Hook,
    /// Lower ones come first.
    pub priority: i32,
    /// It changes addresses and sees the first packet of a connection alone (`type nat`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nat: bool,
    /// What becomes of a packet that no rule decides on: whether it is dropped.
    pub drops: bool,
    /// The devices it is bound to, where it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
}

/// A place on a packet's way through the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// Before anything else, at the device.
    Ingress,
    /// All that comes in.
    Prerouting,
    /// What is for this machine.
    Input,
    /// What passes through.
    Forward,
    /// What this machine sends.
    Output,
    /// All that goes out.
    Postrouting,
    /// After everything else, at the device.
    Egress,
}

impl Hook {
    /// Its name as a keyword of nft.
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
    /// The number that nft addresses it by; 0 in the older iptables.
    #[serde(default)]
    pub handle: u64,
    /// What its author noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What it asks and does, in order.
    pub exprs: Vec<Expr>,
}

/// What a rule, or an element of a verdict map, does with a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Lets it go on to the next base chain.
    Accept,
    /// Ends it.
    Drop,
    /// Goes through a chain and comes back.
    Jump(String),
    /// Goes through a chain and comes back one chain further up.
    Goto(String),
    /// Goes back to where this chain was jumped to from.
    Return,
    /// Goes on with the next rule.
    Continue,
    /// Asks a program.
    Queue,
}
