//! What rules of nftables ask about a packet, by chance, and what they change of it.

use super::{Chains, Sees};
use crate::live::verdicts::dice::Dice;

pub(super) const V4: &[&str] = &[
    "192.0.2.2",
    "192.0.2.66",
    "192.0.2.0/24",
    "192.0.2.0/26",
    "192.0.2.64/27",
    "192.0.2.1-192.0.2.9",
    "192.0.2.60-192.0.2.70",
    "203.0.113.0/24",
    "0.0.0.0/0",
    "192.0.2.1",
    "192.0.2.128/25",
];
/// None of them holds another.
pub(super) const V4_APART: &[&str] =
    &["192.0.2.2", "192.0.2.64/27", "192.0.2.10-192.0.2.20", "203.0.113.0/24", "10.0.0.0/8"];
const V6: &[&str] = &[
    "2001:db8::2",
    "2001:db8::/64",
    "2001:db8::1",
    "2001:db8:1::/48",
    "fe80::/10",
    "2001:db8::1-2001:db8::9",
];
pub(super) const PORT: &[&str] =
    &["22", "2377", "4789", "7946", "2376-2378", "7000-8000", "1-1023", "4000-65535", "9100", "2377-7946"];
pub(super) const PORTS_APART: &[&str] =
    &["22", "2377", "4789", "7946", "9100", "3000-4000", "5000-7900", "1-21", "60000-65535"];

/// Some of what holds nothing of one another.
pub(super) fn apart(dice: &mut Dice, of: &[&'static str]) -> String {
    let mut some: Vec<&str> = of.iter().copied().filter(|_| dice.percent(40)).collect();
    if some.is_empty() {
        some.push(of[0]);
    }
    some.join(", ")
}

pub(super) fn protocol(dice: &mut Dice) -> &'static str {
    dice.one(&["tcp", "udp", "tcp", "udp", "meta l4proto { tcp, udp } th"])
}

pub(super) fn ports(dice: &mut Dice, protocol: &str) -> String {
    let side = if dice.percent(88) { "dport" } else { "sport" };
    match dice.below(9) {
        0 => format!("{protocol} {side} {{ {} }}", apart(dice, PORTS_APART)),
        1 => format!("{protocol} {side} != {{ {} }}", apart(dice, PORTS_APART)),
        2 => format!("{protocol} {side} @ports"),
        3 => format!("{protocol} {side} != @ports"),
        4 => format!("{protocol} {side} != {}", dice.one(PORT)),
        5 => format!(
            "{protocol} {side} {} {}",
            dice.one(&["<", ">", "<=", ">="]),
            dice.one(&["4789", "1024", "7946", "32768"])
        ),
        _ => format!("{protocol} {side} {}", dice.one(PORT)),
    }
}

