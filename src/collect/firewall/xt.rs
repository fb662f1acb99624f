//! Decodes iptables matches and targets (`xt_*.h` of the kernel).

use super::attributes::{ip, text};
use facts::firewall::{Expr, Fib, Instruction, Number, Ports, Range16, Side, Step, Verdict, Xt};

/// The tests of a match, for IPv6 or IPv4.
pub(super) fn matched(name: &str, revision: u32, info: &[u8], v6: bool) -> Vec<Expr> {
    let questions = match (name, revision) {
        ("tcp", _) => tcp(info),
        ("udp", _) => udp(info),
        ("multiport", 1) => multiport(info),
        ("conntrack", 2 | 3) => conntrack(info, revision),
        ("state", 0) => u32_at(info, 0).map(|mask| vec![(Xt::State(mask & 0x4f), false)]),
        ("mark", 1) => mark(info).map(|(value, mask, not)| vec![(Xt::Mark { value, mask }, not)]),
        ("connmark", 1) => {
            mark(info).map(|(value, mask, not)| vec![(Xt::ConnectionMark { value, mask }, not)])
        }
        ("pkttype", 0) => packet_type(info),
        ("physdev", 0) => bridged(info),
        ("addrtype", 1) => address_types(info),
        ("iprange", 1) => ranges(info, v6),
        ("u32", 0) => numbers(info),
        ("bpf", 0 | 1) => program(info, revision),
        ("policy", 0) => policy(info),
        ("owner", 1) => owner(info),
        ("set", 1..=4) => ipset(info, revision),
        ("rt" | "frag" | "hbh" | "dst", 0) if v6 => Some(vec![(Xt::ExtensionHeader(name.to_owned()), false)]),
        ("comment", _) => Some(Vec::new()),
        _ => None,
    };
    match questions {
        Some(questions) => questions.into_iter().map(|(ask, negated)| Expr::Match { ask, negated }).collect(),
        None => vec![Expr::Unknown { name: format!("-m {name}"), to: None }],
    }
}

/// The expressions of a target.
pub(super) fn target(name: &str, info: &[u8], v6: bool) -> Vec<Expr> {
    let one = match name {
        "REJECT" => Expr::Reject { with: reject(info, v6) },
        "LOG" | "NFLOG" | "AUDIT" | "TRACE" | "TCPMSS" | "CLASSIFY" | "CHECKSUM" | "DSCP" | "TOS" | "SET" => {
            Expr::Aside { name: name.to_lowercase() }
        }
        "MARK" => Expr::SetMark { from: None },
        // CONNMARK copies one of the two marks to the other.
        "CONNMARK" => return vec![Expr::SetMark { from: None }, Expr::SetCtMark],
        "NOTRACK" => Expr::Notrack,
        "CT" if info.first().is_some_and(|flags| flags & 1 != 0) => Expr::Notrack,
        "CT" => Expr::Aside { name: "ct".to_owned() },
        "MASQUERADE" | "SNAT" => Expr::Masquerade { name: name.to_lowercase() },
        "DNAT" | "REDIRECT" | "NETMAP" | "TPROXY" | "SYNPROXY" => {
            Expr::Redirect { name: name.to_lowercase() }
        }
        "NFQUEUE" => Expr::Verdict { verdict: Verdict::Queue },
        _ => Expr::Unknown { name: format!("-j {name}"), to: None },
    };
    vec![one]
}

/// `enum ipt_reject_with` and `enum ip6t_reject_with`.
fn reject(info: &[u8], v6: bool) -> String {
    const V4: [&str; 9] = [
        "icmp net-unreachable",
        "icmp host-unreachable",
        "icmp prot-unreachable",
        "icmp port-unreachable",
        "icmp echo-reply",
        "icmp net-prohibited",
        "icmp host-prohibited",
        "tcp reset",
        "icmp admin-prohibited",
    ];
    const V6: [&str; 7] = [
        "icmpv6 no-route",
        "icmpv6 adm-prohibited",
        "icmpv6 not-neighbour",
        "icmpv6 addr-unreachable",
        "icmpv6 port-unreachable",
        "icmpv6 echo-reply",
        "tcp reset",
    ];
    let names: &[&str] = if v6 { &V6 } else { &V4 };
    let code = u32_at(info, 0).and_then(|code| names.get(code as usize));
    (*code.unwrap_or(&"icmp unreachable")).to_owned()
}

