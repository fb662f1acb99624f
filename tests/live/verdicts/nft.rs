//! Random nftables rulesets.

mod question;

use super::dice::Dice;
use question::{PORT, PORTS_APART, V4, V4_APART, apart, change, ports, protocol, question};
use std::fmt::Write as _;

/// The family of a table, which decides what its rules can match.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sees {
    Both,
    V4,
    V6,
}

/// A ruleset for `nft -f`.
pub(super) fn ruleset(dice: &mut Dice) -> String {
    let mut text = "flush ruleset\n".to_owned();
    if dice.percent(30) {
        text += &everyday(dice);
    }
    for number in 0..=dice.below(2) {
        let (family, sees) =
            [("inet", Sees::Both), ("ip", Sees::V4), ("inet", Sees::Both), ("ip6", Sees::V6)][dice.below(4)];
        text += &table(dice, family, sees, number);
    }
    if dice.percent(12) {
        text += &device(dice);
    }
    text
}

/// A common handwritten ruleset: established connections and a few ports are accepted, everything else is dropped.
fn everyday(dice: &mut Dice) -> String {
    let end = dice.one(&[
        "",
        "counter drop",
        "reject",
        "reject with icmpx admin-prohibited",
        "log prefix \"no \" drop",
    ]);
    let policy = dice.one(&["drop", "accept"]);
    let mut rules = vec![
        "ct state vmap { established : accept, related : accept, invalid : drop }".to_owned(),
        "iif lo accept".into(),
    ];
    if dice.percent(40) {
        rules.push("meta l4proto { icmp, ipv6-icmp } accept".into());
    }
    if dice.percent(30) {
        rules.push("icmp type echo-request limit rate 5/second accept".into());
    }
    for _ in 0..dice.below(5) {
        let from = match dice.below(4) {
            0 => format!("ip saddr {} ", dice.one(V4)),
            1 => format!("ip saddr {{ {} }} ", apart(dice, V4_APART)),
            2 => format!(
                "iifname {} ",
                dice.one(&["\"eth0\"", "\"eth*\"", "{ \"eth0\", \"eth1\" }", "\"wg0\""])
            ),
            _ => String::new(),
        };
        let protocol = protocol(dice);
        rules.push(format!("{from}{} accept", ports(dice, protocol).replace("@ports", "{ 22, 7946 }")));
    }
    format!(
        "table inet filter {{\nchain input {{ type filter hook input priority filter; policy {policy};\n{}\n{end}\n}}\n}}\n",
        rules.join("\n")
    )
}

struct Chains {
    /// Chains that are allowed as jump targets.
    below: Vec<String>,
    sees: Sees,
    /// The hook of a base chain; `None` for a regular chain.
    hook: Option<&'static str>,
    early: bool,
}

fn table(dice: &mut Dice, family: &str, sees: Sees, number: usize) -> String {
    let mut text = format!("table {family} t{number} {{\n");
    if dice.percent(3) {
        text += "flags dormant\n";
    }
    writeln!(
        text,
        "set ports {{ type inet_service; flags interval; elements = {{ {} }}; }}",
        apart(dice, PORTS_APART)
    )
    .unwrap();
    writeln!(
        text,
        "set nodes {{ type ipv4_addr; flags interval; elements = {{ {} }}; }}",
        apart(dice, V4_APART)
    )
    .unwrap();
    writeln!(text, "set pairs {{ type ipv4_addr . inet_service; flags interval; elements = {{ 192.0.2.0/26 . {}, 203.0.113.9 . 1-65535 }}; }}", dice.one(PORT)).unwrap();
    writeln!(
        text,
        "set kinds {{ type inet_proto . inet_service; elements = {{ {} . {} }}; }}",
        dice.one(&["tcp", "udp"]),
        dice.one(&["2377", "4789", "7946"])
    )
    .unwrap();
    text += "set links { type ifname; elements = { \"eth0\", \"wg0\" }; }\nset seen { type ipv4_addr; flags dynamic, timeout; timeout 1m; }\ncounter total { }\n";
    let users = dice.below(4);
    let names: Vec<String> = (0..users).map(|n| format!("c{n}")).collect();
    for at in (0..users).rev() {
        let chains = Chains { below: names[at + 1..].to_vec(), sees, hook: None, early: false };
        let rules = rules(dice, &chains, 5);
        writeln!(text, "chain c{at} {{\n{rules}}}").unwrap();
    }
    if users > 0 {
        writeln!(
            text,
            "map ways {{ type inet_service : verdict; elements = {{ {} : jump c0, {} : {} }}; }}",
            dice.one(&["22", "2377"]),
            dice.one(&["4789", "7946"]),
            dice.one(&["drop", "accept", "goto c0"])
        )
        .unwrap();
    }
    for base in 0..=dice.below(3) {
        let hook = dice.one(&["input", "input", "input", "output", "output", "prerouting", "postrouting"]);
        let priority = match hook {
            "prerouting" | "output" => {
                dice.one(&["-400", "-300", "-250", "-199", "-150", "-100", "0", "0", "10", "100"])
            }
            _ => dice.one(&["-150", "-5", "0", "0", "0", "10", "100"]),
        };
        let early = matches!(hook, "prerouting" | "output") && priority.parse::<i32>().unwrap() < -200;
        let policy = if dice.percent(22) { "drop" } else { "accept" };
        let chains = Chains { below: names.clone(), sees, hook: Some(hook), early };
        let kind = if hook == "output" && dice.percent(15) { "route" } else { "filter" };
        let mut rules = rules(dice, &chains, 7);
        if dice.percent(40) && !early {
            rules = format!("ct state established,related accept\n{rules}");
        }
        writeln!(
            text,
            "chain b{base} {{ type {kind} hook {hook} priority {priority}; policy {policy};\n{rules}}}"
        )
        .unwrap();
    }
    if dice.percent(12) {
        let rule = dice.one(&[
            "masquerade",
            "udp dport 4789 masquerade",
            "oifname \"wg0\" masquerade",
            "meta l4proto tcp accept",
        ]);
        writeln!(text, "chain n {{ type nat hook postrouting priority srcnat; {rule}; }}").unwrap();
    }
    text + "}\n"
}

