//! Decodes rule expressions from netlink attributes.

use super::attributes::Attributes;
use super::xt;
use facts::firewall::{Bytes, Expr, Fib, Load, Op, Verdict};

/// The expressions of a rule. An iptables match becomes one expression for each of its tests.
pub(super) fn expressions(list: Attributes<'_>, v6: bool) -> Vec<Expr> {
    list.all().flat_map(|(_, one)| expression(Attributes(one), v6)).collect()
}

fn expression(one: Attributes<'_>, v6: bool) -> Vec<Expr> {
    let name = one.text(1).unwrap_or_default();
    let data = one.nested(2).unwrap_or(Attributes(&[]));
    match name.as_str() {
        "match" => {
            let revision = data.u32(2).unwrap_or(0);
            xt::matched(&data.text(1).unwrap_or_default(), revision, data.get(3).unwrap_or_default(), v6)
        }
        "target" => xt::target(&data.text(1).unwrap_or_default(), data.get(3).unwrap_or_default(), v6),
        name => vec![native(name, data).unwrap_or_else(|| unknown(name, data))],
    }
}

fn unknown(name: &str, data: Attributes<'_>) -> Expr {
    // Most expressions that write a register name it in their first attribute.
    let writes =
        ["exthdr", "hash", "numgen", "osf", "payload", "meta", "ct", "rt", "socket", "tunnel", "xfrm", "fib"];
    let to = data.u32(1).filter(|_| writes.contains(&name));
    Expr::Unknown { name: name.to_owned(), to }
}

fn native(name: &str, data: Attributes<'_>) -> Option<Expr> {
    let constant =
        |number| data.nested(number).and_then(|value| value.get(1)).map(|bytes| Bytes(bytes.to_vec()));
    Some(match name {
        "immediate" => match data.nested(2)?.nested(2) {
            Some(said) => Expr::Verdict { verdict: verdict(said)? },
            None => Expr::Constant { to: data.u32(1)?, data: constant(2)? },
        },
        "cmp" => {
            let ops = [Op::Eq, Op::Neq, Op::Lt, Op::Lte, Op::Gt, Op::Gte];
            let op = *ops.get(data.u32(2)? as usize)?;
            Expr::Compare { op, reg: data.u32(1)?, data: constant(3)? }
        }
        "range" => Expr::Range {
            reg: data.u32(1)?,
            negated: data.u32(2)? == 1,
            from: constant(3)?,
            to: constant(4)?,
        },
        "bitwise" if data.u32(6).unwrap_or(0) == 0 => {
            Expr::Bitwise { from: data.u32(1)?, to: data.u32(2)?, mask: constant(4)?, xor: constant(5)? }
        }
        "byteorder" => {
            Expr::Byteorder { from: data.u32(1)?, to: data.u32(2)?, length: data.u32(4)?, size: data.u32(5)? }
        }
        "lookup" => Expr::Lookup {
            set: data.text(1)?,
            reg: data.u32(2)?,
            to: data.u32(3),
            negated: data.u32(5).unwrap_or(0) & 1 != 0,
        },
        "payload" if data.get(5).is_none() => {
            let (offset, length) = (data.u32(3)?, data.u32(4)?);
            let what = match data.u32(2)? {
                1 => Load::Network { offset, length },
                2 => Load::Transport { offset, length },
                _ => return None,
            };
            Expr::Load { what, to: data.u32(1)? }
        }
        "meta" => return meta(data),
        "ct" => return ct(data),
        "dynset" if data.get(7).is_none() && data.get(10).is_none() => Expr::Remember { set: data.text(1)? },
        "fib" => {
            const INTERFACE: u32 = 1;
            const ADDRESS_TYPE: u32 = 3;
            const OF_SOURCE: u32 = 1;
            const BY_INTERFACE: u32 = 8;
            const BY_MARK: u32 = 4;
            const ONLY_WHETHER: u32 = 32;
            match (data.u32(2)?, data.u32(3)? & !BY_MARK) {
                (INTERFACE, flags) if flags == OF_SOURCE | BY_INTERFACE | ONLY_WHETHER => {
                    return Some(Expr::Load { what: Load::ComesBack, to: data.u32(1)? });
                }
                (INTERFACE, flags) if flags & !BY_INTERFACE == OF_SOURCE => {
                    return Some(Expr::Load { what: Load::WayBack, to: data.u32(1)? });
                }
                _ => {}
            }
            let which = match data.u32(3)? {
                1 => Fib::Source,
                2 => Fib::Destination,
                _ => return None,
            };
            (data.u32(2)? == ADDRESS_TYPE).then_some(())?;
            Expr::Load { what: Load::AddressType(which), to: data.u32(1)? }
        }
        "reject" => Expr::Reject { with: reject(data.u32(1)?, data.get(2)) },
        "counter" | "log" | "last" | "flow_offload" | "dup" => Expr::Aside { name: name.to_owned() },
        "objref" => {
            const COUNTER: u32 = 1;
            const CT_HELPER: u32 = 3;
            [COUNTER, CT_HELPER].contains(&data.u32(1)?).then(|| Expr::Aside { name: "object".to_owned() })?
        }
        "notrack" => Expr::Notrack,
        "masq" => Expr::Masquerade { name: "masquerade".to_owned() },
        "nat" if data.u32(1)? == 0 => Expr::Masquerade { name: "snat".to_owned() },
        "nat" => Expr::Redirect { name: "dnat".to_owned() },
        "redir" => Expr::Redirect { name: "redirect".to_owned() },
        "tproxy" | "synproxy" | "fwd" => Expr::Redirect { name: name.to_owned() },
        "queue" => Expr::Verdict { verdict: Verdict::Queue },
        _ => return None,
    })
}

