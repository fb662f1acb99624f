//! Random iptables rulesets in the format of `iptables-restore`.

use super::dice::Dice;

const PORT: &[&str] =
    &["22", "2377", "4789", "7946", "2376:2378", "7000:8000", ":1023", "4000:", "9100", "2377:7946"];

/// The sets that rules match, in the format of `ipset restore`.
pub(super) const SETS: &str = "\
create -exist nodes hash:net
add -exist nodes 192.0.2.0/25
add -exist nodes 192.0.2.64/27 nomatch
add -exist nodes 203.0.113.0/24
create -exist ports bitmap:port range 0-65535
add -exist ports 22
add -exist ports 7946-8000
create -exist pairs hash:ip,port
add -exist pairs 192.0.2.2,tcp:2377
add -exist pairs 192.0.2.66,udp:4789
add -exist pairs 192.0.2.1,7946
create -exist links hash:net,iface
add -exist links 192.0.2.0/26,eth0
add -exist links 192.0.2.64/26,eth1
create -exist nodes6 hash:net family inet6
add -exist nodes6 2001:db8::/127
create -exist addresses hash:ip timeout 3600
add -exist addresses 192.0.2.66
create -exist several list:set
add -exist several nodes
add -exist several addresses
";

/// The rules for IPv4 or IPv6, in all tables.
pub(super) fn ruleset(dice: &mut Dice, v6: bool) -> String {
    let mut text = String::new();
    for (table, often, chains) in [
        ("raw", 25, &["PREROUTING", "OUTPUT"][..]),
        ("mangle", 25, &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]),
        ("nat", 20, &["POSTROUTING"]),
        ("filter", 96, &["INPUT", "FORWARD", "OUTPUT"]),
    ] {
        if dice.percent(often) {
            text += &Table { name: table, v6 }.rules(dice, chains);
        }
    }
    text
}

struct Table {
    name: &'static str,
    v6: bool,
}

impl Table {
    fn rules(&self, dice: &mut Dice, chains: &[&str]) -> String {
        let mut text = format!("*{}\n", self.name);
        for chain in chains {
            let drops = match self.name {
                "filter" => 25,
                "nat" => 0,
                _ => 4,
            };
            text += &format!(":{chain} {} [0:0]\n", if dice.percent(drops) { "DROP" } else { "ACCEPT" });
        }
        let users: Vec<String> = (0..dice.below(4)).map(|number| format!("swarm-{number}")).collect();
        for user in &users {
            text += &format!(":{user} - [0:0]\n");
        }
        for chain in chains {
            if dice.percent(40) && self.name == "filter" {
                text += &format!("-A {chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n");
            }
            if dice.percent(20) && *chain == "INPUT" {
                text += "-A INPUT -i lo -j ACCEPT\n";
            }
            for _ in 0..dice.below(6) {
                text += &self.rule(dice, chain, Some(chain), &users);
            }
        }
        for (at, user) in users.iter().enumerate() {
            for _ in 0..dice.below(5) {
                text += &self.rule(dice, user, None, &users[at + 1..]);
            }
        }
        text + "COMMIT\n"
    }

    fn rule(&self, dice: &mut Dice, chain: &str, base: Option<&str>, below: &[String]) -> String {
        let mut words = vec![format!("-A {chain}")];
        let mut protocol = None;
        if dice.percent(65) {
            let name = dice.one(&["tcp", "udp"]);
            protocol = Some(name);
            words.push(format!("-p {name}"));
            words.push(ports(dice, name));
        } else if dice.percent(8) {
            words.push(
                dice.one(&["! -p tcp", "-p icmp", "-p 17", "-p all"])
                    .replace("icmp", if self.v6 { "ipv6-icmp" } else { "icmp" }),
            );
        }
        let mut asked = Vec::new();
        for _ in 0..dice.below(3) {
            let about = dice.below(24);
            // A rule has each match only once.
            if !asked.contains(&(about.max(3))) {
                asked.push(about.max(3));
                words.push(self.question(dice, about, base, protocol));
            }
        }
        let always = words.iter().all(|word| word.is_empty() || word.starts_with("-A"));
        words.push(self.target(dice, base, protocol, below, always));
        words.retain(|word| !word.is_empty());
        words.join(" ") + "\n"
    }

