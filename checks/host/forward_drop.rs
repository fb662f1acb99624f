use super::firewall::forwarding::{BRIDGE, Forwarding, published};
use super::firewall::rule_owner::{RuleOwner, render};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, FirewallChange, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::firewall::{Flow, Location, Outcome, Ruleset, evaluate};
use facts::host::Protocol;
use facts::{Gap, Host, Seen, Why};
use std::collections::BTreeSet;

check! {
    /// The firewall of this node does not forward outgoing traffic of containers on overlay networks, or the replies.
    ///
    /// ## Why it matters
    /// Tasks on overlay networks reach the outside through the bridge docker_gwbridge, and published ports come in over it.
    /// When forwarding between it and the outside is dropped, tasks run and find one another, while external databases,
    /// registries and APIs time out.
    ///
    /// ## How to fix it
    /// Run the commands of the remedy. They use the tool that owns the rule.
    ///
    /// ## When it is wrong
    /// When containers must not reach anything outside. A published port may be closed on purpose, so that is a warning
    /// only. The check evaluates one outgoing connection, to port 443 of an address behind the default route, and one
    /// connection from there to each port that is published through the routing mesh. Rules for other addresses or ports
    /// are not detected.
    ///
    /// Source: moby `libnetwork/drivers/bridge/setup_ip_tables.go`; Docker docs "Packet filtering and firewalls".
    "host/forward-drop": Error, "the firewall of the node does not forward container traffic";
    healthy "the firewall of the node forwards container traffic";
    needs Firewall, Interfaces, Routes, Networks, EngineProcess, Services;
    caused_by "host/docker-chains-missing", "host/firewall-drops-swarm", "swarm/membership-lost";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let Some(forwarding) = Forwarding::of(host)? else { return Ok(()) };
    let firewall = host.firewall.get()?;
    for packet in &forwarding.outward() {
        let traffic = match packet.flow {
            Flow::Answer => format!("replies to containers of {BRIDGE}"),
            Flow::New | Flow::Further => format!("outgoing traffic of containers of {BRIDGE}"),
        };
        match evaluate(&firewall.value, packet) {
            Outcome::Passes => {}
            Outcome::Blocked { location, .. }
                if location.rule.is_none() && host.engine.get()?.running().is_none() =>
            {
                let reason = format!(
                    "dockerd is not running; it adds its forwarding rules when it starts ({})",
                    render(&location)
                );
                return Err(Gap { source: firewall.source.clone(), why: Why::NotApplicable { reason } });
            }
            Outcome::Blocked { location, rejected, .. } => {
                let owner = RuleOwner::of(&location);
                let verb = if rejected.is_some() { "rejects" } else { "drops" };
                let summary =
                    format!("{} on {} {verb} {traffic}: {}", owner.name(), host.name, render(&location));
                let shown = Evidence::value(firewall, format!("{traffic}: {}", render(&location)));
                let finding = out.report(Subject::Node(host.name.clone()), summary, shown);
                finding.remedy(remedy(host, &owner, &location, &firewall.value));
                return Ok(());
            }
            Outcome::Redirected { location, how } => {
                let what = format!("`{how}` in {} redirects {traffic}", render(&location));
                return Err(Gap { source: firewall.source.clone(), why: Why::Undecidable { what } });
            }
            Outcome::Undetermined { location, depends_on } => {
                let what = format!(
                    "whether {traffic} is forwarded depends on {depends_on} in {}",
                    render(&location)
                );
                return Err(Gap { source: firewall.source.clone(), why: Why::Undecidable { what } });
            }
        }
    }
    inward(host, view, &forwarding, firewall, out)
}

/// A port that is published through the routing mesh, with its service.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Published<'a> {
    service: &'a str,
    port: u16,
    protocol: Protocol,
}

/// The published ports. Only a manager knows the protocol; a worker knows ports alone, and they are taken as TCP.
fn published_ports<'a>(host: &'a Host, view: &'a View<'_>) -> Result<BTreeSet<Published<'a>>, Gap> {
    let services = view.snapshot.services.get().map(|services| services.value.as_slice()).unwrap_or_default();
    let protocol = |service: &str, published: u16| {
        let ports = services.iter().filter(|one| one.name == service).flat_map(|one| &one.ports);
        ports
            .filter(|port| port.published == published)
            .find_map(|port| port.protocol)
            .unwrap_or(Protocol::Tcp)
    };
    let ports = published(host)?.into_iter().map(|port| Published {
        service: &port.service,
        port: port.published,
        protocol: protocol(&port.service, port.published),
    });
    Ok(ports.collect())
}

