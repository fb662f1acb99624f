//! What rules are made of.

use super::program::{Instruction, Number};
use super::{Bytes, Verdict};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// One step of a rule. Those of nftables work on registers; what cannot be read is kept by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expr {
    /// Puts something of the packet or about it into a register.
    Load {
        /// What.
        what: Load,
        /// The register.
        to: u32,
    },
    /// Puts a constant into a register.
    Constant {
        /// The register.
        to: u32,
        /// The constant.
        data: Bytes,
    },
    /// Goes on only where a register compares so with a constant.
    Compare {
        /// How.
        op: Op,
        /// The register.
        reg: u32,
        /// The constant.
        data: Bytes,
    },
    /// Goes on only where a register lies between two constants, or does not.
    Range {
        /// It must not.
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
        /// The register that is read.
        from: u32,
        /// The register that is written.
        to: u32,
        /// The mask.
        mask: Bytes,
        /// The bits that are turned over.
        xor: Bytes,
    },
    /// Turns the bytes of each unit round.
    Byteorder {
        /// The register that is read.
        from: u32,
        /// The register that is written.
        to: u32,
        /// The size of a unit in bytes.
        size: u32,
        /// The length in bytes.
        length: u32,
    },
    /// Goes on only where a register is in a set, or is not; of a map, puts what it finds into a register.
    Lookup {
        /// The set's name.
        set: String,
        /// The register.
        reg: u32,
        /// The register for what a map holds; 0 for the verdict.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<u32>,
        /// It must not be in it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        negated: bool,
    },
    /// Decides.
    Verdict {
        /// What.
        verdict: Verdict,
    },
    /// Ends the packet and says so to its sender.
    Reject {
        /// In nft's words, such as `tcp reset`.
        with: String,
    },
    /// A match of iptables.
    Match {
        /// What is asked.
        ask: Xt,
        /// The answer has to be no.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        negated: bool,
    },
    /// Sets the packet's mark from a register, or to a value that is not known.
    SetMark {
        /// The register.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<u32>,
    },
    /// Puts something of the packet into a set; where that is full, the rule ends there.
    Remember {
        /// The set's name.
        set: String,
    },
    /// Sets the mark of the packet's connection.
    SetCtMark,
    /// Keeps the packet from being tracked.
    Notrack,
    /// Counts, logs or notes, and neither asks nor decides.
    Aside {
        /// What it is, such as `counter`.
        name: String,
    },
    /// Lets the packet on, under another source address.
    Masquerade {
        /// What it is, such as `masquerade`.
        name: String,
    },
    /// Sends the packet to another place.
    Redirect {
        /// What it is, such as `dnat`.
        name: String,
    },
    /// Something this doctor does not know: it may ask, and it may decide.
    Unknown {
        /// What the kernel calls it.
        name: String,
        /// The register it writes, where it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<u32>,
    },
}

/// How a register compares with a constant.
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

/// What is put into a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Load {
    /// Bytes of the IP header.
    Network {
        /// Where they begin.
        offset: u32,
        /// How many.
        length: u32,
    },
    /// Bytes of the TCP or UDP header.
    Transport {
        /// Where they begin.
        offset: u32,
        /// How many.
        length: u32,
    },
    /// The ethertype.
    EtherType,
    /// The number of the IP family.
    NfProto,
    /// The number of the transport protocol.
    L4Proto,
    /// The index of the interface it came by.
    Iif,
    /// The index of the interface it leaves by.
    Oif,
    /// The name of the interface it came by.
    IifName,
    /// The name of the interface it leaves by.
    OifName,
    /// The packet's mark.
    Mark,
    /// Whether it is for this machine, a broadcast, or for another.
    PacketType,
    /// The state of its connection.
    CtState,
    /// The status of its connection.
    CtStatus,
    /// The direction in its connection.
    CtDirection,
    /// The mark of its connection.
    CtMark,
    /// The kind of one of its addresses, such as local.
    AddressType(Fib),
    /// Whether an answer to the sender would leave by the interface the packet came by.
    ComesBack,
    /// The index of the interface that an answer to the sender would leave by.
    WayBack,
    /// The user of the program that it leaves from.
    SocketUser,
}

/// Which address the routing table is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fib {
    /// The source.
    Source,
    /// The destination.
    Destination,
}

/// A match of iptables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Xt {
    /// The header part of a rule of the older iptables: each question it holds is a match of its own here.
    Source(Net),
    /// `-d`
    Destination(Net),
    /// `-i`, with a `+` at the end for any name that begins so.
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
        /// Those that are looked at.
        mask: u8,
        /// Those that are set among them.
        value: u8,
    },
    /// `multiport`
    Multiport(Ports),
    /// `conntrack --ctstate` and `state`: the bits of the states, as nftables numbers them, and of the two that it has not.
    State(u32),
    /// `mark`
    Mark {
        /// The mark.
        value: u32,
        /// The bits that are looked at.
        mask: u32,
    },
    /// `connmark`
    ConnectionMark {
        /// The mark.
        value: u32,
        /// The bits that are looked at.
        mask: u32,
    },
    /// `conntrack --ctstatus`: any of these bits.
    Status(u32),
    /// `conntrack --ctdir REPLY`
    Reply,
    /// `conntrack --ctorigsrcport` and `--ctorigdstport`: a port of the packet that began the connection.
    FirstPorts {
        /// Which port.
        which: Fib,
        /// Any of these.
        ports: Range16,
    },
    /// `pkttype`, by number: for this machine, a broadcast, or for another.
    PacketType(u8),
    /// Something of an extension header of IPv6, by name, such as `rt`.
    ExtensionHeader(String),
    /// `physdev --physdev-is-bridged`: it goes from one port of a bridge to another.
    Bridged,
    /// `addrtype`: the bits of the kinds of address; both must hold where both are asked.
    AddressTypes {
        /// Which address.
        which: Fib,
        /// The kinds, by the numbers of routes.
        kinds: u16,
    },
    /// `u32`: all of these hold.
    Numbers(Vec<Number>),
    /// `bpf`
    Program(Vec<Instruction>),
    /// `policy --pol none`: it is not of IPsec, or was not before it was taken out of that.
    Clear,
    /// `owner --uid-owner`: the user of the program that it leaves from is one of these.
    Owner {
        /// The lowest.
        from: u32,
        /// The highest.
        to: u32,
    },
    /// `owner --socket-exists`: it leaves from a program.
    Socket,
    /// `set`: it is in a set of ipset.
    Set {
        /// The number that the kernel knows the set by.
        index: u16,
        /// The set's name, where it could be read.
        name: String,
        /// Of which end each part of a key is: of the source, or not.
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
    /// The state of a connection that goes under another source address (`--ctstate SNAT`).
    pub const SNAT: u32 = 1 << 16;
    /// The state of a connection that goes to another destination (`--ctstate DNAT`).
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

/// Which port is asked for.
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

/// Ports from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range16(pub u16, pub u16);

/// An address with a mask, which need not be a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Net {
    /// The address.
    pub addr: IpAddr,
    /// The bits that are looked at.
    pub mask: IpAddr,
}
