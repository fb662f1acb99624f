//! Reads tables, chains, rules and sets of nftables over netlink.

use super::attributes::{Attributes, text};
use super::expressions::{expressions, verdict};
use crate::collect::netlink::dump;
use facts::firewall::{Base, Bytes, Chain, Element, Family, Hook, Rule, Set, Table};
use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};
use netlink_sys::protocols::NETLINK_NETFILTER;
use std::io;

/// `NFNL_SUBSYS_NFTABLES`, and its requests (`NFT_MSG_GET...`).
const SUBSYSTEM: u16 = 10 << 8;
const GET_TABLE: u16 = 1;
const GET_CHAIN: u16 = 4;
const GET_RULE: u16 = 7;
const GET_SET: u16 = 10;
const GET_ELEMENTS: u16 = 13;
/// The maximum number of attempts when the rules change while they are read.
const TRIES: u32 = 4;
/// The maximum number of stored elements of one set: long address lists are irrelevant for ports.
const MOST_ELEMENTS: usize = 20_000;

/// A message of netfilter: `struct nfgenmsg` and attributes.
pub(super) struct Message {
    pub(super) kind: u16,
    pub(super) family: u8,
    /// The lower half of the ruleset generation.
    pub(super) generation: u16,
    pub(super) attributes: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct TooShort;

impl std::fmt::Display for TooShort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a message of the packet filter without a header")
    }
}

impl std::error::Error for TooShort {}

impl NetlinkDeserializable for Message {
    type Error = TooShort;
    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, TooShort> {
        let [family, _, high, low, attributes @ ..] = payload else { return Err(TooShort) };
        let generation = u16::from_be_bytes([*high, *low]);
        Ok(Self { kind: header.message_type, family: *family, generation, attributes: attributes.to_vec() })
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.kind
    }
    fn buffer_len(&self) -> usize {
        4 + self.attributes.len()
    }
    fn serialize(&self, buffer: &mut [u8]) {
        buffer[..4].copy_from_slice(&[self.family, 0, 0, 0]);
        buffer[4..].copy_from_slice(&self.attributes);
    }
}

/// All tables of the families that see packets of this host.
pub(super) fn tables() -> io::Result<Vec<Table>> {
    for _ in 0..TRIES {
        let mut reading = Reading { generation: None, steady: true };
        match reading.tables() {
            Ok(tables) if reading.steady => return Ok(tables),
            // A table or set may be deleted before it is read.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Err(io::Error::other(format!("the rules changed {TRIES} times while they were read")))
}

/// One read of all rules, which is consistent only if the rules did not change.
struct Reading {
    generation: Option<u16>,
    steady: bool,
}

impl Reading {
    fn ask(&mut self, what: u16, family: u8, attributes: Vec<u8>) -> io::Result<Vec<Message>> {
        let question = Message { kind: SUBSYSTEM | what, family, generation: 0, attributes };
        let answer = dump(NETLINK_NETFILTER, question)?;
        for message in &answer {
            self.steady &= *self.generation.get_or_insert(message.generation) == message.generation;
        }
        Ok(answer)
    }

    fn tables(&mut self) -> io::Result<Vec<Table>> {
        let mut tables: Vec<Table> = self.ask(GET_TABLE, 0, Vec::new())?.iter().filter_map(table).collect();
        for message in self.ask(GET_CHAIN, 0, Vec::new())? {
            let attributes = Attributes(&message.attributes);
            if let (Some(table), Some(chain)) =
                (within(&mut tables, &message), chain(message.family, attributes))
            {
                table.chains.push(chain);
            }
        }
        for message in self.ask(GET_RULE, 0, Vec::new())? {
            let attributes = Attributes(&message.attributes);
            let name = attributes.text(2).unwrap_or_default();
            let chains = within(&mut tables, &message).map(|table| table.chains.iter_mut());
            if let Some(chain) = chains.and_then(|mut chains| chains.find(|chain| chain.name == name)) {
                chain.rules.push(rule(message.family, attributes));
            }
        }
        for message in self.ask(GET_SET, 0, Vec::new())? {
            let attributes = Attributes(&message.attributes);
            let Some(table) = within(&mut tables, &message) else { continue };
            let name = attributes.text(2).unwrap_or_default();
            let question = [attribute(1, &table.name), attribute(2, &name)].concat();
            let elements = self.ask(GET_ELEMENTS, message.family, question)?;
            table.sets.push(set(name, attributes, &elements));
        }
        Ok(tables)
    }
}

/// Encodes a text attribute.
fn attribute(number: u16, text: &str) -> Vec<u8> {
    let length = u16::try_from(4 + text.len() + 1).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), number.to_ne_bytes()].concat();
    bytes.extend(text.bytes());
    bytes.resize(usize::from(length).next_multiple_of(4), 0);
    bytes
}

/// Bridge and ARP tables do not see routed IP packets.
fn family(number: u8) -> Option<Family> {
    match number {
        1 => Some(Family::Inet),
        2 => Some(Family::Ip),
        10 => Some(Family::Ip6),
        5 => Some(Family::Netdev),
        _ => None,
    }
}

fn table(message: &Message) -> Option<Table> {
    let attributes = Attributes(&message.attributes);
    let dormant = attributes.u32(2).is_some_and(|flags| flags & 1 != 0);
    let family = family(message.family)?;
    let name = attributes.text(1)?;
    Some(Table { family, name, legacy: false, dormant, chains: Vec::new(), sets: Vec::new() })
}

