//! The expressions of firewall rules.

use super::bpf::{Instruction, Number};
use super::{Bytes, Verdict};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// One expression of a rule. Those of nftables work on registers; an unknown one is kept by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expr {
    /// Loads a property of the packet into a register.
    Load {
        /// The value.
        what: Load,
        /// The register.
        to: u32,
    },
    /// Loads a constant into a register.
    Constant {
        /// The register.
        to: u32,
        /// The constant.
        data: Bytes,
    },
    /// Continues only if the comparison of a register with a constant holds.
    Compare {
        /// The operator.
        op: Op,
        /// The register.
        reg: u32,
        /// The constant.
        data: Bytes,
    },
    /// Continues only if a register lies between two constants, or does not.
    Range {
        /// The result is negated.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        negated: bool,
        /// The register.
        reg: u32,
        /// The lowest.
        from: Bytes,
        /// The highest.
        to: Bytes,
    },
    /// `to = from & mask ^ xor`.
    Bitwise {
        /// The source register.
        from: u32,
        /// The destination register.
        to: u32,
        /// The mask.
        mask: Bytes,
        /// The bits that are inverted.
        xor: Bytes,
    },
    /// Reverses the bytes of each unit.
    Byteorder {
        /// The source register.
        from: u32,
        /// The destination register.
        to: u32,
        /// The size of a unit in bytes.
        size: u32,
        /// The length in bytes.
        length: u32,
    },
    /// Continues only if a register is in a set, or is not; with a map, loads the value into a register.
    Lookup {
        /// The set's name.
        set: String,
        /// The register.
        reg: u32,
        /// The register for the value of a map; 0 for the verdict.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<u32>,
        /// The result is negated.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        negated: bool,
    },
    /// A verdict.
    Verdict {
        /// The value.
        verdict: Verdict,
    },
    /// Drops the packet and notifies its sender.
    Reject {
        /// In nft syntax, such as `tcp reset`.
        with: String,
    },
    /// An iptables match.
    Match {
        /// The match.
        ask: Xt,
        /// The result is negated.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        negated: bool,
    },
    /// Sets the mark of the packet from a register, or to an unknown value.
    SetMark {
        /// The register.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<u32>,
    },
    /// Adds a property of the packet to a set; if the set is full, the rule ends.
    Remember {
        /// The set's name.
        set: String,
    },
    /// Sets the mark of the connection.
    SetCtMark,
    /// Excludes the packet from connection tracking.
    Notrack,
    /// Counts or logs; has no effect on the packet.
    Aside {
        /// Its name, such as `counter`.
        name: String,
    },
    /// Accepts the packet and changes its source address.
    Masquerade {
        /// Its name, such as `masquerade`.
        name: String,
    },
    /// Changes the destination of the packet.
    Redirect {
        /// Its name, such as `dnat`.
        name: String,
    },
    /// An unknown expression: it may be a match or a verdict.
    Unknown {
        /// Its name in the kernel.
        name: String,
        /// The register that it writes, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<u32>,
    },
}

/// A comparison of a register with a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// `==`
    Eq,
    /// `!=`
    Neq,
    /// `<`
    Lt,
    /// `<=`
    Lte,
    /// `>`
    Gt,
    /// `>=`
    Gte,
}

/// A property of a packet that can be loaded into a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Load {
    /// Bytes of the IP header.
    Network {
        /// The offset.
        offset: u32,
        /// The length in bytes.
        length: u32,
    },
    /// Bytes of the TCP or UDP header.
    Transport {
        /// The offset.
        offset: u32,
        /// The length in bytes.
        length: u32,
    },
    /// The ethertype.
    EtherType,
    /// The number of the IP family (`NFPROTO_*`).
    NfProto,
    /// The number of the transport protocol.
    L4Proto,
    /// The index of the input interface.
    Iif,
    /// The index of the output interface.
    Oif,
    /// The name of the input interface.
    IifName,
    /// The name of the output interface.
    OifName,
    /// The mark of the packet.
    Mark,
    /// The packet type: host, broadcast, or other host.
    PacketType,
    /// The connection state.
    CtState,
    /// The connection status.
    CtStatus,
    /// The direction in the connection.
    CtDirection,
    /// The connection mark.
    CtMark,
    /// The type of one of its addresses, such as local.
    AddressType(Fib),
    /// Whether a reply to the sender would leave by the input interface.
    ComesBack,
    /// The index of the interface that a reply to the sender would leave by.
    WayBack,
    /// The user that owns the socket.
    SocketUser,
}

