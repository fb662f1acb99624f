//! Which tool owns a rule, and so with which command it is changed.

use facts::firewall::{Family, Location, Ruleset};

/// The tool that a rule belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::host) enum RuleOwner {
    /// firewalld.
    Firewalld {
        /// The zone, where the name of the chain contains it.
        zone: Option<String>,
        /// Panic mode (`--panic-on`): all packets are dropped.
        panic: bool,
    },
    /// ufw.
    Ufw,
    /// iptables.
    Iptables {
        /// It is `ip6tables`.
        v6: bool,
        /// The legacy backend.
        legacy: bool,
    },
    /// nft, or a program that uses nftables directly.
    Nft,
}

impl RuleOwner {
    /// The owner of the rule or policy at this location.
    pub(in crate::host) fn of(location: &Location<'_>) -> Self {
        let table = location.table;
        let any = |wanted: fn(&str) -> bool| location.path.iter().any(|chain| wanted(chain));
        if !table.legacy && table.name.starts_with("firewalld") {
            return Self::Firewalld {
                zone: zone(&location.path, "filter_IN_"),
                panic: table.name != "firewalld",
            };
        }
        let ip = matches!(table.family, Family::Ip | Family::Ip6);
        let usual = ["filter", "nat", "mangle", "raw", "security"].contains(&table.name.as_str());
        let upper_case =
            location.path.first().is_some_and(|chain| chain.bytes().all(|byte| byte.is_ascii_uppercase()));
        if !(table.legacy || ip && usual && upper_case) {
            return Self::Nft;
        }
        let ufw = |chain: &str| chain.starts_with("ufw-") || chain.starts_with("ufw6-");
        // A rule that was added beside those of ufw does not belong to ufw.
        if ufw(&location.chain.name) || location.rule.is_none() && any(|chain| chain.starts_with("ufw")) {
            return Self::Ufw;
        }
        if any(|chain| chain == "INPUT_ZONES") {
            return Self::Firewalld { zone: zone(&location.path, "IN_"), panic: false };
        }
        Self::Iptables { v6: table.family == Family::Ip6, legacy: table.legacy }
    }

    /// Whether firewalld has rules here.
    pub(in crate::host) fn runs_firewalld(ruleset: &Ruleset) -> bool {
        ruleset.tables.iter().any(|table| !table.legacy && table.name.starts_with("firewalld"))
    }

    /// The iptables program that changes its rules; the plain name where only one backend has rules.
    pub(in crate::host) fn program(&self, ruleset: &Ruleset) -> &'static str {
        let both = ruleset.tables.iter().any(|table| !table.legacy);
        match self {
            Self::Iptables { v6: false, legacy: true } if both => "iptables-legacy",
            Self::Iptables { v6: true, legacy: true } if both => "ip6tables-legacy",
            Self::Iptables { v6: true, .. } => "ip6tables",
            _ => "iptables",
        }
    }

    /// The name of the tool.
    pub(in crate::host) fn name(&self) -> &'static str {
        match self {
            Self::Firewalld { .. } => "firewalld",
            Self::Ufw => "ufw",
            Self::Iptables { v6: false, legacy: false } => "iptables",
            Self::Iptables { v6: true, legacy: false } => "ip6tables",
            Self::Iptables { v6: false, legacy: true } => "iptables-legacy",
            Self::Iptables { v6: true, legacy: true } => "ip6tables-legacy",
            Self::Nft => "nftables",
        }
    }
}

/// The rule or policy at a location, in the syntax of its tool.
pub(in crate::host) fn render(location: &Location<'_>) -> String {
    let (table, chain) = (location.table, location.chain);
    let iptables = !matches!(RuleOwner::of(location), RuleOwner::Nft | RuleOwner::Firewalld { .. });
    match location.rule {
        None if iptables => format!("-P {} DROP", chain.name),
        None => format!("{} {} {}: policy drop", table.family, table.name, chain.name),
        Some((number, rule)) => match rule.as_iptables(table).filter(|_| iptables) {
            Some(written) => format!("-A {} {written} (rule {number})", chain.name),
            None => {
                let written = rule.as_nft(table);
                format!("{} {} {}: {written} # handle {}", table.family, table.name, chain.name, rule.handle)
            }
        },
    }
}

/// The zone of the first of these chains. Chains of firewalld policies have similar names. Since firewalld 2 the input of
/// a zone passes `filter_IN_public_to_HOST`.
fn zone(path: &[&str], start: &str) -> Option<String> {
    let zones = path.iter().filter_map(|chain| chain.strip_prefix(start));
    let zone = zones.into_iter().find(|zone| !zone.starts_with("policy_"))?;
    Some(zone.strip_suffix("_to_HOST").unwrap_or(zone).to_owned())
}
