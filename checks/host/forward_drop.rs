use super::firewall::author::{Author, spoken};
use super::firewall::forwarding::{BRIDGE, Forwarding, published};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Opening, Remedy, Risk, Severity, Step, Subject, View};
use facts::firewall::{Fate, Flow, Place, Ruleset, fate};
use facts::{Gap, Host, Seen, Why};

check! {
    /// The node's packet filter does not forward what containers of overlays send out, or its answers.
    ///
    /// ## Why it matters
    /// Tasks on overlay networks reach everything outside the swarm through the bridge docker_gwbridge, and published
    /// ports come in over it. Where forwarding is dropped between it and the outside, tasks run and find each other,
    /// while databases, registries and APIs beyond the swarm time out.
    ///
    /// ## How to fix it
    /// Give the commands it names; they are in the language of whatever wrote the rule.
    ///
    /// ## When it is wrong
    /// Where containers are meant to reach nothing outside, or a published port is closed on purpose, which is why that is a
    /// warning. The doctor follows one connection out, to port 443 of an address that the default route leads to, and from
    /// there one to each port that services publish by TCP through the routing mesh; what is dropped by another address
    /// or port alone is not seen.
    ///
    /// Source: moby `libnetwork/drivers/bridge/setup_ip_tables.go`; Docker docs "Packet filtering and firewalls".
    "host/forward-drop": Error, "the node does not forward for its containers";
    needs Firewall, Interfaces, Routes, Networks, EngineProcess;
    caused_by "host/docker-chains-missing", "host/firewall-drops-swarm", "swarm/membership-lost";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let Some(forwarding) = Forwarding::of(host)? else { return Ok(()) };
    let firewall = host.firewall.get()?;
    for packet in &forwarding.outward() {
        let what = match packet.flow {
            Flow::Answer => format!("answers to containers of {BRIDGE}"),
            Flow::New | Flow::Further => format!("what containers of {BRIDGE} send out"),
        };
        match fate(&firewall.value, packet) {
            Fate::Passes => {}
            Fate::Ends { place, .. } if place.rule.is_none() && host.engine.get()?.running().is_none() => {
                let reason = format!(
                    "the engine does not run, and makes {} ready for its containers as it starts",
                    spoken(&place)
                );
                return Err(Gap { source: firewall.source.clone(), why: Why::NotApplicable { reason } });
            }
            Fate::Ends { place, rejected, .. } => {
                let author = Author::of(&place);
                let verb = if rejected.is_some() { "rejects" } else { "drops" };
                let summary = format!("{} on {} {verb} {what}: {}", author.name(), host.name, spoken(&place));
                let proof = Evidence::value(firewall, format!("{what}: {}", spoken(&place)));
                let finding = out.report(Subject::Node(host.name.clone()), summary, proof);
                finding.remedy(remedy(host, &author, &place, &firewall.value));
                return Ok(());
            }
            Fate::Redirected { place, how } => {
                let what = format!("{what} go elsewhere by `{how}` in {}", spoken(&place));
                return Err(Gap { source: firewall.source.clone(), why: Why::Undecidable { what } });
            }
            Fate::Open { place, on } => {
                let what = format!("whether {what} are forwarded depends on {on} in {}", spoken(&place));
                return Err(Gap { source: firewall.source.clone(), why: Why::Undecidable { what } });
            }
        }
    }
    inward(host, &forwarding, firewall, out)
}

