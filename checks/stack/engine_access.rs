use super::{compose, edit, line, subject};
use crate::placement::{is_open, satisfies};
use crate::{Confidence, Evidence, Findings, Judged, Remedy, View};
use facts::Seen;
use facts::stack::{At, Compose, Stack, StackService};
use facts::swarm::Node;

check! {
    /// A service that reads or manages the swarm cannot reach the engine API that it needs.
    ///
    /// ## Why it matters
    /// Traefik's swarm provider and Portainer's agent talk to the engine through `/var/run/docker.sock`. Without the bind
    /// mount they find no service. Only managers list services: on a worker the swarm provider finds none. An agent
    /// whose cluster address is not `tasks.NAME` of its own service does not find the other agents.
    ///
    /// ## How to fix it
    /// Mount the socket, and constrain Traefik to managers with `node.role == manager`.
    ///
    /// ## When it is wrong
    /// A mounted configuration file names another endpoint. A service with a TCP endpoint is not judged.
    ///
    /// Source: Traefik docs, "Docker Swarm provider"; traefik/traefik#1545, #1361; Portainer docs, agent on swarm.
    "stack/engine-access": Error, "a service that manages the swarm cannot reach the engine API";
    healthy "every service that manages the swarm can reach the engine API";
    needs Stack, Nodes;
    for each Cluster: run
}

/// What a service needs of the engine.
struct Access<'a> {
    title: &'static str,
    /// Whether it has to run on a manager.
    manager: bool,
    /// The setting that names the cluster, and the service name in it.
    cluster: Option<(&'a str, &'a At<String>)>,
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    let compose = compose(stack)?;
    let nodes = view.snapshot.nodes.get();
    for service in &compose.services {
        let name = &service.name.value;
        if let Some((server, number)) = unreachable_server(service, compose) {
            let summary = format!("{name} connects to {server}, and shares no network with it");
            out.report(subject(service), summary, line(stack, number)).remedy(edit(
                stack,
                format!("Attach {name} and {server} to one network"),
                format!("line {number}: list a network of {server} under networks of {name}"),
            ));
        }
        let Some(access) = access(service) else { continue };
        if !service.mounts.iter().any(|mount| mount.value.bind && mount.value.source.ends_with("docker.sock"))
        {
            let summary = format!("{name} runs {}, and /var/run/docker.sock is not mounted", access.title);
            let finding = out.report(subject(service), summary, line(stack, service.name.line));
            let elsewhere = service
                .env
                .iter()
                .find(|(key, value)| key.contains("docker.sock") || value.value.contains("docker.sock"));
            if let Some((_, value)) = elsewhere {
                finding.with(line(stack, value.line));
            }
            finding.remedy(edit(
                stack,
                format!("Mount the Docker socket in {name}"),
                "add under volumes: - /var/run/docker.sock:/var/run/docker.sock",
            ));
        }
        if let Some((variable, value)) = access.cluster {
            let wanted = format!("tasks.{name}");
            let own = value.value.trim_start_matches("tasks.");
            if service.has_several_tasks()
                && value.value != wanted
                && (own == name || compose.services.iter().any(|it| it.name.value == own))
            {
                let summary = format!(
                    "{name} looks for the other agents at {} ({variable}), and its tasks answer at {wanted}",
                    value.value
                );
                out.report(subject(service), summary, line(stack, value.line)).remedy(edit(
                    stack,
                    format!("Correct {variable} of {name}"),
                    format!("line {}: {variable}={wanted}", value.line),
                ));
            }
        }
        let constraints: Vec<String> = service.constraints.iter().map(|text| text.value.clone()).collect();
        let manager_only = constraints.iter().any(|text| text.replace(' ', "") == "node.role==manager");
        let Ok(nodes) = &nodes else {
            // Without the node list it is unknown whether the swarm has workers.
            if access.manager && !manager_only {
                let summary =
                    format!("{name} runs {}, and no constraint keeps its tasks on managers", access.title);
                out.report(subject(service), summary, line(stack, service.name.line))
                    .confidence(Confidence::Medium)
                    .remedy(constrain(stack, name));
            }
            continue;
        };
        let worker = |node: &&Node| !node.wants_manager && is_open(node) && satisfies(&constraints, node);
        if let Some(worker) = nodes.iter().find(worker).filter(|_| access.manager) {
            let summary =
                format!("{name} runs {}, and its tasks may run on worker {}", access.title, worker.name);
            out.report(subject(service), summary, line(stack, service.name.line))
                .with(Evidence::value(nodes, format!("{}: role worker", worker.name)))
                .remedy(constrain(stack, name));
        }
    }
    nodes.map(drop)
}

fn constrain(stack: &Seen<Stack>, name: &str) -> Remedy {
    edit(
        stack,
        format!("Constrain {name} to managers"),
        "add under deploy.placement.constraints: - node.role == manager",
    )
}

fn access(service: &StackService) -> Option<Access<'_>> {
    let image = service.image.as_ref().map_or("", |image| image.value.as_str());
    let bare = image.split('@').next().unwrap_or_default();
    let name = bare.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(bare, |(name, _)| name);
    if name == "portainer/agent" || name.ends_with("/portainer/agent") {
        let cluster = service.env.get("AGENT_CLUSTER_ADDR").map(|value| ("AGENT_CLUSTER_ADDR", value));
        return Some(Access { title: "Portainer's agent", manager: false, cluster });
    }
    if name.rsplit('/').next() != Some("traefik") {
        return None;
    }
    let words = || service.command.iter().map(|word| word.trim_start_matches('-').to_ascii_lowercase());
    let variables = || {
        service.env.iter().map(|(key, value)| {
            format!("{}={}", key.trim_start_matches("TRAEFIK_").replace('_', "."), value.value)
                .to_ascii_lowercase()
        })
    };
    let settings: Vec<String> = words().chain(variables()).collect();
    let is = |prefix: &str| {
        settings.iter().any(|setting| {
            setting == prefix
                || setting.starts_with(&format!("{prefix}="))
                || setting.starts_with(&format!("{prefix}."))
        })
    };
    let is_true =
        |name: &str| settings.iter().any(|setting| setting == name || *setting == format!("{name}=true"));
    let swarm = is("providers.swarm") || is_true("providers.docker.swarmmode") || is_true("docker.swarmmode");
    let docker = is("providers.docker") || is("docker");
    let remote = settings.iter().any(|setting| {
        setting.split_once("endpoint=").is_some_and(|(_, endpoint)| !endpoint.starts_with("unix:"))
    });
    ((swarm || docker) && !remote).then_some(Access {
        title: if swarm { "Traefik with the swarm provider" } else { "Traefik with the Docker provider" },
        manager: swarm,
        cluster: None,
    })
}

/// The agent that Portainer connects to by name, where both are in the stack and share no network.
fn unreachable_server<'a>(service: &'a StackService, compose: &'a Compose) -> Option<(&'a str, u32)> {
    let image = service.image.as_ref()?.value.as_str();
    if !image.contains("portainer/portainer") {
        return None;
    }
    let host = service.command.iter().find_map(|word| word.split_once("tcp://")).map(|(_, rest)| rest)?;
    let host = host.split(':').next()?.trim_start_matches("tasks.");
    let agent = compose.services.iter().find(|other| other.name.value == host)?;
    let of = |service: &'a StackService| {
        let mut names: Vec<&str> = service.networks().collect();
        if names.is_empty() {
            names.push("default");
        }
        names
    };
    let own = of(service);
    let shared = of(agent).iter().any(|network| own.contains(network));
    (!shared).then_some((agent.name.value.as_str(), service.name.line))
}
