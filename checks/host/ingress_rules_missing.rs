use super::firewall::engine_rules::{RuleBackend, has_chain, jumps, rule_backend, tables};
use super::firewall::forwarding::{Forwarding, published};
use super::firewall::rule_owner::render;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::firewall::{Expr, Field, Outcome, Rule, Ruleset, Table, Verdict, conditions, evaluate};
use facts::host::{ModuleState, Protocol};
use facts::join_progress::since_start;
use facts::swarm::LocalState;
use std::collections::BTreeSet;

check! {
    /// The firewall rules of the ingress routing mesh (DOCKER-INGRESS) are missing on this node, or another rule comes first.
    ///
    /// ## Why it matters
    /// The engine redirects published ports to the ingress sandbox with rules in the chain DOCKER-INGRESS, which it creates when a
    /// service is published. A reload of firewalld, `iptables -t nat -F` or a script that loads other rules removes them. On a
    /// reload of firewalld only engines from 25.0.13 and from 29.0 create them again. Then published ports do not answer on this node.
    /// In 28.0.0 a rule that drops packets to docker_gwbridge comes before DOCKER-INGRESS.
    ///
    /// ## How to fix it
    /// Restart the engine. Keep your own rules in DOCKER-USER. Upgrade 28.0.0.
    ///
    /// ## When it is wrong
    /// In the first seconds after a service is published.
    ///
    /// Source: moby `libnetwork/service_linux.go`, moby#50443, moby#49536, firewalld#503.
    "host/ingress-rules-missing": Error, "the firewall rules of the ingress routing mesh are missing";
    healthy "the firewall rules of the ingress routing mesh are in place";
    needs Firewall, Networks, Modules, EngineLog, Info, DaemonJson, EngineProcess, Interfaces, Routes;
    caused_by "host/docker-chains-missing", "host/ipvs-missing", "network/ingress-missing";
    for each Host: run
}

const CHAIN: &str = "DOCKER-INGRESS";

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    if info.swarm.state != LocalState::Active {
        return Ok(());
    }
    let networks = host.networks.get()?;
    let attached = networks.iter().any(|network| network.ingress && !network.endpoints.is_empty());
    let ports: BTreeSet<u16> = published(host)?.into_iter().map(|port| port.published).collect();
    if !attached || ports.is_empty() {
        return Ok(());
    }
    // Without IPVS the engine creates no ingress rules, and host/ipvs-missing reports that.
    let modules = host.modules.get()?;
    let ipvs = modules.0.get("ip_vs").map(|module| module.state);
    if !matches!(ipvs, Some(ModuleState::Loaded | ModuleState::BuiltIn)) {
        return Ok(());
    }
    let log = host.log.get()?;
    if since_start(log).iter().any(|line| line.message.starts_with("Could not get ipvs family information")) {
        return Ok(());
    }
    let firewall = host.firewall.get()?;
    if rule_backend(host)? != RuleBackend::Iptables {
        return Ok(());
    }
    let rules = &firewall.value;
    let mut missing = Vec::new();
    for (table, from) in [("nat", "PREROUTING"), ("filter", "FORWARD")] {
        if !has_chain(rules, table, CHAIN) {
            missing.push(format!("{table} has no chain {CHAIN}"));
        } else if !reached(rules, table, from) {
            missing.push(format!("no rule in {table} {from} leads to {CHAIN}"));
        }
    }
    let (summary, shown, confidence) = if missing.is_empty() {
        let closed: Vec<_> =
            ports.iter().filter(|port| !redirects(rules, **port)).map(u16::to_string).collect();
        if closed.is_empty() {
            return order(host, &ports, out);
        }
        let shown = format!("nat {CHAIN} has no rule for published port {}", closed.join(", "));
        (
            format!("published port {} does not work on {}: {shown}", closed.join(", "), host.name),
            shown,
            Confidence::Medium,
        )
    } else {
        let shown = missing.join("\n");
        (
            format!("published ports do not work on {}: {}", host.name, missing.join(", ")),
            shown,
            Confidence::High,
        )
    };
    let listed = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    out.report(Subject::Node(host.name.clone()), summary, Evidence::value(firewall, shown))
        .with(Evidence::value(networks, format!("published through ingress: {listed}")))
        .confidence(confidence)
        .remedy(remedy(host, "restart the engine, which creates the ingress rules again"));
    Ok(())
}

/// Whether a chain of the kernel leads to DOCKER-INGRESS, directly or through another chain of Docker.
fn reached(rules: &Ruleset, table: &str, from: &str) -> bool {
    jumps(rules, table, from, &[CHAIN])
        || jumps(rules, table, from, &["DOCKER-FORWARD"]) && jumps(rules, table, "DOCKER-FORWARD", &[CHAIN])
}

fn of_port(table: &Table, port: u16) -> impl Iterator<Item = &Rule> {
    let port = port.to_string();
    let chains = table.chains.iter().filter(|chain| chain.name == CHAIN);
    chains.flat_map(|chain| &chain.rules).filter(move |rule| {
        let (matches, _) = conditions(table, rule);
        matches
            .iter()
            .any(|one| one.field == Field::DestinationPort && !one.negated && one.values.contains(&port))
    })
}

fn redirects(rules: &Ruleset, port: u16) -> bool {
    let dnat = |rule: &Rule| {
        rule.exprs.iter().any(|expr| matches!(expr, Expr::Redirect { .. } | Expr::Unknown { .. }))
    };
    tables(rules, "nat").any(|table| of_port(table, port).any(dnat))
}

/// Whether a rule of Docker drops what DOCKER-INGRESS accepts.
fn order(host: &Host, ports: &BTreeSet<u16>, out: &mut Findings<'_>) -> Judged {
    let Some(forwarding) = Forwarding::of(host)? else { return Ok(()) };
    let firewall = host.firewall.get()?;
    let accepts = |rule: &Rule| {
        rule.exprs.iter().any(|expr| matches!(expr, Expr::Verdict { verdict: Verdict::Accept }))
    };
    for port in ports {
        let accepted = tables(&firewall.value, "filter").any(|table| of_port(table, *port).any(accepts));
        if !accepted {
            continue;
        }
        if let Outcome::Blocked { location, .. } =
            evaluate(&firewall.value, &forwarding.inward(Protocol::Tcp, *port))
            && location.path.iter().any(|chain| chain.starts_with("DOCKER") && *chain != "DOCKER-USER")
        {
            let summary = format!(
                "published ports do not work on {}: `{}` drops their packets before {CHAIN} accepts them",
                host.name,
                render(&location)
            );
            let shown = format!("published port {port}: {}", render(&location));
            out.report(Subject::Node(host.name.clone()), summary, Evidence::value(firewall, shown))
                .remedy(remedy(host, "upgrade the engine if it is 28.0.0, and restart it"));
            return Ok(());
        }
    }
    Ok(())
}

fn remedy(host: &Host, text: &str) -> Remedy {
    Remedy {
        title: format!("Restart the engine of {} to create the ingress rules again", host.name).into(),
        risk: Risk::Disruptive,
        impact: "All tasks on this node restart.".into(),
        steps: vec![
            Step::Manual {
                node: host.name.clone().into(),
                text: text.into(),
                commands: vec!["docker version --format '{{.Server.Version}}'".into()],
            },
            Step::RestartEngine { node: host.name.clone().into() },
        ],
    }
}
