//! How to let packets through that a rule blocks, with the commands of the tool that owns the rule.

use super::required_flow::{FlowKind, Port};
use super::rule_owner::RuleOwner;
use crate::remedy::shell_quote;
use crate::{FirewallChange, Step};
use facts::NodeName;
use facts::firewall::{Condition, Direction, Field, Location, Ruleset, conditions};
use facts::host::Protocol;
use std::collections::BTreeSet;

/// A rule or policy, and the flows that it blocks.
pub(in crate::host) struct BlockingRule<'a> {
    pub(in crate::host) location: Location<'a>,
    pub(in crate::host) flows: BTreeSet<(FlowKind, Port)>,
}

/// The changes to the firewall, with the explanation of the step.
pub(in crate::host) struct FirewallRemedy {
    text: String,
    changes: Vec<Change>,
}

/// One change to the firewall.
#[derive(PartialEq, Eq)]
enum Change {
    Automatic(FirewallChange),
    /// A command that an operator has to review first.
    Manual(String),
}

impl FirewallRemedy {
    /// One step, which is manual if any of its changes is.
    pub(in crate::host) fn step(self, node: NodeName) -> Step {
        let automatic = |change: &Change| match change {
            Change::Automatic(opening) => Some(opening.clone()),
            Change::Manual(_) => None,
        };
        let command = |change: &Change| match change {
            Change::Automatic(opening) => opening.command(),
            Change::Manual(command) => command.clone(),
        };
        match self.changes.iter().map(automatic).collect() {
            Some(changes) => Step::ChangeFirewall { node: node.into(), text: self.text, changes },
            None => Step::Manual {
                node: node.into(),
                text: self.text,
                commands: self.changes.iter().map(command).collect(),
            },
        }
    }
}

