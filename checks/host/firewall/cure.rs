//! How to let through what a rule keeps out, in the language of who wrote it.

use super::author::Author;
use super::traffic::{Errand, Port};
use crate::remedy::shell_quote;
use crate::{Opening, Step};
use facts::NodeName;
use facts::firewall::{Condition, Field, Place, Ruleset, Way, conditions};
use facts::host::Protocol;
use std::collections::BTreeSet;

/// What one rule keeps out.
pub(in crate::host) struct Barred<'a> {
    pub(in crate::host) place: Place<'a>,
    pub(in crate::host) errands: BTreeSet<(Errand, Port)>,
}

/// What to do, and what to mind.
pub(in crate::host) struct Cure {
    text: String,
    deeds: Vec<Deed>,
}

/// One thing to do about a packet filter.
#[derive(PartialEq, Eq)]
enum Deed {
    Opens(Opening),
    /// A command for a person, who has to see first.
    Typed(String),
}

impl Cure {
    /// As one step, which a person has to do where any part of it needs one.
    pub(in crate::host) fn step(self, node: NodeName) -> Step {
        let opens = |deed: &Deed| match deed {
            Deed::Opens(opening) => Some(opening.clone()),
            Deed::Typed(_) => None,
        };
        let shown = |deed: &Deed| match deed {
            Deed::Opens(opening) => opening.command(),
            Deed::Typed(command) => command.clone(),
        };
        match self.deeds.iter().map(opens).collect() {
            Some(openings) => Step::OpenFilter { node, text: self.text, openings },
            None => Step::Manual { node, text: self.text, commands: self.deeds.iter().map(shown).collect() },
        }
    }
}

