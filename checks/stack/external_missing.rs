use super::{compose, line, surroundings};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::stack::{Compose, Kind, StackResource};
use facts::{Gap, Host, Source, Why};

check! {
    /// The swarm does not have a network, secret or config that the stack expects.
    ///
    /// ## Why it matters
    /// A resource that the file calls `external` must exist before. Otherwise the deployment stops with part of the stack
    /// created. The same holds for a resource that a service names and the file does not define.
    ///
    /// ## How to fix it
    /// Create the resource, or correct its name.
    ///
    /// ## When it is wrong
    /// Another stack that is deployed before this one creates it.
    ///
    /// Source: docker/cli `cli/command/stack/swarm/deploy_composefile.go`.
    "stack/external-missing": Error, "an external network, secret or config does not exist";
    healthy "every external network, secret and config exists";
    needs Stack, Networks;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    let compose = compose(stack)?;
    let known = surroundings(stack)?;
    for (kind, name, number) in undefined(compose) {
        let summary = format!("a service names {} {name}, which the file does not define", kind.as_str());
        out.report(Subject::Cluster, summary, line(stack, number));
    }
    for resource in compose.resources.iter().filter(|resource| resource.external) {
        let name = resource.name.as_ref().unwrap_or(&resource.key.value);
        let networks = host.networks.get()?;
        let (evidence, problem, commands) = match resource.kind {
            // A missing volume is created on the node, empty.
            Kind::Volume => continue,
            Kind::Network => {
                let found: Vec<_> = networks.iter().filter(|network| network.name == *name).collect();
                if found.iter().any(|network| network.scope == "swarm")
                    || matches!(name.as_str(), "host" | "bridge" | "none")
                {
                    continue;
                }
                let make = vec![format!("docker network create --driver overlay {}", shell_quote(name))];
                match found.first() {
                    Some(network) => {
                        let shown =
                            format!("{}: driver {}, scope {}", network.name, network.driver, network.scope);
                        let problem = format!("has scope local (driver {}) and not swarm", network.driver);
                        (Evidence::value(networks, shown), problem, make)
                    }
                    None => (
                        Evidence::absent(networks, format!("no network {name}")),
                        "does not exist".into(),
                        make,
                    ),
                }
            }
            Kind::Secret | Kind::Config => {
                let (list, path) = match resource.kind {
                    Kind::Secret => (&known.secrets, "GET /secrets"),
                    _ => (&known.configs, "GET /configs"),
                };
                let source = Source { origin: path.into(), ..stack.surroundings.get()?.source.clone() };
                let Some(list) = list else {
                    let what = format!(
                        "only a manager lists the {}s, where {} must exist",
                        resource.kind.as_str(),
                        resource.key.value
                    );
                    out.inconclusive(
                        Subject::Cluster,
                        Gap { source, why: Why::NotApplicable { reason: what } },
                    );
                    continue;
                };
                if list.contains(name) {
                    continue;
                }
                let make = format!("docker {} create {} FILE", resource.kind.as_str(), shell_quote(name));
                let what = format!("no {} {name}", resource.kind.as_str());
                (Evidence::Absent { source, what }, "does not exist".to_owned(), vec![make])
            }
        };
        report(resource, name, problem, commands, line(stack, resource.key.line), evidence, out);
    }
    Ok(())
}

fn report(
    resource: &StackResource,
    name: &str,
    problem: String,
    commands: Vec<String>,
    at: Evidence,
    evidence: Evidence,
    out: &mut Findings<'_>,
) {
    let kind = resource.kind.as_str();
    let summary = format!("the external {kind} {name} {problem}");
    out.report(Subject::Cluster, summary, at).with(evidence).remedy(Remedy {
        title: format!("Create the {kind} {name}").into(),
        risk: Risk::Safe,
        impact: super::NOTHING_RUNS.into(),
        steps: vec![Step::Manual {
            node: Target::AnyManager,
            text: "create it before the deployment, or correct its name in the file".into(),
            commands,
        }],
    });
}

/// What services name and the file does not define.
fn undefined(compose: &Compose) -> Vec<(Kind, &str, u32)> {
    let defined = |kind: Kind, name: &str| {
        (kind == Kind::Network && name == "default")
            || compose.resources.iter().any(|resource| resource.kind == kind && resource.key.value == name)
    };
    let uses = compose.services.iter().flat_map(|service| &service.uses);
    let named = uses.map(|(kind, name)| (*kind, name.value.as_str(), name.line));
    let volumes = compose
        .services
        .iter()
        .flat_map(|service| &service.mounts)
        .filter(|mount| !mount.value.bind && !mount.value.source.is_empty());
    let volumes = volumes.map(|mount| (Kind::Volume, mount.value.source.as_str(), mount.line));
    named.chain(volumes).filter(|(kind, name, _)| !defined(*kind, name)).collect()
}
