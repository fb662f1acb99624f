//! Rules in nft and iptables syntax.

use super::expr::{Expr, Fib, Load, Op, Range16, Side, Xt};
use super::set::Element;
use super::{Bytes, Rule, Table, Verdict};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One condition of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The property.
    pub field: Field,
    /// The result is negated.
    pub negated: bool,
    /// The values; any of them matches.
    pub values: Vec<String>,
}

/// The property that a condition tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// The IP family.
    Family,
    /// The transport protocol.
    Protocol,
    /// The source address.
    Source,
    /// The destination address.
    Destination,
    /// The source port.
    SourcePort,
    /// The destination port.
    DestinationPort,
    /// The input interface.
    InInterface,
    /// The output interface.
    OutInterface,
    /// The connection state.
    State,
    /// Membership in an ipset, with the directions (`src`, `dst`).
    IpSet(String),
    /// Another property, in nft syntax.
    Other(String),
}

/// The conditions of a rule, as far as they are known, and its actions in nft syntax.
pub fn conditions(table: &Table, rule: &Rule) -> (Vec<Condition>, Vec<String>) {
    let mut reader = Reader { table, registers: Vec::new(), asked: Vec::new(), done: Vec::new() };
    for expr in &rule.exprs {
        reader.expr(expr);
    }
    (reader.asked, reader.done)
}

impl Rule {
    /// The rule in nft syntax.
    pub fn as_nft(&self, table: &Table) -> String {
        let (asked, done) = conditions(table, self);
        let protocol = only_protocol(&asked);
        let port = |c: &Condition| matches!(c.field, Field::SourcePort | Field::DestinationPort);
        let with_ports = asked.iter().any(port);
        let mut words: Vec<String> = Vec::new();
        for condition in &asked {
            // A port implies its protocol.
            if condition.field == Field::Protocol && with_ports && protocol.is_some() {
                continue;
            }
            words.push(condition.as_nft(table, protocol.as_deref()));
        }
        words.extend(done);
        if let Some(comment) = &self.comment {
            words.push(format!("comment \"{comment}\""));
        }
        words.join(" ")
    }

    /// The rule as `iptables -S` prints it after the name of the chain; none if a part of it has no iptables syntax
    /// here.
    pub fn as_iptables(&self, table: &Table) -> Option<String> {
        let (asked, done) = conditions(table, self);
        let mut words: Vec<String> = asked.iter().map(Condition::as_iptables).collect::<Option<_>>()?;
        if let Some(comment) = &self.comment {
            words.push(format!("-m comment --comment \"{comment}\""));
        }
        for deed in done {
            let (verb, what) = deed.split_once(' ').unwrap_or((&deed, ""));
            match verb {
                "accept" | "drop" | "return" => words.push(format!("-j {}", verb.to_uppercase())),
                "jump" => words.push(format!("-j {what}")),
                "goto" => words.push(format!("-g {what}")),
                "reject" => words.push(format!("-j REJECT{}", reject_with(what, table))),
                "counter" => {}
                _ => return None,
            }
        }
        Some(words.join(" "))
    }
}

/// The default is omitted.
fn reject_with(what: &str, table: &Table) -> String {
    let kind = what.rsplit(' ').next().unwrap_or_default();
    match (what, table.family) {
        ("with tcp reset", _) => " --reject-with tcp-reset".to_owned(),
        ("", _) | ("with icmp port-unreachable", _) => String::new(),
        (_, super::Family::Ip6) => format!(" --reject-with icmp6-{kind}"),
        _ => format!(" --reject-with icmp-{kind}"),
    }
}

fn only_protocol(asked: &[Condition]) -> Option<String> {
    asked.iter().find(|c| c.field == Field::Protocol && !c.negated).and_then(|c| match c.values.as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    })
}