/// How to let it all through.
pub(in crate::host) fn cure(author: &Author, barred: &[Barred<'_>], ruleset: &Ruleset) -> Cure {
    match author {
        Author::Firewalld { panic: true, .. } => Cure {
            text: "firewalld is in panic mode and lets nothing through: end it".into(),
            deeds: vec![Deed::Typed("firewall-cmd --panic-off".into())],
        },
        Author::Firewalld { zone, .. } => firewalld(zone.as_deref(), barred),
        Author::Ufw => ufw(barred),
        Author::Iptables { .. } => iptables(author.program(ruleset), barred),
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

/// Each change is made twice, for good and at once, so that nothing has to be reloaded: on engines before 25.0.13 a
/// reload takes Docker's own rules away.
fn firewalld(zone: Option<&str>, barred: &[Barred<'_>]) -> Cure {
    let mut text = "open the port in firewalld, for good and at once".to_owned();
    let mut deeds = Vec::new();
    let owned = || zone.map(str::to_owned);
    // Rich rules that forbid come before ports that are open, and have to go.
    let forbids = |one: &&Barred<'_>| {
        let chain = one.place.chain.name.as_str();
        ["_deny", "_pre", "_post"].iter().any(|end| chain.ends_with(end))
    };
    for one in barred.iter().filter(forbids) {
        text = "a rich rule forbids it: take it out, and open the port".to_owned();
        match rich_rule(&one.place) {
            Some(rule) => deeds.extend([true, false].map(|permanent| {
                Deed::Opens(Opening::FirewalldRichRule { zone: owned(), rule: rule.clone(), permanent })
            })),
            None => {
                let zone = zone.map(|zone| format!("--zone={} ", shell_quote(zone))).unwrap_or_default();
                deeds.push(Deed::Typed(format!("firewall-cmd {zone}--list-rich-rules")));
            }
        }
    }
    let inward = ports(barred, Way::In);
    for permanent in [true, false] {
        deeds.extend(inward.iter().filter(|port| has_number(port)).map(|port| {
            Deed::Opens(Opening::FirewalldPort { zone: owned(), port: port.to_string(), permanent })
        }));
    }
    if inward.iter().any(|port| !has_number(port)) {
        let zone = zone.map(|zone| format!("--zone={} ", shell_quote(zone))).unwrap_or_default();
        deeds.extend(
            ["--permanent ", ""]
                .map(|lasting| Deed::Typed(format!("firewall-cmd {lasting}{zone}--add-protocol=esp"))),
        );
    }
    if inward.is_empty() {
        text = "a policy or a direct rule of firewalld keeps it in: see which, and take it out".to_owned();
        deeds.push(Deed::Typed("firewall-cmd --list-all-policies".to_owned()));
        deeds.push(Deed::Typed("firewall-cmd --direct --get-all-rules".to_owned()));
    }
    Cure { text, deeds }
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
    let mut deeds = Vec::new();
    let mut text = "open it in ufw, which keeps it open across restarts".to_owned();
    for (way, out) in [(Way::In, false), (Way::Out, true)] {
        for port in ports(barred, way) {
            if !has_number(&port) {
                let way = if out { "out " } else { "" };
                deeds.push(Deed::Typed(format!("ufw allow {way}proto esp from any to any")));
                continue;
            }
            let forbids = |one: &&Barred<'_>| {
                one.place.rule.is_some() && one.place.chain.name.contains("user") && {
                    one.errands.iter().any(|(errand, other)| *other == port && errand.way() == way)
                }
            };
            // A new rule comes last, behind the one that forbids, and is not taken at all where both are about the same.
            let first =
                barred.iter().find(forbids).and_then(|one| Some((one.place.table, one.place.rule?.1)));
            if let Some((table, rule)) = first {
                text = "a rule of ufw forbids it (`ufw status numbered`): take it out, and put one before all others that \
                        lets it in"
                    .to_owned();
                let drops = conditions(table, rule).1.iter().any(|deed| deed == "drop");
                let verb = if drops { "deny" } else { "reject" };
                deeds.push(Deed::Opens(Opening::UfwDelete { verb, port: port.to_string(), out }));
            }
            let first = first.is_some();
            deeds.push(Deed::Opens(Opening::UfwAllow { port: port.to_string(), out, first }));
        }
    }
    if deeds.is_empty() {
        text = "rules before or after those of ufw keep answers out".to_owned();
        deeds.push(Deed::Typed("grep -n . /etc/ufw/before.rules /etc/ufw/after.rules".to_owned()));
    }
    Cure { text, deeds }
}

fn iptables(program: &'static str, barred: &[Barred<'_>]) -> Cure {
    let mut deeds = Vec::new();
    for one in barred {
        let place = &one.place;
        let table = place.table.name.clone();
        if let Some((number, rule)) = place.rule
            && aimed(one)
        {
            let chain = place.chain.name.clone();
            // A rule with quotes in it, or one that iptables has no words for, is left to a person.
            let written = rule.as_iptables(place.table);
            deeds.push(match written.as_deref().filter(|written| !written.contains('"')) {
                Some(written) => Deed::Opens(Opening::IptablesDelete {
                    program,
                    table,
                    chain,
                    rule: words(written),
                    number,
                }),
                None => {
                    let table = if table == "filter" {
                        String::new()
                    } else {
                        format!("-t {} ", shell_quote(&table))
                    };
                    let rule = written.unwrap_or_else(|| number.to_string());
                    Deed::Typed(format!("{program} {table}-D {} {rule}", shell_quote(&chain)))
                }
            });
            continue;
        }
        for (errand, port) in &one.errands {
            let accept = match calls(*errand) {
                true if !has_number(port) => format!("-p {} -j ACCEPT", port.protocol),
                true => format!("-p {} --dport {} -j ACCEPT", port.protocol, port.number),
                false => "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT".to_owned(),
            };
            let chain = place.path.first().copied().unwrap_or("INPUT").to_owned();
            let table = table.clone();
            let deed = Deed::Opens(Opening::IptablesInsert { program, table, chain, rule: words(&accept) });
            if !deeds.contains(&deed) {
                deeds.push(deed);
            }
        }
    }
    let text = "change the rule now, and where the rules are loaded from at the next start (`netfilter-persistent save` on \
                Debian, `service iptables save` on Red Hat)";
    Cure { text: text.into(), deeds }
}

fn nft(barred: &[Barred<'_>]) -> Cure {
    let mut deeds = Vec::new();
    for one in barred {
        let (table, chain) = (one.place.table, one.place.chain);
        let chain = [table.family.to_string(), table.name.clone(), chain.name.clone()];
        let rule = one.place.rule.map(|(_, rule)| rule);
        if let Some(rule) = rule
            && aimed(one)
        {
            deeds.push(Deed::Opens(Opening::NftDelete { chain, handle: rule.handle }));
            continue;
        }
        for (errand, port) in &one.errands {
            let accept = match calls(*errand) {
                true if !has_number(port) => format!("meta l4proto {} accept", port.protocol),
                true => format!("{} dport {} accept", port.protocol, port.number),
                false => "ct state established,related accept".to_owned(),
            };
            // What is put before a rule is put there by that rule's handle; before a policy, anywhere.
            let before = rule.map(|rule| rule.handle);
            let deed = Deed::Opens(Opening::NftInsert { chain: chain.clone(), before, rule: words(&accept) });
            if !deeds.contains(&deed) {
                deeds.push(deed);
            }
        }
    }
    let text = "change the rule now, and in the file it was loaded from (/etc/nftables.conf, /etc/sysconfig/nftables.conf), or \
                the next start brings it back";
    Cure { text: text.into(), deeds }
}

/// ESP has no ports.
fn has_number(port: &Port) -> bool {
    port.protocol != Protocol::Esp
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
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
    let esp = |c: &Condition| c.field == Field::Protocol && !c.negated && c.values == ["esp"];
    match named.is_empty() {
        true if asked.iter().any(esp) => true,
        false => named.iter().all(|port| swarm.contains(port)),
        true => !nodes.is_empty() && nodes.iter().all(|addr| addr.parse::<std::net::IpAddr>().is_ok()),
    }
}
