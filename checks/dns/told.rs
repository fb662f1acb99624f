//! The names that services are told, and the networks on which they look for them.

use crate::View;
use facts::service::Service;
use std::collections::BTreeSet;

/// Where a service is told a host's name: the variable, and the name. A value may hold a password, so that of it the host
/// alone is told.
pub(super) fn told(service: &Service) -> impl Iterator<Item = (&str, &str)> {
    let of = |(variable, value)| hosts(variable, value).into_iter().map(move |host| (variable, host));
    service.env.iter().map(|(variable, value)| (variable.as_str(), value.as_str())).flat_map(of)
}

/// Whether the service's own entries in the hosts files of its tasks have the name.
pub(super) fn written_down(service: &Service, host: &str) -> bool {
    service.hosts.iter().any(|line| line.split_whitespace().skip(1).any(|name| name == host))
}

/// The ends of names of variables that hold hosts.
const ENDS: &[&str] = &[
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

/// The hosts in a value: of an address with a scheme or with a port, or plain where the variable is named for one.
fn hosts<'a>(variable: &str, value: &'a str) -> BTreeSet<&'a str> {
    let plain = ENDS.iter().any(|end| variable.to_ascii_uppercase().ends_with(end));
    let one = |part: &'a str| {
        let (scheme, rest) =
            part.trim().split_once("://").map_or((false, part.trim()), |(_, rest)| (true, rest));
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let bare = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) =
            bare.split_once(':').map_or((bare, false), |(host, port)| (host, port.parse::<u16>().is_ok()));
        (scheme || port || plain).then_some(host).filter(|host| !host.is_empty())
    };
    value.split([',', ' ', ';']).filter_map(one).collect()
}

/// The name of a network that is given by its id.
pub(super) fn named(network: &str, view: &View<'_>) -> String {
    let lists = view.snapshot.hosts.iter().filter_map(|host| host.networks.get().ok());
    let found = lists.flat_map(|list| &list.value).find(|it| it.id.as_str() == network);
    found.map_or_else(|| network.to_owned(), |it| it.name.clone())
}

/// The names of all networks of a service.
pub(super) fn listed(service: &Service, view: &View<'_>) -> String {
    service.networks.iter().map(|network| named(network, view)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::hosts;

    #[test]
    fn a_host_is_told_from_other_values() {
        let all = |variable, value| hosts(variable, value).into_iter().collect::<Vec<_>>();
        assert_eq!(all("DB", "postgres://user:pw@db:5432/app"), ["db"]);
        assert_eq!(all("ZK", "zk1:2181,zk2:2181/nifi"), ["zk1", "zk2"]);
        assert_eq!(all("DB_HOST", "db"), ["db"]);
        for (variable, value) in [("MODE", "db"), ("TIME", "12:xx"), ("A_URL", "")] {
            assert!(all(variable, value).is_empty(), "{variable}={value}");
        }
    }
}