impl Condition {
    fn as_nft(&self, table: &Table, protocol: Option<&str>) -> String {
        let ip = match (self.values.first(), table.family) {
            (_, super::Family::Ip6) => "ip6",
            (Some(value), _) if value.contains(':') => "ip6",
            _ => "ip",
        };
        let field = match &self.field {
            Field::Family => "meta nfproto".to_owned(),
            Field::Protocol => "meta l4proto".to_owned(),
            Field::Source => format!("{ip} saddr"),
            Field::Destination => format!("{ip} daddr"),
            Field::SourcePort => format!("{} sport", protocol.unwrap_or("th")),
            Field::DestinationPort => format!("{} dport", protocol.unwrap_or("th")),
            Field::InInterface => "iifname".to_owned(),
            Field::OutInterface => "oifname".to_owned(),
            Field::State => "ct state".to_owned(),
            Field::IpSet(ends) => format!("-m set --match-set ({ends})"),
            Field::Other(words) => words.clone(),
        };
        let named = matches!(self.field, Field::InInterface | Field::OutInterface);
        let value = |value: &String| match named && !value.starts_with('@') {
            true => format!("\"{}\"", value.replace('+', "*")),
            false => value.clone(),
        };
        let not = if self.negated { "!= " } else { "" };
        match self.values.as_slice() {
            [] => field,
            [one] => format!("{field} {not}{}", value(one)),
            many if self.field == Field::State => format!("{field} {not}{}", many.join(",")),
            many => format!("{field} {not}{{ {} }}", many.iter().map(value).collect::<Vec<_>>().join(", ")),
        }
    }

    fn as_iptables(&self) -> Option<String> {
        let not = if self.negated { "! " } else { "" };
        let all = self.values.join(",");
        let ranges = all.replace('-', ":");
        let single = self.values.len() == 1 && !all.starts_with('@');
        Some(match &self.field {
            Field::Protocol if single => format!("{not}-p {all}"),
            Field::Source if single => format!("{not}-s {all}"),
            Field::Destination if single => format!("{not}-d {all}"),
            Field::InInterface if single => format!("{not}-i {all}"),
            Field::OutInterface if single => format!("{not}-o {all}"),
            Field::SourcePort if single => format!("{not}--sport {ranges}"),
            Field::DestinationPort if single => format!("{not}--dport {ranges}"),
            Field::SourcePort if !all.starts_with('@') => format!("-m multiport {not}--sports {ranges}"),
            Field::DestinationPort if !all.starts_with('@') => format!("-m multiport {not}--dports {ranges}"),
            Field::IpSet(ends) if !all.is_empty() => format!("-m set {not}--match-set {all} {ends}"),
            Field::State => format!("-m conntrack {not}--ctstate {}", all.to_uppercase()),
            _ => return None,
        })
    }
}

/// The content of a register.
#[derive(Clone)]
struct Held {
    register: u32,
    what: Load,
    mask: Option<Bytes>,
}

struct Reader<'a> {
    table: &'a Table,
    registers: Vec<Held>,
    asked: Vec<Condition>,
    done: Vec<String>,
}

