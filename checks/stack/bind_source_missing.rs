use super::{compose, line, manual, subject, surroundings};
use crate::placement::{is_open, satisfies};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Step, View};
use facts::{Gap, Host, Why};

check! {
    /// A path that a service mounts does not exist on this node.
    ///
    /// ## Why it matters
    /// Swarm creates no directory for a bind mount. A task on a node without the path is rejected with "bind source path
    /// does not exist". A relative path starts in the folder of the stack file, on every node.
    ///
    /// ## How to fix it
    /// Create the path on every node on which the task may run, constrain the service to the nodes that have it, or use
    /// a config, a secret or a volume.
    ///
    /// ## When it is wrong
    /// Only this node can be examined. For other nodes the result is incomplete.
    ///
    /// Source: moby `volume/mounts/linux_parser.go`; docker/cli `cli/compose/loader/volume.go`.
    "stack/bind-source-missing": Error, "a path that a service mounts does not exist on the node";
    healthy "every mounted path exists on this node";
    needs Stack, Nodes, Info;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    let compose = compose(stack)?;
    let known = surroundings(stack)?;
    let nodes = view.snapshot.nodes.get()?;
    let here = view.node_of(host)?;
    for service in &compose.services {
        let constraints: Vec<String> = service.constraints.iter().map(|c| c.value.clone()).collect();
        let may = |node: &facts::swarm::Node| is_open(node) && satisfies(&constraints, node);
        let binds: Vec<_> = service.mounts.iter().filter(|mount| mount.value.bind).collect();
        if binds.is_empty() {
            continue;
        }
        if here.is_some_and(may) {
            for mount in &binds {
                let path = stack.path(&mount.value.source);
                if known.paths.get(&path) != Some(&false) {
                    continue;
                }
                let name = &service.name.value;
                let summary = format!(
                    "{path}, which {name} mounts, does not exist on {}, where its task may run",
                    host.name
                );
                let what = format!("no {path} on {}", host.name);
                let finding = out.report(subject(service), summary, line(stack, mount.line));
                finding.with(Evidence::absent(stack.surroundings.get()?, what));
                finding.on_nodes([host.name.clone()]);
                finding.remedy(manual(
                    format!("Create {path} on every node that may run {name}"),
                    Step::Manual {
                        node: host.name.clone().into(),
                        text: "create it here and on each other node that the constraints allow".into(),
                        commands: vec![format!("mkdir -p {}", shell_quote(&path))],
                    },
                ));
            }
        }
        let elsewhere: Vec<&str> = nodes
            .iter()
            .filter(|node| may(node) && here.is_none_or(|h| h.id != node.id))
            .map(|node| node.name.as_str())
            .collect();
        if !elsewhere.is_empty() {
            let reason = format!("the paths of {} cannot be read from here", elsewhere.join(", "));
            out.inconclusive(
                subject(service),
                Gap { source: stack.source.clone(), why: Why::NotAsked { reason } },
            );
        }
    }
    Ok(())
}
