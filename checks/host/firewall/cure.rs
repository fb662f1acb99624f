//! How to let through what a rule keeps out, in the language of who wrote it.

use super::author::Author;
use super::traffic::{Errand, Port};
use crate::remedy::word;
use facts::firewall::{Condition, Field, Place, Ruleset, Way, conditions};
use std::collections::BTreeSet;

/// What one rule keeps out.
pub(in crate::host) struct Barred<'a> {
    pub(in crate::host) place: Place<'a>,
    pub(in crate::host) errands: BTreeSet<(Errand, Port)>,
}

/// What to type, and what to mind.
pub(in crate::host) struct Cure {
    pub(in crate::host) text: String,
    pub(in crate::host) commands: Vec<String>,
}

/// How to let it all through.
pub(in crate::host) fn cure(
    author: &Author,
    barred: &[Barred<'_>],
    ruleset: &Ruleset,
    reload_hurts: bool,
) -> Cure {
    match author {
        Author::Firewalld { panic: true, .. } => Cure {
            text: "firewalld is in panic mode and lets nothing through: end it".into(),
            commands: vec!["firewall-cmd --panic-off".into()],
        },
        Author::Firewalld { zone, .. } => firewalld(zone.as_deref(), barred, reload_hurts),
        Author::Ufw => ufw(barred),
        Author::Iptables { v6, legacy } => {
            let program = match (v6, *legacy && ruleset.tables.iter().any(|table| !table.legacy)) {
                (false, false) => "iptables",
                (false, true) => "iptables-legacy",
                (true, false) => "ip6tables",
                (true, true) => "ip6tables-legacy",
            };
            iptables(program, barred)
        }
        Author::Nft => nft(barred),
    }
}

fn ports(barred: &[Barred<'_>], way: Way) -> BTreeSet<Port> {
    let all = barred.iter().flat_map(|one| &one.errands);
    all.filter(|(errand, _)| errand.way() == way && calls(*errand)).map(|(_, port)| *port).collect()
}

fn calls(errand: Errand) -> bool {
    matches!(errand, Errand::Called | Errand::Calls)
}

fn firewalld(zone: Option<&str>, barred: &[Barred<'_>], reload_hurts: bool) -> Cure {
    let zone = zone.map(|zone| format!("--zone={} ", word(zone))).unwrap_or_default();
    let mut text = "open the port in firewalld, for good and at once".to_owned();
    let mut commands = Vec::new();
    // Rich rules that forbid come before ports that are open, and have to go.
    let forbids = |one: &&Barred<'_>| {
        let chain = one.place.chain.name.as_str();
        ["_deny", "_pre", "_post"].iter().any(|end| chain.ends_with(end))
    };
    for one in barred.iter().filter(forbids) {
        text = "a rich rule forbids it: take it out, and open the port".to_owned();
        commands.push(match rich_rule(&one.place) {
            Some(rule) => format!("firewall-cmd {zone}--permanent --remove-rich-rule='{rule}'"),
            None => format!("firewall-cmd {zone}--list-rich-rules"),
        });
    }
    let inward = ports(barred, Way::In);
    commands.extend(inward.iter().map(|port| format!("firewall-cmd {zone}--add-port={port} --permanent")));
    match commands.last_mut() {
        Some(last) => last.push_str(" && firewall-cmd --reload"),
        None => {
            text =
                "a policy or a direct rule of firewalld keeps it in: see which, and take it out".to_owned();
            commands.push("firewall-cmd --list-all-policies".to_owned());
            commands.push("firewall-cmd --direct --get-all-rules".to_owned());
        }
    }
    if reload_hurts && !inward.is_empty() {
        text.push_str(
            "; the reload takes Docker's own rules away on this engine, so restart it afterwards, or leave the reload \
             out and give the command a second time without --permanent",
        );
    }
    Cure { text, commands }
}

/// The rich rule that a rule of firewalld comes from, where it asks for a port and at most a source.
fn rich_rule(place: &Place<'_>) -> Option<String> {
    let (_, rule) = place.rule?;
    let (asked, done) = conditions(place.table, rule);
    let value = |field: Field| asked.iter().find(|c| c.field == field).and_then(one_value);
    let protocol = value(Field::Protocol)?;
    let port = value(Field::DestinationPort)?;
    let action = if done.iter().any(|deed| deed == "drop") { "drop" } else { "reject" };
    let family = if value(Field::Family).is_some_and(|family| family == "ipv6") { "ipv6" } else { "ipv4" };
    Some(match value(Field::Source) {
        Some(source) => format!(
            "rule family=\"{family}\" source address=\"{source}\" port port=\"{port}\" protocol=\"{protocol}\" {action}"
        ),
        None if asked.iter().any(|c| c.field == Field::Family) => {
            format!("rule family=\"{family}\" port port=\"{port}\" protocol=\"{protocol}\" {action}")
        }
        None => format!("rule port port=\"{port}\" protocol=\"{protocol}\" {action}"),
    })
}

fn one_value(condition: &Condition) -> Option<&str> {
    match condition.values.as_slice() {
        [one] if !condition.negated => Some(one),
        _ => None,
    }
}

fn ufw(barred: &[Barred<'_>]) -> Cure {
    let mut commands = Vec::new();
    let mut text = "open it in ufw, which keeps it open across restarts".to_owned();
    for (way, out) in [(Way::In, ""), (Way::Out, "out ")] {
        for port in ports(barred, way) {
            let forbids = |one: &&Barred<'_>| {
                one.place.rule.is_some() && one.place.chain.name.contains("user") && {
                    one.errands.iter().any(|(errand, other)| *other == port && errand.way() == way)
                }
            };
            // A new rule comes last, behind the one that forbids.
            let first = if barred.iter().any(|one| forbids(&one)) {
                text = "a rule of ufw forbids it (`ufw status numbered`): put one before it that lets it in"
                    .to_owned();
                "insert 1 "
            } else {
                ""
            };
            commands.push(format!("ufw {first}allow {out}{port}"));
        }
    }
    if commands.is_empty() {
        text = "rules before or after those of ufw keep answers out".to_owned();
        commands.push("grep -n . /etc/ufw/before.rules /etc/ufw/after.rules".to_owned());
    }
    Cure { text, commands }
}

fn iptables(program: &str, barred: &[Barred<'_>]) -> Cure {
    let mut commands = Vec::new();
    for one in barred {
        let place = &one.place;
        let table = match place.table.name.as_str() {
            "filter" => String::new(),
            other => format!("-t {other} "),
        };
        let base = place.path.first().copied().unwrap_or("INPUT");
        if let Some((number, rule)) = place.rule
            && aimed(one)
        {
            let written = rule.as_iptables(place.table).unwrap_or_else(|| number.to_string());
            commands.push(format!("{program} {table}-D {} {written}", word(&place.chain.name)));
            continue;
        }
        for (errand, port) in &one.errands {
            let accept = match calls(*errand) {
                true => format!("-p {} --dport {} -j ACCEPT", port.protocol, port.number),
                false => "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT".to_owned(),
            };
            let command = format!("{program} {table}-I {base} {accept}");
            if !commands.contains(&command) {
                commands.push(command);
            }
        }
    }
    let text = "change the rule now, and where the rules are loaded from at the next start (`netfilter-persistent save` on \
                Debian, `service iptables save` on Red Hat)";
    Cure { text: text.into(), commands }
}

fn nft(barred: &[Barred<'_>]) -> Cure {
    let mut commands = Vec::new();
    for one in barred {
        let (table, chain) = (one.place.table, one.place.chain);
        let at = format!("{} {} {}", table.family, word(&table.name), word(&chain.name));
        let rule = one.place.rule.map(|(_, rule)| rule);
        if let Some(rule) = rule
            && aimed(one)
        {
            commands.push(format!("nft delete rule {at} handle {}", rule.handle));
            continue;
        }
        // What is put before a rule is put there by that rule's handle; before a policy, anywhere.
        let before = rule.map(|rule| format!(" handle {}", rule.handle)).unwrap_or_default();
        for (errand, port) in &one.errands {
            let accept = match calls(*errand) {
                true => format!("{} dport {} accept", port.protocol, port.number),
                false => "ct state established,related accept".to_owned(),
            };
            let command = format!("nft insert rule {at}{before} {accept}");
            if !commands.contains(&command) {
                commands.push(command);
            }
        }
    }
    let text = "change the rule now, and in the file it was loaded from (/etc/nftables.conf, /etc/sysconfig/nftables.conf), or \
                the next start brings it back";
    Cure { text: text.into(), commands }
}

/// Whether a rule is aimed at nothing else than what it must not keep out, so that it is better gone: it names ports of
/// the swarm alone, or one other node alone.
fn aimed(one: &Barred<'_>) -> bool {
    let Some((_, rule)) = one.place.rule else { return false };
    let (asked, done) = conditions(one.place.table, rule);
    if done.iter().any(|deed| deed.starts_with("jump") || deed.starts_with("goto")) {
        return false;
    }
    let swarm: Vec<String> = one.errands.iter().map(|(_, port)| port.number.to_string()).collect();
    let plain = |c: &&Condition| !c.negated;
    let ports = |c: &&Condition| matches!(c.field, Field::DestinationPort | Field::SourcePort);
    let sources = |c: &&Condition| matches!(c.field, Field::Source | Field::Destination);
    let named = asked.iter().filter(plain).filter(ports).flat_map(|c| &c.values).collect::<Vec<_>>();
    let nodes = asked.iter().filter(plain).filter(sources).flat_map(|c| &c.values).collect::<Vec<_>>();
    match named.is_empty() {
        false => named.iter().all(|port| swarm.contains(port)),
        true => !nodes.is_empty() && nodes.iter().all(|addr| addr.parse::<std::net::IpAddr>().is_ok()),
    }
}
