use super::firewall::engine_rules::{RuleBackend, has_chain, jumps, rule_backend};
use super::firewall::rule_owner::RuleOwner;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::swarm::LocalState;

check! {
    /// The iptables rules of the engine are missing.
    ///
    /// ## Why it matters
    /// The engine creates its chains when it starts and expects them to stay. `iptables -F`, `nft flush ruleset`, a start or
    /// reload of firewalld, or a script that loads other rules removes them. Then containers reach nothing outside,
    /// published ports do not work, and the next container with a port fails with `No chain/target/match by that name`.
    ///
    /// ## How to fix it
    /// Restart the engine: it creates its rules again. Put your own rules into the chain DOCKER-USER. Start the program that
    /// loads rules at boot before the engine, or restart the engine afterwards.
    ///
    /// ## When it is wrong
    /// Where the engine keeps no rules in iptables (`"iptables": false`, or the nftables backend) nothing is reported.
    /// The ingress rules have a check of their own, host/ingress-rules-missing.
    ///
    /// Source: moby `libnetwork/iptables`, moby#12294, moby#50443, firewalld#503.
    "host/docker-chains-missing": Error, "the firewall rules of the engine are missing";
    healthy "the firewall rules of the engine are in place";
    needs Firewall, Info, DaemonJson, EngineProcess;
    caused_by "host/firewall-drops-swarm";
    for each Host: run
}

/// The jumps that every engine creates that keeps rules in iptables: table, chain of the kernel, and the chains of Docker,
/// of which each engine version creates one.
const JUMPS: [(&str, &str, &[&str]); 3] = [
    ("filter", "FORWARD", &["DOCKER-USER"]),
    ("filter", "FORWARD", &["DOCKER-FORWARD", "DOCKER-ISOLATION-STAGE-1"]),
    ("nat", "PREROUTING", &["DOCKER"]),
];

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    // An engine that does not answer may not have created its rules yet.
    let info = host.info.get()?;
    if info.swarm.state == LocalState::Inactive {
        return Ok(());
    }
    let firewall = host.firewall.get()?;
    let missing: Vec<_> =
        JUMPS.iter().filter(|(table, from, to)| !jumps(&firewall.value, table, from, to)).collect();
    if missing.is_empty() || rule_backend(host)? != RuleBackend::Iptables {
        return Ok(());
    }
    let phrases: Vec<String> = missing
        .iter()
        .map(|(table, from, to)| match to.iter().find(|to| has_chain(&firewall.value, table, to)) {
            Some(to) => format!("no rule in {table} {from} jumps to {to}"),
            None => format!("{table} has no chain {}", to.join(" or ")),
        })
        .collect();
    let node = host.name.clone();
    let summary = format!("the firewall rules of dockerd on {node} are missing: {}", phrases.join(", "));
    let finding =
        out.report(Subject::Node(node.clone()), summary, Evidence::value(firewall, phrases.join("\n")));
    // An engine that was started before firewalld is not notified of its reloads.
    let impact = if RuleOwner::runs_firewalld(&firewall.value) {
        "All tasks on this node restart. firewalld is running: it must also start before the engine at boot."
    } else {
        "All tasks on this node restart."
    };
    finding.remedy(Remedy {
        title: format!("Restart the engine of {node} to create its rules again").into(),
        risk: Risk::Disruptive,
        impact: impact.into(),
        steps: vec![Step::RestartEngine { node: node.into() }],
    });
    Ok(())
}