fn meta(data: Attributes<'_>) -> Option<Expr> {
    const MARK: u32 = 3;
    let key = data.u32(2)?;
    if let Some(from) = data.u32(3) {
        // Priorities and traces have no effect on verdicts.
        let aside = || Expr::Aside { name: "meta".to_owned() };
        return Some(if key == MARK { Expr::SetMark { from: Some(from) } } else { aside() });
    }
    let what = match key {
        1 => Load::EtherType,
        MARK => Load::Mark,
        4 => Load::Iif,
        5 => Load::Oif,
        6 => Load::IifName,
        7 => Load::OifName,
        10 => Load::SocketUser,
        15 => Load::NfProto,
        16 => Load::L4Proto,
        19 => Load::PacketType,
        _ => return None,
    };
    Some(Expr::Load { what, to: data.u32(1)? })
}

fn ct(data: Attributes<'_>) -> Option<Expr> {
    if data.get(4).is_some() {
        return Some(Expr::SetCtMark);
    }
    let what = match data.u32(2)? {
        0 => Load::CtState,
        1 => Load::CtDirection,
        2 => Load::CtStatus,
        3 => Load::CtMark,
        _ => return None,
    };
    Some(Expr::Load { what, to: data.u32(1)? })
}

/// Decodes a verdict.
pub(super) fn verdict(said: Attributes<'_>) -> Option<Verdict> {
    Some(match said.u32(1)?.cast_signed() {
        0 => Verdict::Drop,
        1 => Verdict::Accept,
        -1 => Verdict::Continue,
        -3 => Verdict::Jump(said.text(2)?),
        -4 => Verdict::Goto(said.text(2)?),
        -5 => Verdict::Return,
        code if code & 0xff == 3 => Verdict::Queue,
        _ => return None,
    })
}

/// The kind of rejection, in nft syntax.
fn reject(kind: u32, code: Option<&[u8]>) -> String {
    const RESET: u32 = 1;
    const ANY_FAMILY: u32 = 2;
    let code = code.and_then(|code| code.first()).copied().unwrap_or(0);
    match (kind, code) {
        (RESET, _) => "tcp reset".to_owned(),
        (ANY_FAMILY, code) => {
            let names = ["no-route", "port-unreachable", "host-unreachable", "admin-prohibited"];
            format!("icmpx {}", names.get(usize::from(code)).copied().unwrap_or("unreachable"))
        }
        (_, code) => {
            let names = ["net-unreachable", "host-unreachable", "prot-unreachable", "port-unreachable"];
            let name = names.get(usize::from(code)).copied();
            format!(
                "icmp {}",
                name.unwrap_or(match code {
                    9 => "net-prohibited",
                    10 => "host-prohibited",
                    _ => "admin-prohibited",
                })
            )
        }
    }
}