/// The table of a chain, a rule or a set.
fn within<'t>(tables: &'t mut [Table], message: &Message) -> Option<&'t mut Table> {
    let name = Attributes(&message.attributes).text(1)?;
    let family = family(message.family)?;
    tables.iter_mut().find(|table| table.family == family && table.name == name)
}

fn chain(family: u8, attributes: Attributes<'_>) -> Option<Chain> {
    let base = attributes.nested(4).and_then(|hook| {
        let number = hook.u32(1)?;
        let one = hook.text(3);
        let several = hook.nested(4).into_iter().flat_map(Attributes::all).map(|(_, name)| text(name));
        Some(Base {
            hook: match (family, number) {
                (5, 0) | (1, 5) => Hook::Ingress,
                (5, _) => Hook::Egress,
                (_, 0) => Hook::Prerouting,
                (_, 1) => Hook::Input,
                (_, 2) => Hook::Forward,
                (_, 3) => Hook::Output,
                _ => Hook::Postrouting,
            },
            priority: hook.u32(2)?.cast_signed(),
            nat: attributes.text(7).as_deref() == Some("nat"),
            drops: attributes.u32(5) == Some(0),
            devices: one.into_iter().chain(several).collect(),
        })
    });
    Some(Chain { name: attributes.text(3)?, base, rules: Vec::new() })
}

fn rule(family: u8, attributes: Attributes<'_>) -> Rule {
    const IPV6: u8 = 10;
    let handle = attributes.u64(3).unwrap_or(0);
    let comment = attributes.get(7).and_then(comment);
    let exprs = attributes.nested(4).map(|list| expressions(list, family == IPV6)).unwrap_or_default();
    Rule { handle, comment, exprs }
}

/// The comment in the user data of a rule: type, length, value; type 0 is the comment.
fn comment(mut notes: &[u8]) -> Option<String> {
    while let [kind, length, rest @ ..] = notes {
        let value = rest.get(..usize::from(*length))?;
        if *kind == 0 {
            return Some(text(value));
        }
        notes = &rest[value.len()..];
    }
    None
}

fn set(name: String, attributes: Attributes<'_>, messages: &[Message]) -> Set {
    const ANONYMOUS: u32 = 1;
    const INTERVAL: u32 = 4;
    const GROWS: u32 = 0x20;
    let flags = attributes.u32(3).unwrap_or(0);
    let fields = attributes.nested(9).and_then(|description| description.nested(2));
    let fields: Vec<u32> = fields
        .into_iter()
        .flat_map(Attributes::all)
        .filter_map(|(_, field)| Attributes(field).u32(1))
        .collect();
    let listed = messages.iter().filter_map(|message| Attributes(&message.attributes).nested(3));
    let raw: Vec<Raw> = listed.flat_map(|list| list.all().map(|(_, one)| Raw::of(Attributes(one)))).collect();
    let cut = raw.len() > MOST_ELEMENTS || flags & GROWS != 0;
    let intervals = flags & INTERVAL != 0 && !raw.iter().any(|one| one.element.last.is_some());
    let mut elements = if intervals { joined(raw) } else { raw.into_iter().map(|one| one.element).collect() };
    elements.truncate(MOST_ELEMENTS);
    Set { name, anonymous: flags & ANONYMOUS != 0, fields, cut, elements }
}

/// An element as listed by the kernel.
struct Raw {
    element: Element,
    /// The exclusive end of an interval.
    end: bool,
}

impl Raw {
    fn of(attributes: Attributes<'_>) -> Self {
        const INTERVAL_END: u32 = 1;
        let value = |number| {
            attributes.nested(number).and_then(|data| data.get(1)).map(|bytes| Bytes(bytes.to_vec()))
        };
        let conditions = attributes.nested(7).into_iter().chain(
            attributes.nested(11).into_iter().flat_map(|list| list.all().map(|(_, one)| Attributes(one))),
        );
        let conditional =
            conditions.filter_map(|one| one.text(1)).any(|name| !["counter", "last"].contains(&&*name));
        Self {
            element: Element {
                key: value(1),
                last: value(10),
                data: value(2),
                verdict: attributes.nested(2).and_then(|data| data.nested(2)).and_then(verdict),
                conditional,
            },
            end: attributes.u32(3).is_some_and(|flags| flags & INTERVAL_END != 0),
        }
    }
}

/// Joins start and end elements to intervals.
fn joined(mut raw: Vec<Raw>) -> Vec<Element> {
    // If one interval ends and the next starts at the same key, the end belongs to the former.
    raw.sort_by(|a, b| {
        (&a.element.key.as_ref().map(|k| &k.0), !a.end).cmp(&(&b.element.key.as_ref().map(|k| &k.0), !b.end))
    });
    let mut elements: Vec<Element> = Vec::new();
    let mut open = false;
    for one in raw {
        match (one.end, elements.last_mut()) {
            (true, Some(begun)) if open => {
                begun.last = one.element.key.map(|key| Bytes(before(key.0)));
                open = false;
            }
            (true, _) => {}
            (false, _) => {
                open = one.element.key.is_some();
                elements.push(one.element);
            }
        }
    }
    // The last interval may extend to the highest key.
    if let Some(last) = elements.last_mut().filter(|_| open) {
        last.last = last.key.as_ref().map(|key| Bytes(vec![0xff; key.0.len()]));
    }
    elements
}

/// The number before this one.
fn before(mut number: Vec<u8>) -> Vec<u8> {
    for byte in number.iter_mut().rev() {
        let (less, borrow) = byte.overflowing_sub(1);
        *byte = less;
        if !borrow {
            break;
        }
    }
    number
}
