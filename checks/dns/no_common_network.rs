use super::told::{listed, named, told, written_down};
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::service::Service;

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
    "dns/no-common-network": Error, "a service is told the name of another one that is on none of its networks";
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
            .confidence(Confidence::Medium);
        finding.with(Evidence::value(services, shown(service))).with(Evidence::value(services, shown(other)));
        let (add, to) = match (other.networks.first(), service.networks.first()) {
            (Some(network), _) => (named(network, view), service),
            (None, Some(network)) => (named(network, view), other),
            (None, None) => continue,
        };
        finding.remedy(Remedy {
            title: "Put both on one network".into(),
            risk: Risk::Disruptive,
            impact: "the tasks of the service restart".into(),
            steps: vec![Step::Manual {
                node: "a manager".into(),
                text: "let one of them join a network of the other; and so in the file of its stack, or its next deployment \
                       takes it back"
                    .into(),
                commands: vec![format!("docker service update --network-add {} {}", shell_quote(&add), shell_quote(&to.name))],
            }],
        });
    }
    Ok(())
}

/// The first setting that names a service which no network of this one leads to.
fn apart<'a>(service: &'a Service, services: &'a [Service]) -> Option<(&'a str, &'a str, &'a Service)> {
    told(service).find_map(|(variable, host)| {
        let anywhere = |other: &&Service| other.replicas != Some(0) && other.is_called(host);
        let here = |other: &Service| service.networks.iter().any(|network| other.goes_by(host, network));
        let other = services.iter().find(anywhere)?;
        let known = written_down(service, host) || services.iter().any(here);
        (!known).then_some((variable, host, other))
    })
}
