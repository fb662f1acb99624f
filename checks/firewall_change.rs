//! One change to a packet filter that lets packets through, in the language of who keeps its rules.

use crate::remedy::shell_quote;

/// One change to a packet filter. Each is one program with its arguments, and no shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirewallChange {
    /// firewalld opens a port.
    FirewalldPort {
        /// The zone; the default one where none is named.
        zone: Option<String>,
        /// The port, such as `7946/udp`.
        port: String,
        /// For every start instead of for now.
        permanent: bool,
    },
    /// firewalld forgets a rich rule that forbids.
    FirewalldRichRule {
        /// The zone; the default one where none is named.
        zone: Option<String>,
        /// The rule.
        rule: String,
        /// For every start instead of for now.
        permanent: bool,
    },
    /// firewalld takes an interface into a zone.
    FirewalldInterface {
        /// The zone.
        zone: &'static str,
        /// The interface.
        interface: &'static str,
        /// For every start instead of for now.
        permanent: bool,
    },
    /// ufw lets through what comes from an interface.
    UfwRoute {
        /// The interface.
        interface: &'static str,
    },
    /// ufw allows a port.
    UfwAllow {
        /// The port, such as `7946/udp`.
        port: String,
        /// Outward.
        out: bool,
        /// Before all its other rules.
        first: bool,
    },
    /// ufw forgets a rule that forbids a port.
    UfwDelete {
        /// What it does, such as `deny`.
        verb: &'static str,
        /// The port, such as `7946/udp`.
        port: String,
        /// Outward.
        out: bool,
    },
    /// iptables forgets a rule.
    IptablesDelete {
        /// `iptables` or one of its kin.
        program: &'static str,
        /// The table.
        table: String,
        /// The chain.
        chain: String,
        /// The rule, one word of the command each.
        rule: Vec<String>,
        /// Its number in the chain, from 1.
        number: usize,
    },
    /// iptables takes a rule before all others of a chain.
    IptablesInsert {
        /// `iptables` or one of its kin.
        program: &'static str,
        /// The table.
        table: String,
        /// The chain.
        chain: String,
        /// The rule, one word of the command each.
        rule: Vec<String>,
    },
    /// nft forgets a rule.
    NftDelete {
        /// Family, table and chain.
        chain: [String; 3],
        /// The rule.
        handle: u64,
    },
    /// nft takes a rule.
    NftInsert {
        /// Family, table and chain.
        chain: [String; 3],
        /// Before this rule, where one is named; else before all.
        before: Option<u64>,
        /// The rule, one word of the command each.
        rule: Vec<String>,
    },
}

impl FirewallChange {
    /// The program and its arguments.
    pub fn argv(&self) -> Vec<String> {
        self.with(Way::Do)
    }

    /// What takes it back, where that is one program with its arguments too.
    pub fn inverse(&self) -> Option<Vec<String>> {
        match self {
            Self::NftDelete { .. } | Self::NftInsert { .. } => None,
            _ => Some(self.with(Way::Undo)),
        }
    }

    /// The command a person would type for it.
    pub fn command(&self) -> String {
        // Flags begin with dashes and are meant so; what one is set to is quoted by itself.
        let shown = |text: &String| match (text.strip_prefix('-'), text.split_once('=')) {
            (Some(_), Some((flag, value))) => format!("{flag}={}", shell_quote(value)),
            (Some(flag), None) if flag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') => text.clone(),
            _ => shell_quote(text),
        };
        self.argv().iter().map(shown).collect::<Vec<_>>().join(" ")
    }

    fn with(&self, way: Way) -> Vec<String> {
        let back = way == Way::Undo;
        let mut argv: Vec<String> = Vec::new();
        let mut put = |words: &[&str]| argv.extend(words.iter().map(|word| (*word).to_owned()));
        match self {
            Self::FirewalldPort { zone, port, permanent } => {
                let verb = if back { "remove" } else { "add" };
                put(&["firewall-cmd"]);
                argv.extend(zone.iter().map(|zone| format!("--zone={zone}")));
                argv.push(format!("--{verb}-port={port}"));
                argv.extend(permanent.then(|| "--permanent".to_owned()));
            }
            Self::FirewalldRichRule { zone, rule, permanent } => {
                let verb = if back { "add" } else { "remove" };
                put(&["firewall-cmd"]);
                argv.extend(zone.iter().map(|zone| format!("--zone={zone}")));
                argv.extend(permanent.then(|| "--permanent".to_owned()));
                argv.push(format!("--{verb}-rich-rule={rule}"));
            }
            Self::FirewalldInterface { zone, interface, permanent } => {
                let verb = if back { "remove" } else { "change" };
                put(&["firewall-cmd"]);
                argv.extend(permanent.then(|| "--permanent".to_owned()));
                argv.extend([format!("--zone={zone}"), format!("--{verb}-interface={interface}")]);
            }
            Self::UfwRoute { interface } => {
                put(&["ufw", "route"]);
                put(if back { &["delete"] } else { &[] });
                put(&["allow", "in", "on", interface]);
            }
            Self::UfwAllow { port, out, first } => {
                put(&["ufw"]);
                match (back, first) {
                    (true, _) => put(&["delete"]),
                    (false, true) => put(&["insert", "1"]),
                    (false, false) => {}
                }
                put(&["allow"]);
                if *out {
                    put(&["out"]);
                }
                put(&[port]);
            }
            Self::UfwDelete { verb, port, out } => {
                put(&["ufw", if back { "prepend" } else { "delete" }, verb]);
                if *out {
                    put(&["out"]);
                }
                put(&[port]);
            }
            Self::IptablesDelete { program, table, chain, rule, number } => {
                put(&[program]);
                if table != "filter" {
                    put(&["-t", table]);
                }
                match back {
                    true => put(&["-I", chain, &number.to_string()]),
                    false => put(&["-D", chain]),
                }
                argv.extend(rule.iter().cloned());
            }
            Self::IptablesInsert { program, table, chain, rule } => {
                put(&[program]);
                if table != "filter" {
                    put(&["-t", table]);
                }
                put(&[if back { "-D" } else { "-I" }, chain]);
                argv.extend(rule.iter().cloned());
            }
            Self::NftDelete { chain: [family, table, chain], handle } => {
                put(&["nft", "delete", "rule", family, table, chain, "handle", &handle.to_string()]);
            }
            Self::NftInsert { chain: [family, table, chain], before, rule } => {
                put(&["nft", "insert", "rule", family, table, chain]);
                if let Some(before) = before {
                    put(&["handle", &before.to_string()]);
                }
                argv.extend(rule.iter().cloned());
            }
        }
        argv
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Do,
    Undo,
}
