use super::firewall::rule_owner::RuleOwner;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::firewall::{Expr, Family, Ruleset, Verdict};
use facts::swarm::LocalState;
use facts::{Gap, Host, Why};

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
    /// DOCKER-INGRESS is not judged.
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
    if missing.is_empty() || !keeps_rules(host)? {
        return Ok(());
    }
    let phrases: Vec<String> = missing
        .iter()
        .map(|(table, from, to)| match to.iter().find(|to| has(&firewall.value, table, to)) {
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
        steps: vec![Step::RestartEngine { node }],
    });
    Ok(())
}

fn has(rules: &Ruleset, table: &str, chain: &str) -> bool {
    tables(rules, table).any(|table| table.chains.iter().any(|one| one.name == chain))
}

fn jumps(rules: &Ruleset, table: &str, from: &str, to: &[&str]) -> bool {
    let goes = |expr: &Expr| match expr {
        Expr::Verdict { verdict: Verdict::Jump(chain) | Verdict::Goto(chain) } => {
            to.contains(&chain.as_str())
        }
        _ => false,
    };
    tables(rules, table)
        .flat_map(|table| &table.chains)
        .filter(|chain| chain.name == from)
        .flat_map(|chain| &chain.rules)
        .any(|rule| rule.exprs.iter().any(goes))
}

/// The tables of this name in both iptables backends.
fn tables<'a>(rules: &'a Ruleset, name: &'a str) -> impl Iterator<Item = &'a facts::firewall::Table> {
    rules.tables.iter().filter(move |table| table.family == Family::Ip && table.name == name)
}

/// Whether the engine keeps rules in iptables, which is the default.
fn keeps_rules(host: &Host) -> Result<bool, Gap> {
    let process = host.engine.get()?;
    let flag = |name: &str| process.running().and_then(|process| process.flag(name)).map(str::to_owned);
    let seen = host.daemon_json.get()?;
    let file = match seen.value.as_ref().map(|file| &file.parsed) {
        Some(Ok(config)) => Some(config),
        Some(Err(fault)) => {
            let why = Why::Malformed { line: fault.line, what: fault.what.clone() };
            return Err(Gap { source: seen.source.clone(), why });
        }
        None => None,
    };
    let option = |name: &str| {
        let written = file.and_then(|config| config.get(name)).map(|value| match value.as_str() {
            Some(text) => text.to_owned(),
            None => value.to_string(),
        });
        flag(name).or(written)
    };
    let off =
        option("iptables").is_some_and(|value| matches!(value.to_lowercase().as_str(), "false" | "f" | "0"));
    Ok(!off && option("firewall-backend").as_deref() != Some("nftables"))
}
