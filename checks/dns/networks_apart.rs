use crate::remedy::word;
use crate::{Certainty, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::service::Service;
use std::collections::BTreeSet;

check! {
    /// A service is told the name of another one, and no network has both.
    ///
    /// ## Why it matters
    /// A name resolves on the networks that a task is on, and nowhere else. Services of two stacks, or of one stack with a
    /// network for the front and one for the back, see each other only where they share one: the name is unknown
    /// otherwise, although `docker service ls` shows both running.
    ///
    /// ## How to fix it
    /// Put both on one network.
    ///
    /// ## When it is wrong
    /// Where the name is meant for another machine that goes by the same.
    ///
    /// Source: Docker docs, "Use swarm mode networking" (service discovery is per network).
    "dns/networks-apart": Error, "a service is told the name of another one that is on none of its networks";
    needs Services, Networks;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    for service in services.iter().filter(|it| it.replicas != Some(0) && !it.job && !it.networks.is_empty()) {
        // Those in the node's own network ask the node's name servers.
        let of_node = service.networks.iter().any(|it| named(it, view) == "host");
        let Some((variable, host, other)) = (!of_node).then(|| apart(service, services)).flatten() else {
            continue;
        };
        let (own, theirs) = (listed(service, view), listed(other, view));
        let theirs = if theirs.is_empty() { "no overlay".to_owned() } else { theirs };
        let summary = format!(
            "{} looks for {host} ({variable}), and no network has both: it is on {own}, and {} is on {theirs}",
            service.name, other.name
        );
        let shown = |it: &Service| format!("{}: networks {}", it.name, listed(it, view));
        let finding = out
            .report(
                Subject::Service(service.name.clone()),
                summary,
                Evidence::value(services, format!("{}: {variable} names {host}", service.name)),
            )
            .certainty(Certainty::Likely);
        finding.and(Evidence::value(services, shown(service))).and(Evidence::value(services, shown(other)));
        let (add, to) = match (other.networks.first(), service.networks.first()) {
            (Some(network), _) => (named(network, view), service),
            (None, Some(network)) => (named(network, view), other),
            (None, None) => continue,
        };
        finding.remedy(Remedy {
            title: "Put both on one network".into(),
            risk: Risk::RestartsTasks,
            impact: "the tasks of the service restart".into(),
            steps: vec![Step::ByHand {
                node: "a manager".into(),
                text: "let one of them join a network of the other; and so in the file of its stack, or its next deployment \
                       takes it back"
                    .into(),
                commands: vec![format!("docker service update --network-add {} {}", word(&add), word(&to.name))],
            }],
        });
    }
    Ok(())
}

/// The first setting that names a service which no network of this one leads to.
fn apart<'a>(service: &'a Service, services: &'a [Service]) -> Option<(&'a str, &'a str, &'a Service)> {
    // A value may hold a password: of it the host alone is told.
    service.env.iter().find_map(|(variable, value)| {
        let (host, other) = hosts(variable, value).into_iter().find_map(|host| {
            let names = |line: &String| line.split_whitespace().skip(1).any(|name| name == host);
            let here = |other: &Service| {
                goes_by(other, host) && (other.id == service.id || together(service, other))
            };
            let other = services.iter().find(|other| goes_by(other, host) && other.replicas != Some(0))?;
            let known = service.hosts.iter().any(names) || services.iter().any(here);
            (!known).then_some((host, other))
        })?;
        Some((variable.as_str(), host, other))
    })
}

fn goes_by(service: &Service, host: &str) -> bool {
    service.name.eq_ignore_ascii_case(host)
        || service.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(host))
}

fn together(one: &Service, other: &Service) -> bool {
    one.networks.iter().any(|network| other.networks.contains(network))
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
fn named(network: &str, view: &View<'_>) -> String {
    let lists = view.snapshot.hosts.iter().filter_map(|host| host.networks.get().ok());
    let found = lists.flat_map(|list| &list.value).find(|it| it.id.as_str() == network);
    found.map_or_else(|| network.to_owned(), |it| it.name.clone())
}

fn listed(service: &Service, view: &View<'_>) -> String {
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
