use super::firewall::author::Author;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::firewall::{Expr, Family, Ruleset, Verdict};
use facts::swarm::LocalState;
use facts::{Gap, Host, Why};

check! {
    /// The rules that the engine keeps in iptables are gone.
    ///
    /// ## Why it matters
    /// The engine makes its chains when it starts and takes them for granted from then on. Whatever empties the tables
    /// behind its back (`iptables -F`, `nft flush ruleset`, the start or a reload of firewalld, a script that loads
    /// rules of its own) takes them away: containers reach nothing outside, published ports reach nobody, and the
    /// next container with a port fails with `No chain/target/match by that name`.
    ///
    /// ## How to fix it
    /// Restart the engine: it makes them anew. Put rules of your own into the chain DOCKER-USER, and have what loads
    /// rules at the start run before the engine, or restart it afterwards.
    ///
    /// ## When it is wrong
    /// Where the engine keeps no rules there (`"iptables": false`, or the backend nftables) nothing is said. Whether
    /// DOCKER-INGRESS should be there is not judged.
    ///
    /// Source: moby `libnetwork/iptables`, moby#12294, moby#50443, firewalld#503.
    "host/docker-chains-missing": Error, "the engine's own firewall rules are gone";
    needs Firewall, Info, DaemonJson, EngineProcess;
    caused_by "host/firewall-drops-swarm";
    for each Host: run
}

/// What every engine has that keeps rules in iptables: a jump out of a chain of the kernel to one of its own, whichever
/// of these its version makes.
const JUMPS: [(&str, &str, &[&str]); 3] = [
    ("filter", "FORWARD", &["DOCKER-USER"]),
    ("filter", "FORWARD", &["DOCKER-FORWARD", "DOCKER-ISOLATION-STAGE-1"]),
    ("nat", "PREROUTING", &["DOCKER"]),
];

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    // An engine that does not answer may not have made its rules yet, or never again.
    let info = host.info.get()?;
    if info.swarm.state == LocalState::Inactive {
        return Ok(());
    }
    let firewall = host.firewall.get()?;
    let gone: Vec<_> =
        JUMPS.iter().filter(|(table, from, to)| !jumps(&firewall.value, table, from, to)).collect();
    if gone.is_empty() || !keeps_rules(host)? {
        return Ok(());
    }
    let words: Vec<String> = gone
        .iter()
        .map(|(table, from, to)| match to.iter().find(|to| has(&firewall.value, table, to)) {
            Some(to) => format!("nothing in {table} {from} jumps to {to}"),
            None => format!("{table} has no chain {}", to.join(" or ")),
        })
        .collect();
    let node = host.name.clone();
    let summary = format!("the engine's rules on {node} are gone: {}", words.join(", "));
    let finding =
        out.report(Subject::Node(node.clone()), summary, Evidence::value(firewall, words.join("\n")));
    let steps = vec![Step::RestartEngine { node: node.clone() }];
    let impact = match Author::runs_firewalld(&firewall.value) {
        // An engine that was started before firewalld never hears of its reloads.
        true => {
            "the tasks of this node stop, and start again here or elsewhere; firewalld runs here, and the engine has to \
             start after it at the next boot as well"
        }
        false => "the tasks of this node stop, and start again here or elsewhere",
    };
    finding.remedy(Remedy {
        title: format!("Have the engine of {node} make its rules anew").into(),
        risk: Risk::Disruptive,
        impact: impact.into(),
        steps,
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

/// The engine may use either kind of iptables.
fn tables<'a>(rules: &'a Ruleset, name: &'a str) -> impl Iterator<Item = &'a facts::firewall::Table> {
    rules.tables.iter().filter(move |table| table.family == Family::Ip && table.name == name)
}

/// Whether the engine was told to keep rules in iptables, as it does unless somebody says otherwise.
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
    let told = |name: &str| {
        let written = file.and_then(|config| config.get(name)).map(|value| match value.as_str() {
            Some(text) => text.to_owned(),
            None => value.to_string(),
        });
        flag(name).or(written)
    };
    let off =
        told("iptables").is_some_and(|value| matches!(value.to_lowercase().as_str(), "false" | "f" | "0"));
    Ok(!off && told("firewall-backend").as_deref() != Some("nftables"))
}
