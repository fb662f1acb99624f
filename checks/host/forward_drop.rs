use super::firewall::author::{Author, spoken};
use super::firewall::traffic::{BRIDGE, way_out};
use crate::remedy::word;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::firewall::{Fate, Flow, Place, Ruleset, fate};
use facts::{Gap, Host, Why};

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
    /// Where containers are meant to reach nothing outside. The doctor follows one connection, to port 443 of an address
    /// that the default route leads to; what is dropped by address or port alone is not seen.
    ///
    /// Source: moby `libnetwork/drivers/bridge/setup_ip_tables.go`; Docker docs "Packet filtering and firewalls".
    "host/forward-drop": Error, "the node does not forward for its containers";
    needs Firewall, Interfaces, Routes;
    caused_by "host/docker-chains-missing", "host/firewall-drops-swarm";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let packets = way_out(host)?;
    if packets.is_empty() {
        return Ok(());
    }
    let firewall = host.firewall.get()?;
    for packet in &packets {
        let what = match packet.flow {
            Flow::Answer => format!("answers to containers of {BRIDGE}"),
            Flow::New | Flow::Further => format!("what containers of {BRIDGE} send out"),
        };
        match fate(&firewall.value, packet) {
            Fate::Passes => {}
            Fate::Ends { place, rejected, .. } => {
                let author = Author::of(&place);
                let verb = if rejected.is_some() { "rejects" } else { "drops" };
                let summary = format!("{} on {} {verb} {what}: {}", author.name(), host.name, spoken(&place));
                let proof = Evidence::value(firewall, format!("{what}: {}", spoken(&place)));
                let finding = out.report(Subject::Node(host.name.clone()), summary, proof);
                finding.remedy(remedy(host, &author, &place, &firewall.value));
                return Ok(());
            }
            Fate::Open { place, on } => {
                let what = format!("whether {what} are forwarded depends on {on} in {}", spoken(&place));
                return Err(Gap { source: firewall.source.clone(), why: Why::Undecidable { what } });
            }
        }
    }
    Ok(())
}

fn remedy(host: &Host, author: &Author, place: &Place<'_>, ruleset: &Ruleset) -> Remedy {
    let (table, chain) = (place.table, place.chain);
    let at = format!("{} {} {}", table.family, word(&table.name), word(&chain.name));
    let (text, commands) = match (author, place.rule) {
        (Author::Firewalld { panic: true, .. }, _) => (
            "firewalld is in panic mode and lets nothing through: end it",
            vec!["firewall-cmd --panic-off".to_owned()],
        ),
        (Author::Firewalld { .. }, _) => (
            "put the bridge into a zone that lets everything on, for good and at once",
            vec![
                format!("firewall-cmd --permanent --zone=trusted --change-interface={BRIDGE}"),
                format!("firewall-cmd --zone=trusted --change-interface={BRIDGE}"),
            ],
        ),
        (Author::Ufw, _) => (
            "have ufw route what comes from the bridge, which it keeps across restarts",
            vec![format!("ufw route allow in on {BRIDGE}")],
        ),
        (Author::Nft, Some((_, rule))) => (
            "take the rule away now, and out of the file it was loaded from, or the next start brings it back",
            vec![format!("nft delete rule {at} handle {}", rule.handle)],
        ),
        (Author::Nft, None) => (
            "let the bridge through now, and in the file that the chain was loaded from, or the next start forgets it",
            vec![
                format!("nft insert rule {at} iifname {BRIDGE} accept"),
                format!("nft insert rule {at} oifname {BRIDGE} ct state established,related accept"),
            ],
        ),
        (Author::Iptables { .. }, rule) => {
            let program = author.program(ruleset);
            let name = match table.name.as_str() {
                "filter" => String::new(),
                other => format!("-t {other} "),
            };
            match rule {
                Some((number, rule)) => (
                    "take the rule away now, and where rules are loaded from at the next start",
                    vec![format!(
                        "{program} {name}-D {} {}",
                        word(&chain.name),
                        rule.as_iptables(table).unwrap_or_else(|| number.to_string())
                    )],
                ),
                None => (
                    "let the bridge through now, and where rules are loaded from at the next start",
                    vec![
                        format!(
                            "{program} {name}-I {} -i {BRIDGE} ! -o {BRIDGE} -j ACCEPT",
                            word(&chain.name)
                        ),
                        format!(
                            "{program} {name}-I {} -o {BRIDGE} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                            word(&chain.name)
                        ),
                    ],
                ),
            }
        }
    };
    Remedy {
        title: format!("Let {} forward for its containers", host.name).into(),
        risk: Risk::Harmless,
        impact: "nothing that runs is touched".into(),
        steps: vec![Step::ByHand { node: host.name.clone(), text: text.into(), commands }],
    }
}
