//! Who wrote a rule, and so in whose language it is changed.

use facts::firewall::{Family, Place, Ruleset};

/// Who wrote a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::host) enum Author {
    /// firewalld, for one of its zones.
    Firewalld {
        /// The zone, where the chains tell it.
        zone: Option<String>,
        /// It lets nothing at all through (`--panic-on`).
        panic: bool,
    },
    /// ufw.
    Ufw,
    /// iptables, by whichever kernel part.
    Iptables {
        /// It is `ip6tables`.
        v6: bool,
        /// It is the older one.
        legacy: bool,
    },
    /// nft, or a program that speaks for itself.
    Nft,
}

impl Author {
    /// Who wrote what decides at this place.
    pub(in crate::host) fn of(place: &Place<'_>) -> Self {
        let table = place.table;
        let any = |wanted: fn(&str) -> bool| place.path.iter().any(|chain| wanted(chain));
        if !table.legacy && table.name.starts_with("firewalld") {
            return Self::Firewalld {
                zone: zone(&place.path, "filter_IN_"),
                panic: table.name != "firewalld",
            };
        }
        let ip = matches!(table.family, Family::Ip | Family::Ip6);
        let usual = ["filter", "nat", "mangle", "raw", "security"].contains(&table.name.as_str());
        let shouted =
            place.path.first().is_some_and(|chain| chain.bytes().all(|byte| byte.is_ascii_uppercase()));
        if !(table.legacy || ip && usual && shouted) {
            return Self::Nft;
        }
        let ufw = |chain: &str| chain.starts_with("ufw-") || chain.starts_with("ufw6-");
        // A rule that somebody put beside those of ufw is not ufw's.
        if ufw(&place.chain.name) || place.rule.is_none() && any(|chain| chain.starts_with("ufw")) {
            return Self::Ufw;
        }
        if any(|chain| chain == "INPUT_ZONES") {
            return Self::Firewalld { zone: zone(&place.path, "IN_"), panic: false };
        }
        Self::Iptables { v6: table.family == Family::Ip6, legacy: table.legacy }
    }

    /// Whether firewalld has rules here.
    pub(in crate::host) fn runs_firewalld(ruleset: &Ruleset) -> bool {
        ruleset.tables.iter().any(|table| !table.legacy && table.name.starts_with("firewalld"))
    }

    /// The program of iptables to change its rules with; the plain name where there is but one kind.
    pub(in crate::host) fn program(&self, ruleset: &Ruleset) -> &'static str {
        let both = ruleset.tables.iter().any(|table| !table.legacy);
        match self {
            Self::Iptables { v6: false, legacy: true } if both => "iptables-legacy",
            Self::Iptables { v6: true, legacy: true } if both => "ip6tables-legacy",
            Self::Iptables { v6: true, .. } => "ip6tables",
            _ => "iptables",
        }
    }

    /// What it is called.
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

/// A place as whoever looks for it has to look.
pub(in crate::host) fn spoken(place: &Place<'_>) -> String {
    let (table, chain) = (place.table, place.chain);
    let iptables = !matches!(Author::of(place), Author::Nft | Author::Firewalld { .. });
    match place.rule {
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

/// The zone that the first of these chains is of; the chains of policies are named alike. Since firewalld 2 a zone's
/// traffic to the machine goes by way of `filter_IN_public_to_HOST`.
fn zone(path: &[&str], start: &str) -> Option<String> {
    let zones = path.iter().filter_map(|chain| chain.strip_prefix(start));
    let zone = zones.into_iter().find(|zone| !zone.starts_with("policy_"))?;
    Some(zone.strip_suffix("_to_HOST").unwrap_or(zone).to_owned())
}