/// The address that is looked up in the routing table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fib {
    /// The source.
    Source,
    /// The destination.
    Destination,
}

/// An iptables match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Xt {
    /// The header part of a legacy iptables rule; each of its tests is a separate match here.
    Source(Net),
    /// `-d`
    Destination(Net),
    /// `-i`, with a `+` at the end for a prefix.
    InInterface(String),
    /// `-o`
    OutInterface(String),
    /// `-p`, by number.
    Protocol(u8),
    /// A fragment after the first.
    Fragment,
    /// `--sport` of tcp or udp.
    SourcePorts(Range16),
    /// `--dport` of tcp or udp.
    DestinationPorts(Range16),
    /// `--tcp-flags MASK VALUE`.
    TcpFlags {
        /// The flags that are examined.
        mask: u8,
        /// The flags among them that are set.
        value: u8,
    },
    /// `multiport`
    Multiport(Ports),
    /// `conntrack --ctstate` and `state`: the state bits of nftables, and of the two states that nftables does not have.
    State(u32),
    /// `mark`
    Mark {
        /// The mark.
        value: u32,
        /// The bits that are compared.
        mask: u32,
    },
    /// `connmark`
    ConnectionMark {
        /// The mark.
        value: u32,
        /// The bits that are compared.
        mask: u32,
    },
    /// `conntrack --ctstatus`: any of these bits.
    Status(u32),
    /// `conntrack --ctdir REPLY`
    Reply,
    /// `conntrack --ctorigsrcport` and `--ctorigdstport`: a port of the first packet of the connection.
    FirstPorts {
        /// Which port.
        which: Fib,
        /// Any of these.
        ports: Range16,
    },
    /// `pkttype`, by number: host, broadcast, or other host.
    PacketType(u8),
    /// An IPv6 extension header, by name, such as `rt`.
    ExtensionHeader(String),
    /// `physdev --physdev-is-bridged`: the packet is bridged.
    Bridged,
    /// `addrtype`: the bits of the address types.
    AddressTypes {
        /// Which address.
        which: Fib,
        /// The types, by route type number.
        kinds: u16,
    },
    /// `u32`: all tests must hold.
    Numbers(Vec<Number>),
    /// `bpf`
    Program(Vec<Instruction>),
    /// `policy --pol none`: the packet has no IPsec policy.
    Clear,
    /// `owner --uid-owner`: the user that owns the socket is in this range.
    Owner {
        /// The lowest.
        from: u32,
        /// The highest.
        to: u32,
    },
    /// `owner --socket-exists`: the packet has a local socket.
    Socket,
    /// `set`: the packet is in an ipset.
    Set {
        /// The index of the set in the kernel.
        index: u16,
        /// The name of the set, where it could be read.
        name: String,
        /// For each part of the key, whether it is taken from the source.
        sources: Vec<bool>,
    },
    /// `iprange`
    AddressRange {
        /// Which address.
        which: Fib,
        /// The lowest.
        from: IpAddr,
        /// The highest.
        to: IpAddr,
    },
}

impl Xt {
    /// `--ctstate SNAT`: the source address was changed.
    pub const SNAT: u32 = 1 << 16;
    /// `--ctstate DNAT`: the destination address was changed.
    pub const DNAT: u32 = 1 << 17;
}

/// The ports of `multiport`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// Which port.
    pub side: Side,
    /// Any of these.
    pub ranges: Vec<Range16>,
}

/// The port that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The source.
    Source,
    /// The destination.
    Destination,
    /// Either.
    Either,
}

/// A range of ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range16(pub u16, pub u16);

/// An address with a mask, which need not be a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Net {
    /// The address.
    pub addr: IpAddr,
    /// The bits that are compared.
    pub mask: IpAddr,
}
