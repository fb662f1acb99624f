use super::advice;
use crate::shell_quote;
use crate::{Evidence, Findings, Judged, Subject, Target, View};

check! {
    /// A service has all capabilities, or SYS_ADMIN, or mounts the root directory of the node.
    ///
    /// ## Why it matters
    /// A program that is broken into then controls the node, and on a manager the swarm.
    ///
    /// ## How to fix it
    /// Add only the capability that the program needs, and mount only the directories that it needs.
    ///
    /// ## When it is wrong
    /// If the program has to manage the node, such as a monitoring agent.
    ///
    /// Source: Docker docs "Docker Engine security", section "Linux kernel capabilities".
    "posture/privileged-service": Warning, "a service has rights over its node";
    healthy "no service has rights over its node";
    needs Services;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    for (service, right) in services.iter().filter_map(|service| Some((service, right(service)?))) {
        let name = shell_quote(&service.name);
        let summary = format!("{} has {right}", service.name);
        out.report(Subject::Service(service.name.clone()), summary, Evidence::value(services, right)).remedy(
            advice(
                Target::AnyManager,
                "Reduce the rights of the service",
                "remove the capability or mount, or replace it by a narrower one",
                vec![format!("docker service inspect --pretty {name}")],
            ),
        );
    }
    Ok(())
}

/// What gives the service rights over the node.
fn right(service: &facts::service::Service) -> Option<String> {
    let wide = |name: &&String| matches!(name.trim_start_matches("CAP_"), "ALL" | "SYS_ADMIN");
    let capability = service.capabilities.iter().find(wide).map(|name| format!("the capability {name}"));
    let root = || service.mounts.iter().find(|mount| mount.kind == "bind" && mount.source == "/");
    capability.or_else(|| root().map(|mount| format!("the root directory of the node at {}", mount.target)))
}
