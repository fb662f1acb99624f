//! The host names that a service is configured with in its environment.

use facts::service::Service;
use std::collections::BTreeSet;

/// Each host name in the environment, with its variable. Values may hold passwords, so nothing else of a value is
/// returned.
pub(crate) fn configured_hosts(service: &Service) -> impl Iterator<Item = (&str, &str)> {
    let of = |(variable, value)| hosts_in(variable, value).into_iter().map(move |host| (variable, host));
    service.env.iter().map(|(variable, value)| (variable.as_str(), value.as_str())).flat_map(of)
}

/// Whether `extra_hosts` of the service has an entry for the name.
pub(crate) fn has_host_entry(service: &Service, host: &str) -> bool {
    service.hosts.iter().any(|line| line.split_whitespace().skip(1).any(|name| name == host))
}

/// Whether a command, an argument or a list contains a host of this name: as a word, in a URL, or with a port.
pub(crate) fn contains_host(text: &str, name: &str) -> bool {
    let is_separator = |char: char| char.is_whitespace() || "\"'`,;=()|&<>$[]{}".contains(char);
    text.split(is_separator).any(|word| {
        let rest = word.split_once("://").map_or(word, |(_, rest)| rest);
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let without_user = authority.rsplit('@').next().unwrap_or_default();
        let host = without_user.split(':').next().unwrap_or_default();
        !host.is_empty() && host.eq_ignore_ascii_case(name)
    })
}

/// Suffixes of variables that hold host names without a scheme or a port.
const SUFFIXES: &[&str] = &[
    "_HOST",
    "_HOSTS",
    "_URL",
    "_URI",
    "_ADDR",
    "_ADDRESS",
    "_SERVER",
    "_SERVERS",
    "_ENDPOINT",
    "_BROKERS",
    "_STRING",
];

/// The hosts in a value. A bare word is a host only where the variable has one of [`SUFFIXES`].
fn hosts_in<'a>(variable: &str, value: &'a str) -> BTreeSet<&'a str> {
    let bare_allowed = SUFFIXES.iter().any(|suffix| variable.to_ascii_uppercase().ends_with(suffix));
    let one = |part: &'a str| {
        let (has_scheme, rest) =
            part.trim().split_once("://").map_or((false, part.trim()), |(_, rest)| (true, rest));
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let without_user = authority.rsplit('@').next().unwrap_or_default();
        let (host, has_port) = without_user
            .split_once(':')
            .map_or((without_user, false), |(host, port)| (host, port.parse::<u16>().is_ok()));
        (has_scheme || has_port || bare_allowed).then_some(host).filter(|host| !host.is_empty())
    };
    value.split([',', ' ', ';']).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::{contains_host, hosts_in};

    #[test]
    fn finds_a_host_in_a_command() {
        for text in
            ["nslookup zoo2 127.0.0.11", "curl -f http://zoo2:8080/ruok", "--join=zoo2", "nc user@zoo2:22"]
        {
            assert!(contains_host(text, "zoo2"), "{text}");
        }
        for text in ["curl http://localhost/zoo2", "ls /zoo2", "zoo22", "a.zoo2"] {
            assert!(!contains_host(text, "zoo2"), "{text}");
        }
    }

    #[test]
    fn finds_hosts_and_ignores_other_values() {
        let all = |variable, value| hosts_in(variable, value).into_iter().collect::<Vec<_>>();
        assert_eq!(all("DB", "postgres://user:pw@db:5432/app"), ["db"]);
        assert_eq!(all("ZK", "zk1:2181,zk2:2181/nifi"), ["zk1", "zk2"]);
        assert_eq!(all("DB_HOST", "db"), ["db"]);
        for (variable, value) in [("MODE", "db"), ("TIME", "12:xx"), ("A_URL", "")] {
            assert!(all(variable, value).is_empty(), "{variable}={value}");
        }
    }
}