impl Reader<'_> {
    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Load { what, to } => {
                self.registers.retain(|held| held.register != *to);
                self.registers.push(Held { register: *to, what: *what, mask: None });
            }
            Expr::Bitwise { from, to, mask, .. } => {
                if let Some(mut held) = self.held(*from) {
                    self.registers.retain(|other| other.register != *to);
                    held.mask = Some(mask.clone());
                    held.register = *to;
                    self.registers.push(held);
                }
            }
            Expr::Byteorder { from, to, .. } => {
                if let Some(held) = self.held(*from) {
                    self.registers.retain(|other| other.register != *to);
                    self.registers.push(Held { register: *to, ..held });
                }
            }
            Expr::Compare { op, reg, data } => self.compare(*op, *reg, data),
            Expr::Range { negated, reg, from, to } => match self.held(*reg) {
                Some(held) => {
                    let value = format!("{}-{}", constant(&held, from), constant(&held, to));
                    self.ask(field(held.what), *negated, vec![value]);
                }
                None => self.other("a range"),
            },
            Expr::Lookup { set, reg, to, negated } => self.lookup(set, *reg, *to, *negated),
            Expr::Match { ask, negated } => self.xt(ask, *negated),
            Expr::Verdict { verdict } => self.done.push(verdict.words()),
            Expr::Reject { with } => {
                self.done.push(if with.is_empty() {
                    "reject".to_owned()
                } else {
                    format!("reject with {with}")
                });
            }
            Expr::Unknown { name, .. } => self.other(name),
            Expr::Aside { name } => self.done.push(name.clone()),
            Expr::Masquerade { name } | Expr::Redirect { name } => self.done.push(name.clone()),
            Expr::SetMark { .. } => self.done.push("meta mark set".to_owned()),
            Expr::Remember { set } => self.done.push(format!("add @{set}")),
            Expr::SetCtMark => self.done.push("ct mark set".to_owned()),
            Expr::Notrack => self.done.push("notrack".to_owned()),
            Expr::Constant { .. } => {}
        }
    }

    fn held(&self, register: u32) -> Option<Held> {
        self.registers.iter().find(|held| held.register == register).cloned()
    }

    fn ask(&mut self, field: Field, negated: bool, values: Vec<String>) {
        self.asked.push(Condition { field, negated, values });
    }

    fn other(&mut self, words: &str) {
        self.ask(Field::Other(words.to_owned()), false, Vec::new());
    }

    fn compare(&mut self, op: Op, reg: u32, data: &Bytes) {
        let Some(held) = self.held(reg) else { return self.other("a comparison") };
        if held.what == Load::CtState && held.mask.is_some() {
            // `state & bits != 0` tests for any of several states.
            let bits = held.mask.as_ref().map(number).unwrap_or_default();
            return self.ask(Field::State, op == Op::Eq, states(bits));
        }
        let value = constant(&held, data);
        let sign = match op {
            Op::Eq | Op::Neq => "",
            Op::Lt => "< ",
            Op::Lte => "<= ",
            Op::Gt => "> ",
            Op::Gte => ">= ",
        };
        self.ask(field(held.what), op == Op::Neq, vec![format!("{sign}{value}")]);
    }

    fn lookup(&mut self, name: &str, reg: u32, to: Option<u32>, negated: bool) {
        let held = self.held(reg);
        let set = self.table.sets.iter().find(|set| set.name == name);
        let (Some(held), Some(set)) = (held, set) else { return self.other(&format!("@{name}")) };
        if set.fields.len() > 1 || to.is_some() || !set.anonymous {
            let map = if to == Some(0) { "vmap " } else { "" };
            return self.ask(field(held.what), negated, vec![format!("{map}@{name}")]);
        }
        let value = |element: &Element| {
            let from = constant(&held, element.key.as_ref()?);
            Some(match &element.last {
                Some(last) if Some(last) != element.key.as_ref() => span(&held, element, &from, last),
                _ => from,
            })
        };
        let values = set.elements.iter().filter_map(value).collect();
        self.ask(field(held.what), negated, values);
    }

    fn xt(&mut self, ask: &Xt, negated: bool) {
        let (field, values) = match ask {
            Xt::Source(net) => (Field::Source, vec![net.words()]),
            Xt::Destination(net) => (Field::Destination, vec![net.words()]),
            Xt::InInterface(name) => (Field::InInterface, vec![name.clone()]),
            Xt::OutInterface(name) => (Field::OutInterface, vec![name.clone()]),
            Xt::Protocol(number) => (Field::Protocol, vec![protocol(*number)]),
            Xt::Fragment => (Field::Other("a fragment".to_owned()), Vec::new()),
            Xt::SourcePorts(range) => (Field::SourcePort, vec![range.words()]),
            Xt::DestinationPorts(range) => (Field::DestinationPort, vec![range.words()]),
            Xt::TcpFlags { mask, value } => {
                (Field::Other(format!("tcp flags & {mask:#x} == {value:#x}")), Vec::new())
            }
            Xt::Multiport(ports) => {
                let field = match ports.side {
                    Side::Source => Field::SourcePort,
                    Side::Destination => Field::DestinationPort,
                    Side::Either => Field::Other("port".to_owned()),
                };
                (field, ports.ranges.iter().map(|range| range.words()).collect())
            }
            Xt::State(bits) => (Field::State, states(*bits)),
            Xt::Mark { value, mask } => {
                (Field::Other(format!("meta mark & {mask:#x} == {value:#x}")), Vec::new())
            }
            Xt::ConnectionMark { value, mask } => {
                (Field::Other(format!("ct mark & {mask:#x} == {value:#x}")), Vec::new())
            }
            Xt::Status(bits) => (Field::Other(format!("ct status & {bits:#x}")), Vec::new()),
            Xt::Reply => (Field::Other("ct direction".to_owned()), vec!["reply".to_owned()]),
            Xt::FirstPorts { which, ports } => {
                let side = if *which == Fib::Source { "src" } else { "dst" };
                (Field::Other(format!("ct original proto-{side}")), vec![ports.words()])
            }
            Xt::PacketType(kind) => {
                let names = ["host", "broadcast", "multicast", "other"];
                let name =
                    names.get(usize::from(*kind)).map_or_else(|| kind.to_string(), |name| (*name).to_owned());
                (Field::Other("meta pkttype".to_owned()), vec![name])
            }
            Xt::ExtensionHeader(name) => (Field::Other(format!("-m {name}")), Vec::new()),
            Xt::Bridged => (Field::Other("-m physdev --physdev-is-bridged".to_owned()), Vec::new()),
            Xt::AddressTypes { which, kinds } => {
                let which = if *which == Fib::Source { "saddr" } else { "daddr" };
                (Field::Other(format!("fib {which} type {kinds:#x}")), Vec::new())
            }
            Xt::Numbers(_) => (Field::Other("-m u32".to_owned()), Vec::new()),
            Xt::Program(_) => (Field::Other("-m bpf".to_owned()), Vec::new()),
            Xt::Clear => (Field::Other("-m policy --pol none".to_owned()), Vec::new()),
            Xt::Socket => (Field::Other("-m owner --socket-exists".to_owned()), Vec::new()),
            Xt::Owner { from, to } if from == to => {
                (Field::Other("meta skuid".to_owned()), vec![from.to_string()])
            }
            Xt::Owner { from, to } => (Field::Other("meta skuid".to_owned()), vec![format!("{from}-{to}")]),
            Xt::Set { name, sources, .. } => {
                let ends = sources.iter().map(|source| if *source { "src" } else { "dst" });
                (Field::IpSet(ends.collect::<Vec<_>>().join(",")), vec![name.clone()])
            }
            Xt::AddressRange { which, from, to } => {
                let which = if *which == Fib::Source { "saddr" } else { "daddr" };
                (Field::Other(format!("ip {which} {from}-{to}")), Vec::new())
            }
        };
        self.ask(field, negated, values);
    }
}

