//! One change of firewall rules that accepts packets, as a command of the program that manages the rules.

use crate::remedy::shell_quote;

/// One change of firewall rules. Each is one program with its arguments, run without a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirewallChange {
    /// Open a port in firewalld.
    FirewalldPort {
        /// `None` is the default zone.
        zone: Option<String>,
        /// The port, such as `7946/udp`.
        port: String,
        /// Permanent configuration (`--permanent`) instead of runtime.
        permanent: bool,
    },
    /// Remove a rejecting or dropping rich rule from firewalld.
    FirewalldRichRule {
        /// `None` is the default zone.
        zone: Option<String>,
        /// The rule.
        rule: String,
        /// Permanent configuration (`--permanent`) instead of runtime.
        permanent: bool,
    },
    /// Add an interface to a zone of firewalld.
    FirewalldInterface {
        /// The zone.
        zone: &'static str,
        /// The interface.
        interface: &'static str,
        /// Permanent configuration (`--permanent`) instead of runtime.
        permanent: bool,
    },
    /// Allow forwarding from an interface in ufw (`ufw route allow in on`).
    UfwRoute {
        /// The interface.
        interface: &'static str,
    },
    /// Allow a port in ufw.
    UfwAllow {
        /// The port, such as `7946/udp`.
        port: String,
        /// Outgoing instead of incoming.
        out: bool,
        /// Insert it before all other rules.
        first: bool,
    },
    /// Delete a rule of ufw that denies a port.
    UfwDelete {
        /// Its action, such as `deny`.
        verb: &'static str,
        /// The port, such as `7946/udp`.
        port: String,
        /// Outgoing instead of incoming.
        out: bool,
    },
    /// Delete a rule of iptables.
    IptablesDelete {
        /// Such as `iptables` or `ip6tables-nft`.
        program: &'static str,
        /// The table.
        table: String,
        /// The chain.
        chain: String,
        /// The rule as arguments of the command.
        rule: Vec<String>,
        /// Its position in the chain, from 1.
        number: usize,
    },
    /// Insert a rule of iptables at the start of a chain.
    IptablesInsert {
        /// Such as `iptables` or `ip6tables-nft`.
        program: &'static str,
        /// The table.
        table: String,
        /// The chain.
        chain: String,
        /// The rule as arguments of the command.
        rule: Vec<String>,
    },
    /// Delete a rule of nft.
    NftDelete {
        /// Family, table and chain.
        chain: [String; 3],
        /// The handle of the rule.
        handle: u64,
    },
    /// Insert a rule of nft.
    NftInsert {
        /// Family, table and chain.
        chain: [String; 3],
        /// Insert it before the rule with this handle; `None` is the start of the chain.
        before: Option<u64>,
        /// The rule as arguments of the command.
        rule: Vec<String>,
    },
}

impl FirewallChange {
    /// The program and its arguments.
    pub fn argv(&self) -> Vec<String> {
        self.arguments(Direction::Apply)
    }

    /// The program that reverts it, with its arguments; `None` for nft, where a handle must be looked up first.
    pub fn inverse(&self) -> Option<Vec<String>> {
        match self {
            Self::NftDelete { .. } | Self::NftInsert { .. } => None,
            _ => Some(self.arguments(Direction::Revert)),
        }
    }

    /// The command with its arguments quoted for a shell.
    pub fn command(&self) -> String {
        // An option is not quoted, only its value.
        let shown = |text: &String| match (text.strip_prefix('-'), text.split_once('=')) {
            (Some(_), Some((flag, value))) => format!("{flag}={}", shell_quote(value)),
            (Some(flag), None) if flag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') => text.clone(),
            _ => shell_quote(text),
        };
        self.argv().iter().map(shown).collect::<Vec<_>>().join(" ")
    }

    fn arguments(&self, direction: Direction) -> Vec<String> {
        let revert = direction == Direction::Revert;
        let mut argv: Vec<String> = Vec::new();
        let mut put = |words: &[&str]| argv.extend(words.iter().map(|word| (*word).to_owned()));
        match self {
            Self::FirewalldPort { zone, port, permanent } => {
                let verb = if revert { "remove" } else { "add" };
                put(&["firewall-cmd"]);
                argv.extend(zone.iter().map(|zone| format!("--zone={zone}")));
                argv.push(format!("--{verb}-port={port}"));
                argv.extend(permanent.then(|| "--permanent".to_owned()));
            }
            Self::FirewalldRichRule { zone, rule, permanent } => {
                let verb = if revert { "add" } else { "remove" };
                put(&["firewall-cmd"]);
                argv.extend(zone.iter().map(|zone| format!("--zone={zone}")));
                argv.extend(permanent.then(|| "--permanent".to_owned()));
                argv.push(format!("--{verb}-rich-rule={rule}"));
            }
            Self::FirewalldInterface { zone, interface, permanent } => {
                let verb = if revert { "remove" } else { "change" };
                put(&["firewall-cmd"]);
                argv.extend(permanent.then(|| "--permanent".to_owned()));
                argv.extend([format!("--zone={zone}"), format!("--{verb}-interface={interface}")]);
            }
            Self::UfwRoute { interface } => {
                put(&["ufw", "route"]);
                put(if revert { &["delete"] } else { &[] });
                put(&["allow", "in", "on", interface]);
            }
            Self::UfwAllow { port, out, first } => {
                put(&["ufw"]);
                match (revert, first) {
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
                put(&["ufw", if revert { "prepend" } else { "delete" }, verb]);
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
                match revert {
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
                put(&[if revert { "-D" } else { "-I" }, chain]);
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
enum Direction {
    Apply,
    Revert,
}
