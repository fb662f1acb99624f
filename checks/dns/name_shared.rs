use super::told::{named, told, written_down};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::Seen;
use facts::service::Service;
use std::collections::BTreeSet;

check! {
    /// Two services that are not of one kind answer to one name on one network.
    ///
    /// ## Why it matters
    /// `docker stack deploy` gives every service its short name as an alias on each of its networks. Where two stacks share
    /// a network, as behind one reverse proxy, `db` or `web` of the one is `db` or `web` of the other as well: the
    /// engine's DNS server gives the addresses of both in turn, and an application talks to a stranger every other time.
    ///
    /// ## How to fix it
    /// Look for the service under its full name, such as `shop_db`, or keep what the other stack need not reach off the
    /// network that both share.
    ///
    /// ## When it is wrong
    /// Where one name is meant to lead to several services. Those of one stack, or of none, that run one image are
    /// taken for a group and left alone.
    ///
    /// Source: moby#30134, moby `daemon/libnetwork/agent.go` (addServiceBinding), docker/cli
    /// `cli/compose/convert/service.go`.
    "dns/name-shared": Warning, "one name leads to several services on one network";
    needs Services, Networks;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    let awake = || services.iter().filter(|it| it.replicas != Some(0) && !it.job);
    let aliases = awake().flat_map(|it| &it.network_aliases).filter(|(_, alias)| !alias.contains('{'));
    let shared: BTreeSet<_> = aliases.map(|(network, alias)| (network.as_str(), alias.as_str())).collect();
    for (network, name) in shared {
        let all: Vec<_> = awake().filter(|it| it.goes_by(name, network)).collect();
        let Some((first, other)) = strangers(&all) else { continue };
        // A task that looks for its own stack's service gets the stranger, too: there is no order.
        let asks = |it: &'_ Service| {
            let here = it.networks.iter().any(|own| own == network) && !written_down(it, name);
            let (variable, _) = told(it).find(|(_, host)| here && host.eq_ignore_ascii_case(name))?;
            Some(variable.to_owned())
        };
        let asking = awake().find_map(|it| Some((it, asks(it)?)));
        report(name, network, (first, other), asking, services, view, out);
    }
    Ok(())
}

/// Two services that are no group.
fn strangers<'a>(all: &[&'a Service]) -> Option<(&'a Service, &'a Service)> {
    let first = all.first()?;
    let stranger =
        |other: &&&Service| first.stack() != other.stack() || repository(first) != repository(other);
    Some((*first, *all.iter().find(stranger)?))
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
    asking: Option<(&Service, String)>,
    services: &Seen<Vec<Service>>,
    view: &View<'_>,
    out: &mut Findings<'_>,
) {
    let on = named(network, view);
    let both = format!("{} and {}", first.name, other.name);
    let summary = match &asking {
        Some((asking, variable)) => {
            format!("{} looks for {name} ({variable}), and on {on} both {both} answer to it", asking.name)
        }
        None => format!("on {on} both {both} answer to the name {name}"),
    };
    let shown = |it: &Service| {
        let stack = it.stack().map(|stack| format!(" of the stack {stack}")).unwrap_or_default();
        format!("{}{stack}, image {}: answers to {name} on {on}", it.name, repository(it))
    };
    let subject = Subject::Service(asking.as_ref().map_or(first, |(asking, _)| asking).name.clone());
    let finding = out.report(subject, summary, Evidence::value(services, shown(first)));
    finding.with(Evidence::value(services, shown(other)));
    if asking.is_some() {
        finding.severity(Severity::Error);
    }
    let (text, commands) = match &asking {
        Some((asking, variable)) => {
            // Which of them is meant shows where one is of the same stack.
            let own = [first, other].into_iter().find(|it| it.stack() == asking.stack());
            let meant =
                own.map_or_else(|| format!("{} or {}", first.name, other.name), |own| own.name.clone());
            let whole = asking.env.get(variable).is_some_and(|value| value.eq_ignore_ascii_case(name));
            let update = |own: &Service| {
                let setting = format!("{variable}={}", own.name);
                format!(
                    "docker service update --env-add {} {}",
                    shell_quote(&setting),
                    shell_quote(&asking.name)
                )
            };
            let text = format!(
                "let {} look for {meant} in {variable}; and so in the file of its stack",
                asking.name
            );
            (text, own.filter(|_| whole).map(update).into_iter().collect())
        }
        None => (format!("let what looks for {name} look for {} or {}", first.name, other.name), Vec::new()),
    };
    finding.remedy(Remedy {
        title: "Use a name that only one of them has".into(),
        risk: Risk::Disruptive,
        impact: "the tasks of the service that is changed restart".into(),
        steps: vec![Step::Manual { node: "a manager".into(), text, commands }],
    });
}