/// Packets to published ports. Packets that reach the engine's own chains, or the end of the chain, are not judged here.
fn inward(
    host: &Host,
    view: &View<'_>,
    forwarding: &Forwarding,
    firewall: &Seen<Ruleset>,
    out: &mut Findings<'_>,
) -> Judged {
    let own = |chain: &str| chain.starts_with("DOCKER") && chain != "DOCKER-USER";
    let mut blocked: Vec<(Location<'_>, bool, Vec<String>)> = Vec::new();
    let mut undetermined = None;
    for Published { service, port, protocol } in published_ports(host, view)? {
        let port_of = match protocol {
            Protocol::Udp => format!("{port}/udp of {service}"),
            _ => format!("{port} of {service}"),
        };
        match evaluate(&firewall.value, &forwarding.inward(protocol, port)) {
            Outcome::Blocked { location, rejected, .. }
                if location.rule.is_some() && !location.path.iter().any(|chain| own(chain)) =>
            {
                match blocked
                    .iter_mut()
                    .find(|(other, ..)| other.rule == location.rule && other.chain == location.chain)
                {
                    Some((_, _, ports)) => ports.push(port_of),
                    None => blocked.push((location, rejected.is_some(), vec![port_of])),
                }
            }
            Outcome::Undetermined { location, depends_on } => {
                undetermined.get_or_insert_with(|| {
                    format!(
                        "whether port {port_of} is forwarded depends on {depends_on} in {}",
                        render(&location)
                    )
                });
            }
            // Docker redirects packets to a published port itself.
            Outcome::Blocked { .. } | Outcome::Passes | Outcome::Redirected { .. } => {}
        }
    }
    for (location, rejects, ports) in blocked {
        let owner = RuleOwner::of(&location);
        let verb = if rejects { "rejects" } else { "drops" };
        let ports = ports.join(", ");
        let summary = format!(
            "{} on {} {verb} packets to the published port {ports}: {}",
            owner.name(),
            host.name,
            render(&location)
        );
        let shown = Evidence::value(firewall, format!("published port {ports}: {}", render(&location)));
        out.report(Subject::Node(host.name.clone()), summary, shown)
            .severity(Severity::Warning)
            .remedy(remedy(host, &owner, &location, &firewall.value));
    }
    match undetermined {
        Some(what) => Err(Gap { source: firewall.source.clone(), why: Why::Undecidable { what } }),
        None => Ok(()),
    }
}

fn remedy(host: &Host, owner: &RuleOwner, location: &Location<'_>, ruleset: &Ruleset) -> Remedy {
    let node = host.name.clone();
    let (text, changes) = changes(owner, location, ruleset);
    let step = match changes {
        Ok(changes) => Step::ChangeFirewall { node: node.into(), text: text.into(), changes },
        Err(command) => Step::Manual { node: node.into(), text: text.into(), commands: vec![command] },
    };
    Remedy {
        title: format!("Allow forwarding for containers in the firewall of {}", host.name).into(),
        risk: Risk::Safe,
        impact: "Running tasks are not affected.".into(),
        steps: vec![step],
    }
}

/// What to change, and the changes; a command where an operator has to review it first.
fn changes(
    owner: &RuleOwner,
    location: &Location<'_>,
    ruleset: &Ruleset,
) -> (&'static str, Result<Vec<FirewallChange>, String>) {
    let (table, chain) = (location.table, location.chain);
    let arguments = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    match (owner, location.rule) {
        (RuleOwner::Firewalld { panic: true, .. }, _) => (
            "firewalld is in panic mode and drops all packets: switch panic mode off",
            Err("firewall-cmd --panic-off".to_owned()),
        ),
        (RuleOwner::Firewalld { .. }, _) => (
            "assign the bridge to a zone that forwards everything, permanently and at run time",
            Ok([true, false]
                .map(|permanent| FirewallChange::FirewalldInterface {
                    zone: "trusted",
                    interface: BRIDGE,
                    permanent,
                })
                .to_vec()),
        ),
        (RuleOwner::Ufw, _) => (
            "let ufw route packets from the bridge; the rule persists across restarts",
            Ok(vec![FirewallChange::UfwRoute { interface: BRIDGE }]),
        ),
        (RuleOwner::Nft, rule) => {
            let chain = [table.family.to_string(), table.name.clone(), chain.name.clone()];
            match rule {
                Some((_, rule)) => (
                    "delete the rule now, and in the file that it is loaded from at boot",
                    Ok(vec![FirewallChange::NftDelete { chain, handle: rule.handle }]),
                ),
                None => (
                    "accept packets of the bridge now, and in the file that the chain is loaded from at boot",
                    Ok([
                        format!("iifname {BRIDGE} accept"),
                        format!("oifname {BRIDGE} ct state established,related accept"),
                    ]
                    .map(|rule| FirewallChange::NftInsert {
                        chain: chain.clone(),
                        before: None,
                        rule: arguments(rule),
                    })
                    .to_vec()),
                ),
            }
        }
        (RuleOwner::Iptables { .. }, rule) => {
            let program = owner.program(ruleset);
            let (table_name, chain) = (table.name.clone(), chain.name.clone());
            match rule {
                Some((number, rule)) => {
                    let written = rule.as_iptables(table);
                    // A rule with quotes, or with a match that has no iptables syntax here, is left to the operator.
                    let plain = written.clone().filter(|written| !written.contains('"'));
                    let opening = plain.map(|written| FirewallChange::IptablesDelete {
                        program,
                        table: table_name.clone(),
                        chain: chain.clone(),
                        rule: arguments(written),
                        number,
                    });
                    let in_table = match table_name.as_str() {
                        "filter" => String::new(),
                        other => format!("-t {other} "),
                    };
                    let written = written.unwrap_or_else(|| number.to_string());
                    (
                        "delete the rule now, and in the file that the rules are loaded from at boot",
                        opening.map(|opening| vec![opening]).ok_or_else(|| {
                            format!("{program} {in_table}-D {} {written}", shell_quote(&chain))
                        }),
                    )
                }
                None => (
                    "accept packets of the bridge now, and in the file that the rules are loaded from at boot",
                    Ok([
                        format!("-i {BRIDGE} ! -o {BRIDGE} -j ACCEPT"),
                        format!("-o {BRIDGE} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
                    ]
                    .map(|rule| FirewallChange::IptablesInsert {
                        program,
                        table: table_name.clone(),
                        chain: chain.clone(),
                        rule: arguments(rule),
                    })
                    .to_vec()),
                ),
            }
        }
    }
}