/// What comes for published ports. What becomes of a packet that has come to the engine's own chains, or past them, is
/// another matter.
fn inward(host: &Host, forwarding: &Forwarding, firewall: &Seen<Ruleset>, out: &mut Findings<'_>) -> Judged {
    let own = |chain: &str| chain.starts_with("DOCKER") && chain != "DOCKER-USER";
    let mut shut: Vec<(Place<'_>, bool, Vec<String>)> = Vec::new();
    let mut open = None;
    for port in published(host)? {
        let what = format!("{} of {}", port.published, port.service);
        match fate(&firewall.value, &forwarding.inward(port.published)) {
            Fate::Ends { place, rejected, .. }
                if place.rule.is_some() && !place.path.iter().any(|chain| own(chain)) =>
            {
                match shut
                    .iter_mut()
                    .find(|(other, ..)| other.rule == place.rule && other.chain == place.chain)
                {
                    Some((_, _, ports)) => ports.push(what),
                    None => shut.push((place, rejected.is_some(), vec![what])),
                }
            }
            Fate::Open { place, on } => {
                open.get_or_insert_with(|| {
                    format!("whether port {what} is forwarded depends on {on} in {}", spoken(&place))
                });
            }
            // What comes for a published port is meant to go elsewhere.
            Fate::Ends { .. } | Fate::Passes | Fate::Redirected { .. } => {}
        }
    }
    for (place, rejects, ports) in shut {
        let author = Author::of(&place);
        let verb = if rejects { "rejects" } else { "drops" };
        let ports = ports.join(", ");
        let summary = format!(
            "{} on {} {verb} what comes for the published port {ports}: {}",
            author.name(),
            host.name,
            spoken(&place)
        );
        let proof = Evidence::value(firewall, format!("published port {ports}: {}", spoken(&place)));
        out.report(Subject::Node(host.name.clone()), summary, proof)
            .severity(Severity::Warning)
            .remedy(remedy(host, &author, &place, &firewall.value));
    }
    match open {
        Some(what) => Err(Gap { source: firewall.source.clone(), why: Why::Undecidable { what } }),
        None => Ok(()),
    }
}

fn remedy(host: &Host, author: &Author, place: &Place<'_>, ruleset: &Ruleset) -> Remedy {
    let node = host.name.clone();
    let (text, openings) = openings(author, place, ruleset);
    let step = match openings {
        Ok(openings) => Step::OpenFilter { node, text: text.into(), openings },
        Err(command) => Step::Manual { node, text: text.into(), commands: vec![command] },
    };
    Remedy {
        title: format!("Let {} forward for its containers", host.name).into(),
        risk: Risk::Safe,
        impact: "nothing that runs is touched".into(),
        steps: vec![step],
    }
}

/// What to do, and how; a command where a person has to do it.
fn openings(
    author: &Author,
    place: &Place<'_>,
    ruleset: &Ruleset,
) -> (&'static str, Result<Vec<Opening>, String>) {
    let (table, chain) = (place.table, place.chain);
    let words = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    match (author, place.rule) {
        (Author::Firewalld { panic: true, .. }, _) => (
            "firewalld is in panic mode and lets nothing through: end it",
            Err("firewall-cmd --panic-off".to_owned()),
        ),
        (Author::Firewalld { .. }, _) => (
            "put the bridge into a zone that lets everything on, for good and at once",
            Ok([true, false]
                .map(|permanent| Opening::FirewalldInterface {
                    zone: "trusted",
                    interface: BRIDGE,
                    permanent,
                })
                .to_vec()),
        ),
        (Author::Ufw, _) => (
            "have ufw route what comes from the bridge, which it keeps across restarts",
            Ok(vec![Opening::UfwRoute { interface: BRIDGE }]),
        ),
        (Author::Nft, rule) => {
            let chain = [table.family.to_string(), table.name.clone(), chain.name.clone()];
            match rule {
                Some((_, rule)) => (
                    "take the rule away now, and out of the file it was loaded from, or the next start brings it back",
                    Ok(vec![Opening::NftDelete { chain, handle: rule.handle }]),
                ),
                None => (
                    "let the bridge through now, and in the file that the chain was loaded from, or the next start forgets \
                     it",
                    Ok([
                        format!("iifname {BRIDGE} accept"),
                        format!("oifname {BRIDGE} ct state established,related accept"),
                    ]
                    .map(|rule| Opening::NftInsert { chain: chain.clone(), before: None, rule: words(rule) })
                    .to_vec()),
                ),
            }
        }
        (Author::Iptables { .. }, rule) => {
            let program = author.program(ruleset);
            let (table_name, chain) = (table.name.clone(), chain.name.clone());
            match rule {
                Some((number, rule)) => {
                    let written = rule.as_iptables(table);
                    // A rule with quotes in it, or one that iptables has no words for, is left to a person.
                    let plain = written.clone().filter(|written| !written.contains('"'));
                    let opening = plain.map(|written| Opening::IptablesDelete {
                        program,
                        table: table_name.clone(),
                        chain: chain.clone(),
                        rule: words(written),
                        number,
                    });
                    let in_table = match table_name.as_str() {
                        "filter" => String::new(),
                        other => format!("-t {other} "),
                    };
                    let written = written.unwrap_or_else(|| number.to_string());
                    (
                        "take the rule away now, and where rules are loaded from at the next start",
                        opening.map(|opening| vec![opening]).ok_or_else(|| {
                            format!("{program} {in_table}-D {} {written}", shell_quote(&chain))
                        }),
                    )
                }
                None => (
                    "let the bridge through now, and where rules are loaded from at the next start",
                    Ok([
                        format!("-i {BRIDGE} ! -o {BRIDGE} -j ACCEPT"),
                        format!("-o {BRIDGE} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
                    ]
                    .map(|rule| Opening::IptablesInsert {
                        program,
                        table: table_name.clone(),
                        chain: chain.clone(),
                        rule: words(rule),
                    })
                    .to_vec()),
                ),
            }
        }
    }
}
