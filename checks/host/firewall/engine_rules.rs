//! Which firewall rules the engine keeps.

use facts::firewall::{Expr, Family, Ruleset, Table, Verdict};
use facts::{Gap, Host, Why};

/// Where the engine keeps its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::host) enum RuleBackend {
    /// iptables, which is the default.
    Iptables,
    /// nftables (`"firewall-backend": "nftables"`).
    Nftables,
    /// It keeps no rules (`"iptables": false`).
    Disabled,
}

/// The backend by the arguments of the running engine and by daemon.json.
pub(in crate::host) fn rule_backend(host: &Host) -> Result<RuleBackend, Gap> {
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
    Ok(if off {
        RuleBackend::Disabled
    } else if option("firewall-backend").as_deref() == Some("nftables") {
        RuleBackend::Nftables
    } else {
        RuleBackend::Iptables
    })
}

/// Whether a table of this name has the chain.
pub(in crate::host) fn has_chain(rules: &Ruleset, table: &str, chain: &str) -> bool {
    tables(rules, table).any(|table| table.chains.iter().any(|one| one.name == chain))
}

/// Whether a rule of a chain jumps to one of these chains.
pub(in crate::host) fn jumps(rules: &Ruleset, table: &str, from: &str, to: &[&str]) -> bool {
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

/// The IPv4 tables of this name in both iptables backends.
pub(in crate::host) fn tables<'a>(rules: &'a Ruleset, name: &'a str) -> impl Iterator<Item = &'a Table> {
    rules.tables.iter().filter(move |table| table.family == Family::Ip && table.name == name)
}
