use crate::model::configured_hosts::{configured_hosts, has_host_entry};
use crate::model::network_names::{network_name, network_names};
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::service::Service;

check! {
    /// A service is configured with the name of another service, and they share no network.
    ///
    /// ## Why it matters
    /// A service name resolves only on the networks that the service is attached to. Two services of different
    /// stacks, or of one stack with a front and a back network, resolve each other only on a shared network.
    /// Otherwise the lookup ends with NXDOMAIN, although `docker service ls` shows both services as running.
    ///
    /// ## How to fix it
    /// Attach both services to one network.
    ///
    /// ## When it is wrong
    /// If the name is meant for a host outside the swarm that has the same name as a service.
    ///
    /// Source: Docker docs, "Use swarm mode networking" (service discovery is per network).
    "dns/no-common-network": Error, "a service is configured with the name of a service that shares no network with it";
    healthy "services share a network with every service they are configured with";
    needs Services, Networks;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    for service in services.iter().filter(|it| it.replicas != Some(0) && !it.job && !it.networks.is_empty()) {
        // A task with the host's network uses the node's DNS servers.
        let host_network = service.networks.iter().any(|id| network_name(id, view) == "host");
        if host_network {
            continue;
        }
        let Some((variable, host, other)) = unreachable_service(service, services) else { continue };
        let (own, theirs) = (network_names(service, view), network_names(other, view));
        let theirs = if theirs.is_empty() { "no overlay".to_owned() } else { theirs };
        let summary = format!(
            "{} is configured with {host} ({variable}), and no network has both: {} is on {own}, {} is on {theirs}",
            service.name, service.name, other.name
        );
        let networks = |it: &Service| format!("{}: networks {}", it.name, network_names(it, view));
        let finding = out
            .report(
                Subject::Service(service.name.clone()),
                summary,
                Evidence::value(services, format!("{}: {variable} contains the host {host}", service.name)),
            )
            .confidence(Confidence::Medium);
        finding
            .with(Evidence::value(services, networks(service)))
            .with(Evidence::value(services, networks(other)));
        let (add, to) = match (other.networks.first(), service.networks.first()) {
            (Some(network), _) => (network_name(network, view), service),
            (None, Some(network)) => (network_name(network, view), other),
            (None, None) => continue,
        };
        finding.remedy(Remedy {
            title: format!("Attach {} to the network {add}", to.name).into(),
            risk: Risk::Disruptive,
            impact: format!("The tasks of {} restart.", to.name).into(),
            steps: vec![Step::Manual {
                node: Target::AnyManager,
                text: "attach one service to a network of the other; make the same change in the stack file, or the \
                       next deployment reverts it"
                    .into(),
                commands: vec![format!("docker service update --network-add {} {}", shell_quote(&add), shell_quote(&to.name))],
            }],
        });
    }
    Ok(())
}

/// The first configured host that is a service on none of this service's networks.
fn unreachable_service<'a>(
    service: &'a Service,
    services: &'a [Service],
) -> Option<(&'a str, &'a str, &'a Service)> {
    configured_hosts(service).find_map(|(variable, host)| {
        let anywhere = |other: &&Service| other.replicas != Some(0) && other.is_called(host);
        let shares = |other: &Service| service.networks.iter().any(|network| other.goes_by(host, network));
        let other = services.iter().find(anywhere)?;
        let resolvable = has_host_entry(service, host) || services.iter().any(shares);
        (!resolvable).then_some((variable, host, other))
    })
}