type Questions = Option<Vec<(Xt, bool)>>;

fn u16_at(info: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(info.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(info: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(info.get(at..at + 4)?.try_into().ok()?))
}

/// `struct xt_tcp`: ports, option, mask and value of the flags, inversion bits.
fn tcp(info: &[u8]) -> Questions {
    let [option, mask, value, negated] = *info.get(8..12)? else { return None };
    let mut questions = ports(info, negated)?;
    if option != 0 {
        return None;
    }
    if mask != 0 {
        questions.push((Xt::TcpFlags { mask, value }, negated & 4 != 0));
    }
    Some(questions)
}

/// `struct xt_udp`.
fn udp(info: &[u8]) -> Questions {
    ports(info, *info.get(8)?)
}

/// The port ranges that both structures start with.
fn ports(info: &[u8], negated: u8) -> Questions {
    let at = |at| u16_at(info, at);
    let (source, destination) = (Range16(at(0)?, at(2)?), Range16(at(4)?, at(6)?));
    let asks = |range: Range16, negated| range != Range16(0, u16::MAX) || negated;
    let mut questions = Vec::new();
    if asks(source, negated & 1 != 0) {
        questions.push((Xt::SourcePorts(source), negated & 1 != 0));
    }
    if asks(destination, negated & 2 != 0) {
        questions.push((Xt::DestinationPorts(destination), negated & 2 != 0));
    }
    Some(questions)
}

/// `struct xt_multiport_v1`: port side, count, 15 numbers, and for each whether the next one ends a range.
fn multiport(info: &[u8]) -> Questions {
    let [side, count] = *info.get(..2)? else { return None };
    let side = match side {
        0 => Side::Source,
        1 => Side::Destination,
        _ => Side::Either,
    };
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < usize::from(count) {
        let from = u16_at(info, 2 + 2 * at)?;
        let ranged = *info.get(32 + at)? != 0;
        at += usize::from(ranged);
        ranges.push(Range16(from, u16_at(info, 2 + 2 * at)?));
        at += 1;
    }
    Some(vec![(Xt::Multiport(Ports { side, ranges }), *info.get(47)? != 0)])
}

/// `struct xt_conntrack_mtinfo{2,3}`, without addresses and times.
fn conntrack(info: &[u8], revision: u32) -> Questions {
    const STATE: u16 = 1;
    const PROTOCOL: u16 = 1 << 1;
    const STATUS: u16 = 1 << 6;
    const SOURCE_PORT: u16 = 1 << 8;
    const DESTINATION_PORT: u16 = 1 << 9;
    const DIRECTION: u16 = 1 << 12;
    const WRITTEN_AS_STATE: u16 = 1 << 13;
    const SNAT: u16 = 1 << 6;
    const DNAT: u16 = 1 << 7;
    const UNTRACKED: u16 = 1 << 8;
    // Behind eight addresses and two times.
    let at = |at| u16_at(info, at);
    let (asked, negated) = (at(146)? & !WRITTEN_AS_STATE, at(148)?);
    let mut questions = Vec::new();
    for bit in (0..16).map(|bit| 1_u16 << bit).filter(|bit| asked & bit != 0) {
        let not = negated & bit != 0;
        let ports = |which, low: usize, high: usize| {
            // The older has one port, as it is on the wire.
            let wire = u16::from_be(at(low)?);
            let range = if revision > 2 { Range16(at(low)?, at(high)?) } else { Range16(wire, wire) };
            Some(Xt::FirstPorts { which, ports: range })
        };
        questions.push(match bit {
            STATE => {
                let mask = at(150)?;
                let others = [(UNTRACKED, 64), (SNAT, Xt::SNAT), (DNAT, Xt::DNAT)];
                let others = others.into_iter().filter(|(bit, _)| mask & bit != 0).map(|(_, state)| state);
                (Xt::State(u32::from(mask & 0x0f) + others.sum::<u32>()), not)
            }
            PROTOCOL => (Xt::Protocol(u8::try_from(at(136)?).ok()?), not),
            STATUS => (Xt::Status(at(152)?.into()), not),
            SOURCE_PORT => (ports(Fib::Source, 138, 154)?, not),
            DESTINATION_PORT => (ports(Fib::Destination, 140, 156)?, not),
            // Not turned over, it asks for the way the connection began.
            DIRECTION => (Xt::Reply, !not),
            _ => return None,
        });
    }
    Some(questions)
}

/// `struct xt_pkttype_info`.
fn packet_type(info: &[u8]) -> Questions {
    let kind = u8::try_from(u32_at(info, 0)?).ok()?;
    Some(vec![(Xt::PacketType(kind), u32_at(info, 4)? != 0)])
}

/// `struct xt_physdev_info`, if it tests only whether the packet is bridged.
fn bridged(info: &[u8]) -> Questions {
    const BRIDGED: u8 = 4;
    // The fields behind two names with their masks.
    let [negated, asked] = *info.get(64..66)? else { return None };
    (asked == BRIDGED).then(|| vec![(Xt::Bridged, negated & BRIDGED != 0)])
}

/// `struct xt_mark_mtinfo1` and `struct xt_connmark_mtinfo1`.
fn mark(info: &[u8]) -> Option<(u32, u32, bool)> {
    Some((u32_at(info, 0)?, u32_at(info, 4)?, *info.get(8)? != 0))
}

/// `struct xt_addrtype_info_v1`.
fn address_types(info: &[u8]) -> Questions {
    const NEGATED: [u32; 2] = [1, 2];
    let (source, destination, flags) = (u16_at(info, 0)?, u16_at(info, 2)?, u32_at(info, 4)?);
    if flags & !3 != 0 {
        return None;
    }
    let asked = [(Fib::Source, source, NEGATED[0]), (Fib::Destination, destination, NEGATED[1])];
    let asked = asked.into_iter().filter(|(_, kinds, _)| *kinds != 0);
    Some(asked.map(|(which, kinds, bit)| (Xt::AddressTypes { which, kinds }, flags & bit != 0)).collect())
}

/// `struct xt_iprange_mtinfo`.
fn ranges(info: &[u8], v6: bool) -> Questions {
    let flags = *info.get(64)?;
    let addr = |at: usize| ip(info.get(at..at + if v6 { 16 } else { 4 })?);
    let asked = [(Fib::Source, 0, 0x01, 0x10), (Fib::Destination, 32, 0x02, 0x20)];
    let asked = asked.into_iter().filter(|(_, _, bit, _)| flags & bit != 0);
    asked
        .map(|(which, at, _, not)| {
            Some((Xt::AddressRange { which, from: addr(at)?, to: addr(at + 16)? }, flags & not != 0))
        })
        .collect()
}

/// The name of an interface with its mask: a mask shorter than the name means a prefix.
pub(super) fn interface(name: &[u8], mask: &[u8]) -> Option<String> {
    let looked_at = mask.iter().take_while(|byte| **byte != 0).count();
    let full = text(name);
    match full.get(..looked_at) {
        _ if looked_at == 0 => None,
        Some(start) => Some(format!("{start}+")),
        None => Some(full),
    }
}

/// `struct xt_u32`: eleven tests of 180 bytes each, the number of tests in use, and the inversion flag.
fn numbers(info: &[u8]) -> Questions {
    const TEST: usize = 180;
    let [tests, negated] = *info.get(11 * TEST..11 * TEST + 2)? else { return None };
    let test = |at: usize| {
        let one = info.get(at * TEST..(at + 1) * TEST)?;
        let [steps, values] = *one.get(176..178)? else { return None };
        let step = |at: usize| {
            let step = match one.get(8 * at + 4)? {
                0 => Step::And,
                1 => Step::Up,
                2 => Step::Down,
                _ => Step::At,
            };
            Some((step, u32_at(one, 8 * at)?))
        };
        let range = |at: usize| Some((u32_at(one, 88 + 8 * at)?, u32_at(one, 92 + 8 * at)?));
        Some(Number {
            way: (0..steps.into()).map(step).collect::<Option<_>>()?,
            ranges: (0..values.into()).map(range).collect::<Option<_>>()?,
        })
    };
    let tests = (0..tests.into()).map(test).collect::<Option<_>>()?;
    Some(vec![(Xt::Numbers(tests), negated != 0)])
}

/// `struct xt_bpf_info` and `struct xt_bpf_info_v1`, if they contain the program.
fn program(info: &[u8], revision: u32) -> Questions {
    let (count, begins) = match revision {
        0 => (u16_at(info, 0)?, 4),
        _ if u16_at(info, 0)? == 0 => (u16_at(info, 2)?, 8),
        _ => return None,
    };
    let instruction = |at: usize| {
        let one = info.get(begins + 8 * at..begins + 8 * at + 8)?;
        Some(Instruction {
            code: u16_at(one, 0)?,
            holds: *one.get(2)?,
            fails: *one.get(3)?,
            k: u32_at(one, 4)?,
        })
    };
    let program = (0..count.into()).map(instruction).collect::<Option<_>>()?;
    Some(vec![(Xt::Program(program), false)])
}

/// `struct xt_policy_info`, if it tests only whether there is a policy.
fn policy(info: &[u8]) -> Questions {
    const NONE: u16 = 4;
    let (flags, count) = (u16_at(info, 304)?, u16_at(info, 306)?);
    match (flags & NONE != 0, count) {
        (true, _) => Some(vec![(Xt::Clear, false)]),
        // Any kind of IPsec.
        (false, _) => Some(vec![(Xt::Clear, true)]),
    }
}

/// `struct xt_owner_match_info`, without groups.
fn owner(info: &[u8]) -> Questions {
    const USER: u8 = 1;
    const SOCKET: u8 = 4;
    let [asked, negated] = *info.get(16..18)? else { return None };
    if asked & !(USER | SOCKET) != 0 {
        return None;
    }
    let mut questions = Vec::new();
    if asked & USER != 0 {
        questions.push((Xt::Owner { from: u32_at(info, 0)?, to: u32_at(info, 4)? }, negated & USER != 0));
    }
    if asked & SOCKET != 0 {
        questions.push((Xt::Socket, negated & SOCKET != 0));
    }
    Some(questions)
}

/// `struct xt_set_info_match_v1`, `_v3` and `_v4`: set index, number of key parts, direction of each part; without
/// counters and exceptions.
fn ipset(info: &[u8], revision: u32) -> Questions {
    const NEGATED: u8 = 1;
    const NO_EXCEPTIONS: u32 = 1 << 7;
    let index = u16_at(info, 0)?;
    let [parts, flags] = *info.get(2..4)? else { return None };
    let counters: &[usize] = match revision {
        3 => &[8, 24],
        4 => &[16, 32],
        _ => &[],
    };
    let counted = counters.iter().any(|at| info.get(*at).is_none_or(|kind| *kind != 0));
    let wishes = if revision > 2 { u32_at(info, 40)? } else { 0 };
    if parts > 3 || flags & !0x0f != 0 || counted || wishes & NO_EXCEPTIONS != 0 {
        return None;
    }
    let sources = (1..=parts).map(|part| flags & (1 << part) != 0).collect();
    Some(vec![(Xt::Set { index, name: String::new(), sources }, flags & NEGATED != 0)])
}