fn field(what: Load) -> Field {
    match what {
        Load::NfProto | Load::EtherType => Field::Family,
        Load::L4Proto | Load::Network { offset: 9, length: 1 } => Field::Protocol,
        Load::Network { offset: 12, .. } | Load::Network { offset: 8, length: 16 } => Field::Source,
        Load::Network { offset: 16 | 24, .. } => Field::Destination,
        Load::Transport { offset: 0, length: 2 } => Field::SourcePort,
        Load::Transport { offset: 2, length: 2 } => Field::DestinationPort,
        Load::IifName | Load::Iif => Field::InInterface,
        Load::OifName | Load::Oif => Field::OutInterface,
        Load::CtState => Field::State,
        Load::CtStatus => Field::Other("ct status".to_owned()),
        Load::CtDirection => Field::Other("ct direction".to_owned()),
        Load::Mark => Field::Other("meta mark".to_owned()),
        Load::CtMark => Field::Other("ct mark".to_owned()),
        Load::PacketType => Field::Other("meta pkttype".to_owned()),
        Load::AddressType(Fib::Source) => Field::Other("fib saddr type".to_owned()),
        Load::AddressType(Fib::Destination) => Field::Other("fib daddr type".to_owned()),
        Load::SocketUser => Field::Other("meta skuid".to_owned()),
        Load::ComesBack | Load::WayBack => Field::Other("fib saddr . iif oif".to_owned()),
        Load::Network { offset, length } => Field::Other(format!("@nh,{},{}", offset * 8, length * 8)),
        Load::Transport { offset: 13, length: 1 } => Field::Other("tcp flags".to_owned()),
        Load::Transport { offset, length } => Field::Other(format!("@th,{},{}", offset * 8, length * 8)),
    }
}