fn device(dice: &mut Dice) -> String {
    let rule = dice.one(&[
        "udp dport 4789 drop",
        "ip saddr 192.0.2.66 drop",
        "tcp dport { 22, 2377 } counter drop",
        "ip6 saddr 2001:db8::/64 udp dport 7946 drop",
        "meta l4proto tcp th dport 7946 drop",
    ]);
    let policy = dice.one(&["accept", "accept", "accept", "drop"]);
    let hook = dice.one(&["ingress", "ingress", "egress"]);
    format!(
        "table netdev d {{ chain x {{ type filter hook {hook} device eth0 priority 0; policy {policy}; {rule}; ip protocol {{ tcp, udp }} accept; }}; }}\n"
    )
}

fn rules(dice: &mut Dice, chains: &Chains, most: usize) -> String {
    (0..=dice.below(most)).map(|_| rule(dice, chains) + "\n").collect()
}

fn rule(dice: &mut Dice, chains: &Chains) -> String {
    let mut words: Vec<String> = Vec::new();
    let protocol = protocol(dice);
    let mut asked = Vec::new();
    for _ in 0..dice.below(4) {
        let about = dice.below(26);
        if asked.contains(&about) {
            continue;
        }
        asked.push(about);
        words.push(question(dice, chains, about, protocol));
        if words.last().is_some_and(|word| word.contains("vmap")) {
            return words.join(" ");
        }
    }
    let tcp = protocol == "tcp" && words.iter().any(|word| word.starts_with("tcp"));
    for aside in
        ["log prefix \"x \"", "counter name total", "limit rate 10000/second", "quota over 900 mbytes"]
    {
        let often = match aside {
            "log prefix \"x \"" => 8,
            "counter name total" => 5,
            _ => 2,
        };
        if dice.percent(often) {
            words.push(aside.into());
        }
    }
    if dice.percent(8) {
        words.push(change(dice, chains));
        if dice.percent(70) {
            return words.join(" ");
        }
    }
    let open = words.is_empty();
    // The rule that is reported as decisive must have counted the packet.
    if dice.percent(80) {
        words.push("counter".into());
    }
    words.push(verdict(dice, chains, tcp, open));
    if dice.percent(5) {
        words.push("comment \"by chance\"".into());
    }
    words.join(" ")
}

fn verdict(dice: &mut Dice, chains: &Chains, tcp: bool, always: bool) -> String {
    // No packet passes a rule without matches that has a verdict.
    if always && dice.percent(70) {
        return match (chains.below.as_slice(), dice.below(3)) {
            ([first, ..], 0 | 1) => format!("{} {first}", dice.one(&["jump", "jump", "goto"])),
            _ => "continue".into(),
        };
    }
    let rejects = matches!(chains.hook, Some("input" | "output" | "prerouting"));
    match dice.below(20) {
        0..=5 => "accept".into(),
        6..=9 => "drop".into(),
        10 | 11 if rejects && tcp => "reject with tcp reset".into(),
        10..=12 if rejects => match chains.sees {
            Sees::V4 => dice.one(&[
                "reject",
                "reject with icmp type host-unreachable",
                "reject with icmp type admin-prohibited",
                "reject with icmp type net-prohibited",
            ]),
            Sees::V6 => dice.one(&[
                "reject",
                "reject with icmpv6 type admin-prohibited",
                "reject with icmpv6 type addr-unreachable",
            ]),
            Sees::Both => dice.one(&[
                "reject",
                "reject with icmpx type admin-prohibited",
                "reject with icmpx type host-unreachable",
            ]),
        }
        .to_owned(),
        13 | 14 => "return".into(),
        15 => "continue".into(),
        _ if chains.below.is_empty() => dice.one(&["accept", "drop"]).to_owned(),
        16 => format!("goto {}", chains.below[dice.below(chains.below.len())]),
        _ => format!("jump {}", chains.below[dice.below(chains.below.len())]),
    }
}
