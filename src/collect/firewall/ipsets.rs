//! Reads ipsets over netlink.

use super::attributes::{Attributes, ip};
use super::tables::Message;
use crate::collect::netlink::dump;
use facts::firewall::{Expr, IpSet, Member, Part, Reach, Table, Xt};
use netlink_sys::protocols::NETLINK_NETFILTER;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `NFNL_SUBSYS_IPSET` with `IPSET_CMD_LIST`.
const LIST: u16 = 6 << 8 | 7;
/// `IPSET_ATTR_PROTOCOL`, with the first version that reports set indexes.
const PROTOCOL: [u8; 8] = [5, 0, 1, 0, 7, 0, 0, 0];
/// The maximum number of stored members of one set.
const MOST_MEMBERS: usize = 20_000;

/// The ipsets, if any rule refers to one; their names are put into the rules. Without such a rule nothing is requested,
/// because a request loads the module.
pub(super) fn ipsets(tables: &mut [Table]) -> io::Result<Vec<IpSet>> {
    let rules = tables.iter_mut().flat_map(|table| &mut table.chains).flat_map(|chain| &mut chain.rules);
    let mut asked: Vec<&mut Xt> = rules
        .flat_map(|rule| &mut rule.exprs)
        .filter_map(|expr| match expr {
            Expr::Match { ask: ask @ Xt::Set { .. }, .. } => Some(ask),
            _ => None,
        })
        .collect();
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let question = Message { kind: LIST, family: 0, generation: 0, attributes: PROTOCOL.to_vec() };
    let mut sets: Vec<IpSet> = Vec::new();
    for message in dump(NETLINK_NETFILTER, question)? {
        let attributes = Attributes(&message.attributes);
        let Some(name) = attributes.text(2) else { continue };
        // The first message of a set has its type, and the next ones have more members.
        if let Some(set) = head(&name, attributes) {
            sets.push(set);
        }
        let Some(set) = sets.iter_mut().rfind(|set| set.name == name) else { continue };
        let members = attributes.nested(8).into_iter().flat_map(Attributes::all);
        for (_, one) in members {
            match member(&set.parts, Attributes(one)) {
                Some(member) if set.members.len() < MOST_MEMBERS => set.members.push(member),
                _ => set.cut = true,
            }
        }
    }
    for ask in &mut asked {
        if let Xt::Set { index, name, .. } = ask
            && let Some(set) = sets.iter().find(|set| set.index == *index)
        {
            name.clone_from(&set.name);
        }
    }
    Ok(sets)
}

fn u16_of(attributes: Attributes<'_>, number: u16) -> Option<u16> {
    Some(u16::from_be_bytes(attributes.get(number)?.try_into().ok()?))
}

fn byte(attributes: Attributes<'_>, number: u16) -> Option<u8> {
    attributes.get(number)?.first().copied()
}

/// The type of a set, such as `hash:net,port`.
fn head(name: &str, attributes: Attributes<'_>) -> Option<IpSet> {
    const V4: u8 = 2;
    const V6: u8 = 10;
    const MASKED: u16 = 20;
    let (method, parts) = attributes.text(3)?.split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned()))?;
    let part = |word: &str| match word {
        "ip" | "net" => Part::Addr,
        "port" if method == "bitmap" => Part::AnyPort,
        "port" => Part::Port,
        "iface" => Part::Link,
        "set" => Part::Set,
        _ => Part::Other,
    };
    Some(IpSet {
        index: u16_of(attributes, 11)?,
        name: name.to_owned(),
        v6: match byte(attributes, 5) {
            Some(V4) => Some(false),
            Some(V6) => Some(true),
            _ => None,
        },
        parts: parts.split(',').map(part).collect(),
        // The address of a packet is masked before the lookup.
        cut: attributes.nested(7).is_some_and(|data| data.get(MASKED).is_some()),
        members: Vec::new(),
    })
}

fn member(parts: &[Part], one: Attributes<'_>) -> Option<Member> {
    const BELONGS_TO_BRIDGE: u32 = 1 << 1;
    const EXCEPT: u32 = 1 << 2;
    const ANY_LINK: u32 = 1 << 7;
    let flags = one.u32(8).unwrap_or(0);
    let mut addrs = [(1, Some(2), 3), (20, Some(22), 21)].into_iter();
    let reach = parts.iter().map(|part| {
        Some(match part {
            Part::Addr => {
                let (from, to, prefix) = addrs.next()?;
                span(one, from, to, prefix)?
            }
            Part::Port => Reach::Port(u16_of(one, 4)?, Some(byte(one, 7)?)),
            Part::AnyPort => Reach::Port(u16_of(one, 4)?, None),
            Part::Link if flags & BELONGS_TO_BRIDGE != 0 => Reach::Other,
            Part::Link if flags & ANY_LINK != 0 => Reach::Link(one.text(23)? + "+"),
            Part::Link => Reach::Link(one.text(23)?),
            Part::Set => Reach::Set(one.text(18)?),
            Part::Other => Reach::Other,
        })
    });
    Some(Member { reach: reach.collect::<Option<_>>()?, except: flags & EXCEPT != 0 })
}

/// One address, a prefix, or a range.
fn span(one: Attributes<'_>, from: u16, to: Option<u16>, prefix: u16) -> Option<Reach> {
    let addr = |number| one.nested(number).and_then(|addr| ip(addr.all().next()?.1));
    let first = addr(from)?;
    let last = to.and_then(addr);
    Some(match (last, byte(one, prefix), first) {
        (Some(last), ..) => Reach::Addrs(first, last),
        (None, Some(length), IpAddr::V4(first)) => {
            let rest = u32::MAX.checked_shr(length.into()).unwrap_or(0);
            let low = first.to_bits() & !rest;
            Reach::Addrs(Ipv4Addr::from(low).into(), Ipv4Addr::from(low | rest).into())
        }
        (None, Some(length), IpAddr::V6(first)) => {
            let rest = u128::MAX.checked_shr(length.into()).unwrap_or(0);
            let low = first.to_bits() & !rest;
            Reach::Addrs(Ipv6Addr::from(low).into(), Ipv6Addr::from(low | rest).into())
        }
        (None, None, first) => Reach::Addrs(first, first),
    })
}
