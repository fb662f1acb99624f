//! Packets that a host forwards to containers, with random rules in DOCKER-USER and in other chains.

use super::dice::Dice;
use super::wire::{BEHIND, Machine};
use super::{Tool, iptables, nft, without_what_is_refused};

/// The engine's rules for forwarded packets. `@` is the place of the random rules.
const ENGINE: &str = "\
:DOCKER-USER - [0:0]
:DOCKER-INGRESS - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-INGRESS
@-A FORWARD -o docker_gwbridge -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i docker_gwbridge ! -o docker_gwbridge -j ACCEPT
-A FORWARD -i docker_gwbridge -o docker_gwbridge -j DROP
-A DOCKER-INGRESS -p tcp -m tcp --dport 22 -j ACCEPT
-A DOCKER-INGRESS -p tcp -m tcp --dport 2377 -j ACCEPT
-A DOCKER-INGRESS -p tcp -m conntrack --ctstate RELATED,ESTABLISHED -m tcp --sport 22 -j ACCEPT
-A DOCKER-INGRESS -p tcp -m conntrack --ctstate RELATED,ESTABLISHED -m tcp --sport 2377 -j ACCEPT
-A DOCKER-INGRESS -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
";

/// Loads the ruleset of a seed with a tool, and publishes the ports; returns the ruleset, and the error if it was refused.
pub(super) fn load(machine: &Machine, tool: Tool, seed: u64) -> Result<String, (String, String)> {
    let mut dice = Dice::new(seed);
    let publish = format!(
        "table ip published
         delete table ip published
         table ip published {{
             chain in {{
                 type nat hook prerouting priority dstnat
                 iifname eth0 ip daddr 192.0.2.1 meta l4proto {{ tcp, udp }} dnat to {BEHIND}
             }}
             chain out {{
                 type nat hook postrouting priority srcnat
                 oifname eth0 ip saddr {BEHIND} masquerade
             }}
         }}\n"
    );
    let mut text = String::new();
    let mut run = |words: &'static [&'static str], input: String| {
        let (input, done) = without_what_is_refused(machine, words, input);
        text += &format!("# {}\n{input}", words.join(" "));
        done.map_err(|why| (text.clone(), why))
    };
    if tool == Tool::Nft {
        run(&["nft", "-f", "-"], of_nft(&mut dice))?;
    } else {
        drop(machine.run(&["ipset", "restore"], iptables::SETS.into()));
        let rules = of_iptables(&mut dice);
        if tool == Tool::IptablesLegacy {
            run(&["iptables-legacy-restore"], rules)?;
        } else {
            machine.run(&["nft", "-f", "-"], "flush ruleset\n".into()).unwrap();
            run(&["iptables-nft-restore"], rules)?;
        }
    }
    run(&["nft", "-f", "-"], publish)?;
    Ok(text)
}

/// Values that match the bridge and the container behind it.
fn fitted(text: &str) -> String {
    [
        ("203.0.113.0/24", "172.18.0.0/16"),
        ("docker0", "docker_gwbridge"),
        ("wg0", "docker_gwbridge"),
        ("wg+", "docker+"),
        ("br-*", "docker_*"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Other rules are in chains of the forward hook: before routing, a packet may still have another destination address.
fn of_nft(dice: &mut Dice) -> String {
    let text = fitted(&nft::ruleset(dice));
    ["input", "output", "prerouting"]
        .iter()
        .fold(text, |text, hook| text.replace(&format!("filter hook {hook}"), "filter hook forward"))
}

fn of_iptables(dice: &mut Dice) -> String {
    let engine = dice.percent(50);
    let user = if engine && dice.percent(60) { "DOCKER-USER" } else { "FORWARD" };
    let mut text = String::new();
    for table in fitted(&iptables::ruleset(dice, false)).split_inclusive("COMMIT\n") {
        let name = table.lines().next().unwrap_or_default();
        if name == "*raw" {
            continue;
        }
        let mut of_chance = String::new();
        for line in table.lines().filter(|line| *line != "COMMIT") {
            let moved = ["INPUT", "OUTPUT", "PREROUTING"]
                .iter()
                .fold(line.to_owned(), |line, chain| line.replace(&format!("-A {chain} "), "-A FORWARD "));
            match moved.strip_prefix("-A FORWARD ") {
                // A forwarded packet has no socket owner, and older iptables refuses such a rule.
                Some(rule) if rule.contains("-m owner ") => {}
                Some(rule) if name == "*filter" => of_chance += &format!("-A {user} {rule}\n"),
                _ => text += &format!("{moved}\n"),
            }
        }
        text += &match name {
            "*filter" if engine => ENGINE.replace('@', &of_chance),
            _ => format!("{of_chance}COMMIT\n"),
        };
    }
    text
}
