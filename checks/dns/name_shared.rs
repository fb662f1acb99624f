use crate::model::configured_hosts::{configured_hosts, has_host_entry};
use crate::model::network_names::network_name;
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, Target, View};
use facts::Seen;
use facts::service::Service;
use std::collections::BTreeSet;

check! {
    /// Two unrelated services have the same name or alias on one network.
    ///
    /// ## Why it matters
    /// `docker stack deploy` gives each service its short name as an alias on each of its networks. If two stacks share
    /// a network, for example behind one reverse proxy, then `db` or `web` of one stack is also `db` or `web` of the
    /// other. The embedded DNS server returns the addresses of both, so an application connects to the wrong
    /// service about half of the time.
    ///
    /// ## How to fix it
    /// Use the full service name, such as `shop_db`. Or keep services that the other stack does not need off the
    /// shared network.
    ///
    /// ## When it is wrong
    /// If one name is meant to resolve to several services. Services of one stack, or without a stack, that run the
    /// same image count as one group and are not reported.
    ///
    /// Source: moby#30134, moby `daemon/libnetwork/agent.go` (addServiceBinding), docker/cli
    /// `cli/compose/convert/service.go`.
    "dns/name-shared": Warning, "one name resolves to unrelated services on one network";
    healthy "every alias belongs to one service on each network";
    needs Services, Networks;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    let active = || services.iter().filter(|it| it.replicas != Some(0) && !it.job);
    let aliases = active().flat_map(|it| &it.network_aliases).filter(|(_, alias)| !alias.contains('{'));
    let candidates: BTreeSet<_> =
        aliases.map(|(network, alias)| (network.as_str(), alias.as_str())).collect();
    for (network, name) in candidates {
        let owners: Vec<_> = active().filter(|it| it.goes_by(name, network)).collect();
        let Some((first, other)) = unrelated(&owners) else { continue };
        // The answer holds both services, even for a task of the same stack as one of them.
        let variable_of = |it: &'_ Service| {
            let attached = it.networks.iter().any(|own| own == network) && !has_host_entry(it, name);
            let (variable, _) =
                configured_hosts(it).find(|(_, host)| attached && host.eq_ignore_ascii_case(name))?;
            Some(variable.to_owned())
        };
        let client = active().find_map(|it| Some((it, variable_of(it)?)));
        report(name, network, (first, other), client, services, view, out);
    }
    Ok(())
}

/// Two services of different stacks or different images.
fn unrelated<'a>(owners: &[&'a Service]) -> Option<(&'a Service, &'a Service)> {
    let first = owners.first()?;
    let differs =
        |other: &&&Service| first.stack() != other.stack() || repository(first) != repository(other);
    Some((*first, *owners.iter().find(differs)?))
}

/// The image without its tag and digest.
fn repository(service: &Service) -> &str {
    let image = service.image.split('@').next().unwrap_or_default();
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => image,
    }
}

fn report(
    name: &str,
    network: &str,
    (first, other): (&Service, &Service),
    client: Option<(&Service, String)>,
    services: &Seen<Vec<Service>>,
    view: &View<'_>,
    out: &mut Findings<'_>,
) {
    let network = network_name(network, view);
    let both = format!("{} and {}", first.name, other.name);
    let summary = match &client {
        Some((client, variable)) => format!(
            "{} is configured with {name} ({variable}), and on {network} both {both} have this name",
            client.name
        ),
        None => format!("on {network} both {both} have the name {name}"),
    };
    let owner = |it: &Service| {
        let stack = it.stack().map(|stack| format!(" of the stack {stack}")).unwrap_or_default();
        format!("{}{stack}, image {}: has the name {name} on {network}", it.name, repository(it))
    };
    let subject = Subject::Service(client.as_ref().map_or(first, |(client, _)| client).name.clone());
    let finding = out.report(subject, summary, Evidence::value(services, owner(first)));
    finding.with(Evidence::value(services, owner(other)));
    if client.is_some() {
        finding.severity(Severity::Error);
    }
    let (title, impact, text, commands) = match &client {
        Some((client, variable)) => {
            // The service of the client's own stack is the intended one.
            let own = [first, other].into_iter().find(|it| it.stack() == client.stack());
            let intended =
                own.map_or_else(|| format!("{} or {}", first.name, other.name), |own| own.name.clone());
            let whole_value = client.env.get(variable).is_some_and(|value| value.eq_ignore_ascii_case(name));
            let update = |own: &Service| {
                let setting = format!("{variable}={}", own.name);
                format!(
                    "docker service update --env-add {} {}",
                    shell_quote(&setting),
                    shell_quote(&client.name)
                )
            };
            (
                format!("Set {variable} of {} to the full name {intended}", client.name),
                format!("The tasks of {} restart.", client.name),
                format!(
                    "use {intended} instead of {name} in {variable}, and in the stack file of {}",
                    client.name
                ),
                own.filter(|_| whole_value).map(update).into_iter().collect(),
            )
        }
        None => (
            format!("Use {} or {} instead of {name}", first.name, other.name),
            "The tasks of the changed services restart.".to_owned(),
            format!("use {} or {} in the services that connect to {name}", first.name, other.name),
            Vec::new(),
        ),
    };
    finding.remedy(Remedy {
        title: title.into(),
        risk: Risk::Disruptive,
        impact: impact.into(),
        steps: vec![Step::Manual { node: Target::AnyManager, text, commands }],
    });
}