/// A constant as text.
fn constant(held: &Held, data: &Bytes) -> String {
    let bytes = data.0.as_slice();
    match (field(held.what), bytes) {
        (Field::Family, [2] | [0x08, 0x00]) => "ipv4".to_owned(),
        (Field::Family, [10] | [0x86, 0xdd]) => "ipv6".to_owned(),
        (Field::Protocol, [number]) => protocol(*number),
        (Field::SourcePort | Field::DestinationPort, [high, low]) => {
            u16::from_be_bytes([*high, *low]).to_string()
        }
        (Field::Source | Field::Destination, bytes) => address(bytes, held.mask.as_ref()),
        (Field::InInterface | Field::OutInterface, bytes) if !matches!(held.what, Load::Iif | Load::Oif) => {
            let name = String::from_utf8_lossy(bytes);
            match name.split_once('\0') {
                Some((name, _)) => name.to_owned(),
                // Without a terminating zero it is a prefix.
                None if bytes.len() < 16 => format!("{name}+"),
                None => name.into_owned(),
            }
        }
        (Field::State, _) => states(number(data)).join(","),
        _ => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("0x{digits}")
        }
    }
}

/// A range of addresses, as a prefix if possible.
fn span(held: &Held, element: &Element, from: &str, last: &Bytes) -> String {
    let ends = (element.key.as_ref().map(|key| key.0.as_slice()), last.0.as_slice());
    if let (Some([a, b, c, d]), [w, x, y, z]) = ends {
        let (low, high) = (u32::from_be_bytes([*a, *b, *c, *d]), u32::from_be_bytes([*w, *x, *y, *z]));
        let size = low ^ high;
        if size & size.wrapping_add(1) == 0 && low & size == 0 {
            return format!("{from}/{}", size.leading_zeros());
        }
    }
    format!("{from}-{}", constant(held, last))
}

/// An address; a shortened or masked one is a prefix.
fn address(bytes: &[u8], mask: Option<&Bytes>) -> String {
    let full = if bytes.len() <= 4 { 4 } else { 16 };
    let mut octets = bytes.to_vec();
    octets.resize(full, 0);
    let ones: u32 = match mask {
        Some(mask) => mask.0.iter().map(|byte| byte.count_ones()).sum(),
        None => u32::try_from(bytes.len()).unwrap_or(0) * 8,
    };
    let addr = match <[u8; 4]>::try_from(octets.as_slice()) {
        Ok(octets) => IpAddr::V4(Ipv4Addr::from(octets)),
        Err(_) => {
            IpAddr::V6(<[u8; 16]>::try_from(octets.as_slice()).map_or(Ipv6Addr::UNSPECIFIED, Ipv6Addr::from))
        }
    };
    if ones as usize == full * 8 { addr.to_string() } else { format!("{addr}/{ones}") }
}

fn number(data: &Bytes) -> u32 {
    data.0.iter().take(4).rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

fn states(bits: u32) -> Vec<String> {
    const NAMES: [(u32, &str); 7] = [
        (1, "invalid"),
        (2, "established"),
        (4, "related"),
        (8, "new"),
        (64, "untracked"),
        (Xt::SNAT, "snat"),
        (Xt::DNAT, "dnat"),
    ];
    NAMES.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| (*name).to_owned()).collect()
}

fn protocol(number: u8) -> String {
    match number {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        50 => "esp".to_owned(),
        58 => "ipv6-icmp".to_owned(),
        132 => "sctp".to_owned(),
        other => other.to_string(),
    }
}

impl Range16 {
    fn words(self) -> String {
        if self.0 == self.1 { self.0.to_string() } else { format!("{}-{}", self.0, self.1) }
    }
}

impl super::Net {
    fn words(&self) -> String {
        match (self.addr, self.mask) {
            (IpAddr::V4(addr), IpAddr::V4(mask)) => {
                address(&addr.octets(), Some(&Bytes(mask.octets().to_vec())))
            }
            (IpAddr::V6(addr), IpAddr::V6(mask)) => {
                address(&addr.octets(), Some(&Bytes(mask.octets().to_vec())))
            }
            (addr, mask) => format!("{addr}/{mask}"),
        }
    }
}

impl Verdict {
    fn words(&self) -> String {
        match self {
            Self::Accept => "accept".to_owned(),
            Self::Drop => "drop".to_owned(),
            Self::Jump(chain) => format!("jump {chain}"),
            Self::Goto(chain) => format!("goto {chain}"),
            Self::Return => "return".to_owned(),
            Self::Continue => "continue".to_owned(),
            Self::Queue => "queue".to_owned(),
        }
    }
}