/// The changes that let all blocked flows through.
pub(in crate::host) fn firewall_remedy(
    owner: &RuleOwner,
    blocking: &[BlockingRule<'_>],
    ruleset: &Ruleset,
) -> FirewallRemedy {
    match owner {
        RuleOwner::Firewalld { panic: true, .. } => FirewallRemedy {
            text: "firewalld is in panic mode and drops all packets: switch panic mode off".into(),
            changes: vec![Change::Manual("firewall-cmd --panic-off".into())],
        },
        RuleOwner::Firewalld { zone, .. } => firewalld(zone.as_deref(), blocking),
        RuleOwner::Ufw => ufw(blocking),
        RuleOwner::Iptables { .. } => iptables(owner.program(ruleset), blocking),
        RuleOwner::Nft => nft(blocking),
    }
}

fn ports(blocking: &[BlockingRule<'_>], direction: Direction) -> BTreeSet<Port> {
    let all = blocking.iter().flat_map(|one| &one.flows);
    all.filter(|(kind, _)| kind.direction() == direction && kind.is_request())
        .map(|(_, port)| *port)
        .collect()
}

/// Each change is made twice, permanent and at run time, so that no reload is needed: on engines before 25.0.13 a reload
/// of firewalld removes Docker's rules.
fn firewalld(zone: Option<&str>, blocking: &[BlockingRule<'_>]) -> FirewallRemedy {
    let mut text = "open the port in firewalld, permanently and at run time".to_owned();
    let mut changes = Vec::new();
    let zone_name = || zone.map(str::to_owned);
    // Rich rules that drop or reject come before open ports and have to be removed.
    let is_rich_rule = |one: &&BlockingRule<'_>| {
        let chain = one.location.chain.name.as_str();
        ["_deny", "_pre", "_post"].iter().any(|end| chain.ends_with(end))
    };
    for one in blocking.iter().filter(is_rich_rule) {
        text = "remove the rich rule that blocks the port, and open the port".to_owned();
        match rich_rule(&one.location) {
            Some(rule) => changes.extend([true, false].map(|permanent| {
                Change::Automatic(FirewallChange::FirewalldRichRule {
                    zone: zone_name(),
                    rule: rule.clone(),
                    permanent,
                })
            })),
            None => {
                let zone = zone.map(|zone| format!("--zone={} ", shell_quote(zone))).unwrap_or_default();
                changes.push(Change::Manual(format!("firewall-cmd {zone}--list-rich-rules")));
            }
        }
    }
    let inbound = ports(blocking, Direction::In);
    for permanent in [true, false] {
        changes.extend(inbound.iter().filter(|port| has_number(port)).map(|port| {
            Change::Automatic(FirewallChange::FirewalldPort {
                zone: zone_name(),
                port: port.to_string(),
                permanent,
            })
        }));
    }
    if inbound.iter().any(|port| !has_number(port)) {
        let zone = zone.map(|zone| format!("--zone={} ", shell_quote(zone))).unwrap_or_default();
        changes
            .extend(["--permanent ", ""].map(|permanent| {
                Change::Manual(format!("firewall-cmd {permanent}{zone}--add-protocol=esp"))
            }));
    }
    if inbound.is_empty() {
        text = "find the policy or direct rule of firewalld that blocks outgoing packets, and remove it"
            .to_owned();
        changes.push(Change::Manual("firewall-cmd --list-all-policies".to_owned()));
        changes.push(Change::Manual("firewall-cmd --direct --get-all-rules".to_owned()));
    }
    FirewallRemedy { text, changes }
}

/// The rich rule behind a rule of firewalld, if it matches a port and at most a source.
fn rich_rule(location: &Location<'_>) -> Option<String> {
    let (_, rule) = location.rule?;
    let (matches, actions) = conditions(location.table, rule);
    let value = |field: Field| matches.iter().find(|c| c.field == field).and_then(one_value);
    let protocol = value(Field::Protocol)?;
    let port = value(Field::DestinationPort)?;
    let action = if actions.iter().any(|action| action == "drop") { "drop" } else { "reject" };
    let family = if value(Field::Family).is_some_and(|family| family == "ipv6") { "ipv6" } else { "ipv4" };
    Some(match value(Field::Source) {
        Some(source) => format!(
            "rule family=\"{family}\" source address=\"{source}\" port port=\"{port}\" protocol=\"{protocol}\" {action}"
        ),
        None if matches.iter().any(|c| c.field == Field::Family) => {
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

fn ufw(blocking: &[BlockingRule<'_>]) -> FirewallRemedy {
    let mut changes = Vec::new();
    let mut text = "allow the port in ufw; the rule persists across restarts".to_owned();
    for (direction, out) in [(Direction::In, false), (Direction::Out, true)] {
        for port in ports(blocking, direction) {
            if !has_number(&port) {
                let out = if out { "out " } else { "" };
                changes.push(Change::Manual(format!("ufw allow {out}proto esp from any to any")));
                continue;
            }
            let denies = |one: &&BlockingRule<'_>| {
                one.location.rule.is_some() && one.location.chain.name.contains("user") && {
                    one.flows.iter().any(|(kind, other)| *other == port && kind.direction() == direction)
                }
            };
            // ufw appends a new rule behind the one that denies, and ignores it if both match the same port.
            let deny =
                blocking.iter().find(denies).and_then(|one| Some((one.location.table, one.location.rule?.1)));
            if let Some((table, rule)) = deny {
                text = "delete the ufw rule that denies the port (`ufw status numbered`), and insert one at the top that \
                        allows it"
                    .to_owned();
                let drops = conditions(table, rule).1.iter().any(|action| action == "drop");
                let verb = if drops { "deny" } else { "reject" };
                changes.push(Change::Automatic(FirewallChange::UfwDelete {
                    verb,
                    port: port.to_string(),
                    out,
                }));
            }
            let first = deny.is_some();
            changes.push(Change::Automatic(FirewallChange::UfwAllow { port: port.to_string(), out, first }));
        }
    }
    if changes.is_empty() {
        text = "find the rule before or after those of ufw that blocks replies".to_owned();
        changes.push(Change::Manual("grep -n . /etc/ufw/before.rules /etc/ufw/after.rules".to_owned()));
    }
    FirewallRemedy { text, changes }
}

fn iptables(program: &'static str, blocking: &[BlockingRule<'_>]) -> FirewallRemedy {
    let mut changes = Vec::new();
    for one in blocking {
        let location = &one.location;
        let table = location.table.name.clone();
        if let Some((number, rule)) = location.rule
            && is_specific(one)
        {
            let chain = location.chain.name.clone();
            // A rule with quotes, or with a match that has no iptables syntax here, is left to the operator.
            let written = rule.as_iptables(location.table);
            changes.push(match written.as_deref().filter(|written| !written.contains('"')) {
                Some(written) => Change::Automatic(FirewallChange::IptablesDelete {
                    program,
                    table,
                    chain,
                    rule: arguments(written),
                    number,
                }),
                None => {
                    let table = if table == "filter" {
                        String::new()
                    } else {
                        format!("-t {} ", shell_quote(&table))
                    };
                    let rule = written.unwrap_or_else(|| number.to_string());
                    Change::Manual(format!("{program} {table}-D {} {rule}", shell_quote(&chain)))
                }
            });
            continue;
        }
        for (kind, port) in &one.flows {
            let accept = if !kind.is_request() {
                "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT".to_owned()
            } else if has_number(port) {
                format!("-p {} --dport {} -j ACCEPT", port.protocol, port.number)
            } else {
                format!("-p {} -j ACCEPT", port.protocol)
            };
            let chain = location.path.first().copied().unwrap_or("INPUT").to_owned();
            let table = table.clone();
            let change = Change::Automatic(FirewallChange::IptablesInsert {
                program,
                table,
                chain,
                rule: arguments(&accept),
            });
            if !changes.contains(&change) {
                changes.push(change);
            }
        }
    }
    let text = "change the rule now, and in the file that the rules are loaded from at boot (`netfilter-persistent save` \
                on Debian, `service iptables save` on Red Hat)";
    FirewallRemedy { text: text.into(), changes }
}

fn nft(blocking: &[BlockingRule<'_>]) -> FirewallRemedy {
    let mut changes = Vec::new();
    for one in blocking {
        let (table, chain) = (one.location.table, one.location.chain);
        let chain = [table.family.to_string(), table.name.clone(), chain.name.clone()];
        let rule = one.location.rule.map(|(_, rule)| rule);
        if let Some(rule) = rule
            && is_specific(one)
        {
            changes.push(Change::Automatic(FirewallChange::NftDelete { chain, handle: rule.handle }));
            continue;
        }
        for (kind, port) in &one.flows {
            let accept = if !kind.is_request() {
                "ct state established,related accept".to_owned()
            } else if has_number(port) {
                format!("{} dport {} accept", port.protocol, port.number)
            } else {
                format!("meta l4proto {} accept", port.protocol)
            };
            // In front of a rule, nft needs the handle of that rule; in front of a policy any position will do.
            let before = rule.map(|rule| rule.handle);
            let change = Change::Automatic(FirewallChange::NftInsert {
                chain: chain.clone(),
                before,
                rule: arguments(&accept),
            });
            if !changes.contains(&change) {
                changes.push(change);
            }
        }
    }
    let text = "change the rule now, and in the file that it is loaded from at boot (/etc/nftables.conf, \
                /etc/sysconfig/nftables.conf)";
    FirewallRemedy { text: text.into(), changes }
}

/// ESP has no ports.
fn has_number(port: &Port) -> bool {
    port.protocol != Protocol::Esp
}

fn arguments(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Whether a rule matches nothing but what it must not block, so that it can be deleted: only ports of the swarm, or only
/// one other node.
fn is_specific(one: &BlockingRule<'_>) -> bool {
    let Some((_, rule)) = one.location.rule else { return false };
    let (matches, actions) = conditions(one.location.table, rule);
    if actions.iter().any(|action| action.starts_with("jump") || action.starts_with("goto")) {
        return false;
    }
    let swarm: Vec<String> = one.flows.iter().map(|(_, port)| port.number.to_string()).collect();
    let plain = |c: &&Condition| !c.negated;
    let ports = |c: &&Condition| matches!(c.field, Field::DestinationPort | Field::SourcePort);
    let addresses = |c: &&Condition| matches!(c.field, Field::Source | Field::Destination);
    let named = matches.iter().filter(plain).filter(ports).flat_map(|c| &c.values).collect::<Vec<_>>();
    let nodes = matches.iter().filter(plain).filter(addresses).flat_map(|c| &c.values).collect::<Vec<_>>();
    let esp = |c: &Condition| c.field == Field::Protocol && !c.negated && c.values == ["esp"];
    if !named.is_empty() {
        return named.iter().all(|port| swarm.contains(port));
    }
    matches.iter().any(esp)
        || !nodes.is_empty() && nodes.iter().all(|addr| addr.parse::<std::net::IpAddr>().is_ok())
}