pub(super) fn question(dice: &mut Dice, chains: &Chains, about: usize, protocol: &str) -> String {
    let v4 = chains.sees != Sees::V6;
    let v6 = chains.sees != Sees::V4;
    match about {
        0..=7 => ports(dice, protocol),
        8 | 9 if v4 => {
            let side = dice.one(&["saddr", "saddr", "daddr"]);
            match dice.below(6) {
                0 => format!("ip {side} @nodes"),
                1 => format!("ip {side} != @nodes"),
                2 => format!("ip {side} {{ {} }}", apart(dice, V4_APART)),
                3 => format!("ip {side} != {}", dice.one(V4)),
                4 => format!("ip {side} & 255.255.255.0 == 192.0.2.0"),
                _ => format!("ip {side} {}", dice.one(V4)),
            }
        }
        10 if v6 => {
            format!("ip6 {} {}{}", dice.one(&["saddr", "daddr"]), dice.one(&["", "!= "]), dice.one(V6))
        }
        11 if v4 => match dice.below(4) {
            0 | 1 => format!("ip saddr . {protocol} dport @pairs"),
            2 => format!(
                "ip saddr . {protocol} dport {{ 192.0.2.2 . {}, 192.0.2.66 . 7946 }}",
                dice.one(&["4789", "2377"])
            ),
            _ => format!(
                "ip daddr . ip protocol . th dport {{ 192.0.2.1 . tcp . {} }}",
                dice.one(&["22", "2377"])
            ),
        },
        12 => match dice.below(3) {
            0 => "meta l4proto . th dport @kinds".into(),
            1 => format!("meta l4proto . th dport {{ tcp . {}, udp . 7946 }}", dice.one(PORT)),
            _ => format!(
                "meta l4proto {}",
                dice.one(&["tcp", "udp", "{ tcp, udp }", "!= tcp", "icmp", "{ icmp, ipv6-icmp, udp }"])
            ),
        },
        13 | 14 => dice
            .one(&[
                "iifname \"eth0\"",
                "iifname \"eth*\"",
                "iifname != \"eth0\"",
                "iifname @links",
                "iifname != @links",
                "iifname { \"lo\", \"eth0\" }",
                "iifname \"docker0\"",
                "iif lo",
                "iif != lo",
                "iif { lo, eth0 }",
                "oifname \"eth0\"",
                "oifname != \"lo\"",
                "oif eth0",
                "oifname \"br-*\"",
                "meta iifname . tcp dport { \"eth0\" . 22, \"eth1\" . 2377 }",
                "iiftype ether",
                "iifgroup 0",
                "oifgroup 0",
            ])
            .to_owned(),
        15 | 16 => dice
            .one(&[
                "ct state new",
                "ct state established",
                "ct state established,related",
                "ct state { established, related }",
                "ct state { new, established }",
                "ct state != new",
                "ct state != established",
                "ct state invalid",
                "ct state new,untracked",
                "ct state untracked",
                "ct direction original",
                "ct direction reply",
                "ct status dnat",
                "ct status != dnat",
                "ct status snat",
                "ct mark 0",
                "ct mark 5",
                "ct state & (new | related) != 0",
                "ct state vmap { established : accept, related : accept, invalid : drop }",
                "ct zone 0",
                "ct original proto-dst 7946",
                "ct original proto-dst != 2377",
                "ct l3proto ipv4",
                "ct protocol udp",
                "ct expiration > 1s",
            ])
            .to_owned(),
        17 => dice
            .one(&[
                "meta mark 1",
                "meta mark != 1",
                "meta mark and 0xf == 1",
                "meta mark 0",
                "meta mark 1-5",
                "meta mark { 1, 7 }",
                "meta mark > 3",
                "meta mark & 0x1 != 0",
            ])
            .to_owned(),
        18 if v4 && v6 && dice.percent(40) => {
            dice.one(&["meta nfproto ipv4", "meta nfproto ipv6", "meta nfproto { ipv4, ipv6 }"]).to_owned()
        }
        18 => dice
            .one(&[
                "meta protocol ip",
                "meta protocol { ip, ip6 }",
                "meta pkttype host",
                "meta pkttype { broadcast, multicast }",
                "meta pkttype != host",
                "meta length < 1500",
                "meta length > 9000",
            ])
            .to_owned(),
        19 if v4 => dice
            .one(&[
                "ip protocol tcp",
                "ip protocol != udp",
                "ip protocol { tcp, udp }",
                "ip ttl 64",
                "ip ttl < 2",
                "ip dscp cs0",
                "ip length < 100",
                "ip version 4",
                "ip hdrlength 5",
                "ip frag-off & 0x1fff != 0",
                "ip frag-off & 0x1fff == 0",
                "icmp type echo-request",
                "ip id 0",
            ])
            .to_owned(),
        20 if v6 => dice
            .one(&[
                "ip6 nexthdr tcp",
                "ip6 nexthdr { udp, tcp }",
                "ip6 hoplimit 64",
                "icmpv6 type { nd-neighbor-solicit, echo-request }",
                "ip6 version 6",
            ])
            .to_owned(),
        21 if protocol == "udp" => {
            dice.one(&["udp length > 8", "udp checksum != 0", "udp length 12"]).to_owned()
        }
        21 if protocol == "tcp" => dice
            .one(&[
                "tcp flags syn",
                "tcp flags & (syn|ack) == syn",
                "tcp flags & (fin|syn|rst|ack) == syn",
                "tcp flags != syn",
                "tcp flags ack",
                "tcp flags & syn == 0",
                "tcp flags { syn, ack }",
                "tcp flags & rst != 0",
                "tcp option maxseg size 1-500",
            ])
            .to_owned(),
        22 => dice
            .one(&[
                "fib daddr type local",
                "fib daddr type != local",
                "fib saddr type local",
                "fib daddr type { broadcast, multicast }",
                "fib saddr type unicast",
                "fib daddr . iif type local",
                "fib daddr type vmap { local : accept, unicast : drop }",
            ])
            .to_owned(),
        23 if matches!(chains.hook, Some("input" | "prerouting")) => dice
            .one(&[
                "fib saddr . iif oif missing",
                "fib saddr . iif oif exists",
                "fib saddr oif eth0",
                "ether saddr 02:00:00:00:00:02",
            ])
            .to_owned(),
        24 if !chains.below.is_empty() && chains.hook.is_some() => format!("{protocol} dport vmap @ways"),
        24 => {
            protocol.to_owned()
                + &format!(
                    " dport vmap {{ 22 : {}, 7000-7999 : {} }}",
                    dice.one(&["accept", "drop", "continue"]),
                    dice.one(&["accept", "drop", "return"])
                )
        }
        25 => dice
            .one(&[
                "meta l4proto vmap { tcp : accept, udp : continue }",
                "ip saddr vmap { 192.0.2.2 : drop, 192.0.2.64/26 : accept }",
                "iifname vmap { \"eth0\" : return, \"lo\" : accept }",
                "meta skuid 0",
                "meta skuid != 1000",
                "meta cpu 0-63",
                "ct count over 1000000",
                "numgen random mod 2 0",
                "meta hour \"00:00\"-\"23:59\"",
                "@th,16,16 7946",
                "@nh,72,8 6",
                "meta l4proto { tcp, udp } @th,16,16 { 22, 4789 }",
            ])
            .replace("ip saddr", if v4 { "ip saddr" } else { "ip6 saddr" })
            .replace("192.0.2.2 ", if v4 { "192.0.2.2 " } else { "2001:db8::2 " })
            .replace("192.0.2.64/26", if v4 { "192.0.2.64/26" } else { "2001:db8:5::/64" }),
        _ => ports(dice, protocol),
    }
}

/// What changes the packet or what is known of it.
pub(super) fn change(dice: &mut Dice, chains: &Chains) -> String {
    if chains.early && dice.percent(40) {
        return "notrack".into();
    }
    let mut changes = vec![
        "meta mark set 1",
        "meta mark set 5",
        "meta mark set meta mark | 0x1",
        "ct mark set 5",
        "meta mark set ct mark",
        "meta priority set 1:1",
        "meta mark set tcp dport map { 22 : 1, 2377 : 5, 7946 : 7 }",
    ];
    if chains.sees != Sees::V6 {
        changes.extend([
            "add @seen { ip saddr }",
            "update @seen { ip saddr timeout 5s }",
            "ip saddr @seen counter",
        ]);
    }
    dice.one(&changes).to_owned()
}