    fn question(&self, dice: &mut Dice, about: usize, base: Option<&str>, protocol: Option<&str>) -> String {
        let not = if dice.percent(25) { "! " } else { "" };
        let net = |dice: &mut Dice| match self.v6 {
            true => {
                dice.one(&["2001:db8::2", "2001:db8::/64", "2001:db8::1/128", "2001:db8:9::/48"]).to_owned()
            }
            false => dice
                .one(&[
                    "192.0.2.2",
                    "192.0.2.66",
                    "192.0.2.0/24",
                    "192.0.2.0/26",
                    "192.0.2.64/255.255.255.224",
                    "203.0.113.0/24",
                    "192.0.2.1",
                    "10.0.0.0/8",
                ])
                .to_owned(),
        };
        match about {
            0..=3 => format!("{not}-s {}", net(dice)),
            4 => format!("{not}-d {}", net(dice)),
            5 if base.is_none_or(|base| matches!(base, "INPUT" | "PREROUTING" | "FORWARD")) => {
                format!("{not}-i {}", dice.one(&["eth0", "eth+", "lo", "docker0", "wg+"]))
            }
            6 if base.is_some_and(|base| matches!(base, "OUTPUT" | "POSTROUTING" | "FORWARD")) => {
                format!("{not}-o {}", dice.one(&["eth0", "eth+", "lo", "docker0"]))
            }
            7..=9 => format!(
                "-m conntrack {not}--ctstate {}",
                dice.one(&[
                    "NEW",
                    "ESTABLISHED",
                    "RELATED,ESTABLISHED",
                    "INVALID",
                    "NEW,ESTABLISHED",
                    "UNTRACKED",
                    "NEW,UNTRACKED",
                    "DNAT",
                    "SNAT,INVALID"
                ])
            ),
            10 => format!(
                "-m state {not}--state {}",
                dice.one(&["NEW", "ESTABLISHED", "RELATED,ESTABLISHED", "INVALID"])
            ),
            11 => format!("-m mark {not}--mark {}", dice.one(&["1", "0", "0x1/0x1", "5/0xff"])),
            12 => format!(
                "-m addrtype {not}{}",
                dice.one(if self.v6 {
                    &["--dst-type LOCAL", "--src-type LOCAL", "--dst-type MULTICAST"]
                } else {
                    &[
                        "--dst-type LOCAL",
                        "--src-type LOCAL",
                        "--dst-type UNICAST",
                        "--src-type UNICAST",
                        "--dst-type BROADCAST,MULTICAST",
                    ]
                })
            ),
            13 if !self.v6 => format!(
                "-m iprange {not}{}",
                dice.one(&[
                    "--src-range 192.0.2.2-192.0.2.9",
                    "--src-range 192.0.2.60-192.0.2.70",
                    "--dst-range 192.0.2.1-192.0.2.2"
                ])
            ),
            13 => format!("-m iprange {not}--src-range 2001:db8::1-2001:db8::9"),
            14 if protocol == Some("tcp") => dice
                .one(&[
                    "--syn",
                    "! --syn",
                    "--tcp-flags SYN,ACK SYN",
                    "--tcp-flags ALL NONE",
                    "--tcp-flags FIN,SYN,RST,ACK SYN",
                    "--tcp-flags RST RST",
                    "--tcp-option 2",
                ])
                .to_owned(),
            15 => format!("-m comment --comment {}", dice.one(&["swarm", "\"the swarm\""])),
            16 if self.v6 && dice.percent(40) => {
                dice.one(&["-m rt --rt-type 0", "-m frag --fragfirst"]).to_owned()
            }
            16 => dice
                .one(&[
                    "-m pkttype --pkt-type unicast",
                    "-m pkttype --pkt-type multicast",
                    "-m pkttype ! --pkt-type broadcast",
                ])
                .to_owned(),
            17 => dice
                .one(&[
                    "-m conntrack --ctdir ORIGINAL",
                    "-m conntrack --ctdir REPLY",
                    "-m conntrack --ctorigdstport 7946",
                    "-m conntrack ! --ctorigdstport 2377",
                    "-m conntrack --ctproto 17",
                    "-m conntrack --ctstate NEW --ctproto 6",
                    "-m conntrack --ctstatus NONE",
                    "-m conntrack --ctstatus ASSURED",
                ])
                .to_owned(),
            18 => dice
                .one(&[
                    "-m length --length 0:1500",
                    "-m length --length 9000:",
                    "-m connmark --mark 0",
                    "-m connmark --mark 5",
                    "-m ttl --ttl-gt 1",
                    "-m dscp --dscp 0",
                    "-m rpfilter",
                    "-m rpfilter --invert",
                    "-m mac --mac-source 02:00:00:00:00:02",
                    "-m physdev --physdev-is-bridged",
                    "-m physdev ! --physdev-is-bridged",
                ])
                .replace("-m ttl --ttl-gt 1", if self.v6 { "-m hl --hl-gt 1" } else { "-m ttl --ttl-gt 1" })
                .replace(
                    "-m mac --mac-source 02:00:00:00:00:02",
                    if matches!(base, Some("INPUT" | "PREROUTING" | "FORWARD")) {
                        "-m mac --mac-source 02:00:00:00:00:02"
                    } else {
                        ""
                    },
                )
                .replace(
                    "-m rpfilter --invert",
                    if base == Some("PREROUTING") { "-m rpfilter --invert" } else { "" },
                )
                .replace("-m rpfilter", if base == Some("PREROUTING") { "-m rpfilter" } else { "" }),
            19 if dice.percent(40) => dice
                .one(&[
                    "-m limit --limit 10000/s --limit-burst 10000",
                    "-m hashlimit --hashlimit-upto 10000/s --hashlimit-name x",
                    "-m connlimit --connlimit-above 10000",
                    "-m recent --name x --rcheck",
                    "-m string --string zz --algo bm",
                    "-m statistic --mode random --probability 0.5",
                    "-m connbytes --connbytes 100000: --connbytes-dir both --connbytes-mode bytes",
                    "-m quota --quota 100000000",
                ])
                .to_owned(),
            20 if matches!(base, Some("OUTPUT" | "POSTROUTING")) => dice
                .one(&[
                    "-m owner --uid-owner 0",
                    "-m owner ! --uid-owner 0",
                    "-m owner --socket-exists",
                    "-m owner --uid-owner 1000",
                ])
                .to_owned(),
            21 | 22 if !self.v6 => {
                let (set, ends): (&str, &[&str]) = match dice.below(5) {
                    0 => ("nodes", &["src", "dst", "src,dst"]),
                    1 => ("ports", &["dst", "src"]),
                    2 => ("pairs", &["src,dst", "dst,dst", "src"]),
                    3 if base.is_none_or(|base| matches!(base, "INPUT" | "PREROUTING" | "FORWARD")) => {
                        ("links", &["src,src"])
                    }
                    _ => ("several", &["src"]),
                };
                format!("-m set {not}--match-set {set} {}", dice.one(ends))
            }
            21 => format!("-m set {not}--match-set nodes6 {}", dice.one(&["src", "dst"])),
            _ => String::new(),
        }
    }

