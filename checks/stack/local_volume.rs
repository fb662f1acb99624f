use super::{compose, edit, line, subject};
use crate::model::workload::is_stateful;
use crate::placement::{is_open, satisfies};
use crate::{Evidence, Findings, Judged, View};
use facts::stack::{Compose, Kind, StackMount};
use facts::swarm::Node;

check! {
    /// A database keeps its data in a local volume, and its task may move to another node.
    ///
    /// ## Why it matters
    /// A volume of the local driver is on one node. When the task moves, swarm creates an empty volume of the same name on
    /// the other node: the service starts without its data.
    ///
    /// ## How to fix it
    /// Constrain the service to one node, for example by a node label, or use a volume on shared storage.
    ///
    /// ## When it is wrong
    /// The program replicates its data itself, or the data may be lost.
    ///
    /// Source: Docker docs, "Volumes": a local volume is not shared between the tasks of a service.
    "stack/local-volume": Info, "data in a local volume does not follow a task that moves";
    healthy "no database of the stack may move away from its data";
    needs Stack, Nodes;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    let compose = compose(stack)?;
    let nodes = view.snapshot.nodes.get()?;
    for service in &compose.services {
        let image = service.image.as_ref().map_or("", |image| image.value.as_str());
        if service.global || !is_stateful(image) {
            continue;
        }
        let Some(mount) = service.mounts.iter().find(|mount| is_local(&mount.value, compose)) else {
            continue;
        };
        let constraints: Vec<String> = service.constraints.iter().map(|text| text.value.clone()).collect();
        let fit: Vec<&Node> =
            nodes.iter().filter(|node| is_open(node) && satisfies(&constraints, node)).collect();
        if fit.len() < 2 {
            continue;
        }
        let (name, volume) = (&service.name.value, &mount.value.source);
        let names: Vec<&str> = fit.iter().take(8).map(|node| node.name.as_str()).collect();
        let summary = format!(
            "{name} keeps its data in the local volume {volume}, and its task may run on {} nodes",
            fit.len()
        );
        out.report(subject(service), summary, line(stack, mount.line))
            .with(Evidence::value(nodes, format!("nodes that satisfy its constraints: {}", names.join(", "))))
            .remedy(edit(
                stack,
                format!("Constrain {name} to the node of its data"),
                "add under deploy.placement.constraints: - node.labels.NAME == VALUE, and the label to one node; or use a \
                 volume on shared storage",
            ));
    }
    Ok(())
}

/// Whether the mount is a named volume of the local driver without a server.
fn is_local(mount: &StackMount, compose: &Compose) -> bool {
    let volume = compose.resources.iter().find(|it| it.kind == Kind::Volume && it.key.value == mount.source);
    !mount.bind
        && volume.is_some_and(|volume| {
            !volume.external
                && volume.driver.as_deref().is_none_or(|driver| driver == "local")
                && volume.driver_opts.is_empty()
        })
}