    fn target(
        &self,
        dice: &mut Dice,
        base: Option<&str>,
        protocol: Option<&str>,
        below: &[String],
        always: bool,
    ) -> String {
        let jump = |dice: &mut Dice| match below {
            [] => String::new(),
            many => format!("-{} {}", dice.one(&["j", "j", "g"]), many[dice.below(many.len())]),
        };
        if always && dice.percent(75) {
            return jump(dice);
        }
        match (self.name, dice.below(18)) {
            ("nat", 0..=9) if base == Some("POSTROUTING") => {
                dice.one(&["-j MASQUERADE", "-j ACCEPT", "-j RETURN"]).to_owned()
            }
            ("raw", 0..=2) if base.is_some() => {
                dice.one(&["-j NOTRACK", "-j CT --notrack", "-j TRACE"]).to_owned()
            }
            ("mangle", 0..=4) => dice
                .one(&[
                    "-j MARK --set-mark 1",
                    "-j MARK --set-xmark 0x5/0xff",
                    "-j MARK --or-mark 1",
                    "-j CONNMARK --restore-mark",
                    "-j CONNMARK --save-mark",
                    "-j MARK --and-mark 0xfe",
                    "-j DSCP --set-dscp 8",
                ])
                .to_owned(),
            ("filter", 0..=2) => match protocol {
                Some("tcp") if dice.percent(40) => "-j REJECT --reject-with tcp-reset".into(),
                _ if self.v6 => {
                    dice.one(&["-j REJECT", "-j REJECT --reject-with icmp6-adm-prohibited"]).to_owned()
                }
                _ => dice
                    .one(&[
                        "-j REJECT",
                        "-j REJECT --reject-with icmp-host-prohibited",
                        "-j REJECT --reject-with icmp-admin-prohibited",
                        "-j REJECT --reject-with icmp-net-unreachable",
                        "-j REJECT --reject-with icmp-proto-unreachable",
                    ])
                    .to_owned(),
            },
            ("nat", _) => "-j ACCEPT".into(),
            (_, 3..=5) => "-j DROP".into(),
            (_, 6..=10) => "-j ACCEPT".into(),
            (_, 11) => "-j RETURN".into(),
            (_, 12) => dice
                .one(&["-j LOG --log-prefix \"no \"", "-j NFLOG --nflog-group 5", "", "-j AUDIT --type drop"])
                .to_owned(),
            _ => jump(dice),
        }
    }
}

fn ports(dice: &mut Dice, protocol: &str) -> String {
    let not = if dice.percent(20) { "! " } else { "" };
    match dice.below(10) {
        0 | 1 => {
            let side = dice.one(&["--dports", "--dports", "--dports", "--ports", "--sports"]);
            let ports = dice.some(4, &["22", "2377", "7946", "4789", "7000:7999", "60000:65535", "1:21"]);
            format!("-m multiport {not}{side} {}", ports.join(","))
        }
        2 => format!("-m {protocol} {not}--sport {}", dice.one(&["32768:65535", "1024:", "7946"])),
        3 => String::new(),
        _ => format!("-m {protocol} {not}--dport {}", dice.one(PORT)),
    }
}
