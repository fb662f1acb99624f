use super::{compose, edit, line, surroundings};
use crate::{Confidence, Evidence, Findings, Judged, Severity, Subject, View};
use facts::stack::Kind;
use std::net::IpAddr;

check! {
    /// A volume names an NFS or CIFS server that the nodes do not resolve.
    ///
    /// ## Why it matters
    /// The host mounts the volume, not the container. The host asks its own DNS servers, which do not know the services of
    /// the swarm: a server that is named like a service is never found, and the tasks are rejected.
    ///
    /// ## How to fix it
    /// Name an IP address, or a name that every node resolves. A server that runs as a service of the swarm must publish
    /// its port, and the volume must name the address of a node.
    ///
    /// ## When it is wrong
    /// Another node resolves the name, and this one does not.
    ///
    /// Source: moby `volume/local/local_unix.go`; Docker docs, "Create a service which creates an NFS volume".
    "stack/nfs-server-unresolved": Error, "the nodes do not resolve the server of a volume";
    healthy "this node resolves the server of every volume";
    needs Stack;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    let compose = compose(stack)?;
    let known = surroundings(stack)?;
    for volume in compose.resources.iter().filter(|it| it.kind == Kind::Volume && !it.external) {
        let Some((server, number)) = volume.server() else { continue };
        if server.parse::<IpAddr>().is_ok() || server.is_empty() || server.contains("***") {
            continue;
        }
        let bare = server.trim_start_matches("tasks.");
        let service = compose.services.iter().find(|service| service.name.value == bare);
        let name = &volume.key.value;
        let remedy = || {
            edit(
                stack,
                format!("Name a server of volume {name} that every node resolves"),
                format!("line {number}: addr= an IP address, or a name in the DNS of the nodes"),
            )
        };
        if let Some(service) = service {
            let summary = format!(
                "volume {name} mounts from {server}, the name of a service, which hosts do not resolve"
            );
            out.report(Subject::Cluster, summary, line(stack, number))
                .with(line(stack, service.name.line))
                .remedy(remedy());
        } else if known.servers.get(server) == Some(&false) {
            let summary =
                format!("volume {name} mounts from {server}, a name that this host does not resolve");
            out.report(Subject::Cluster, summary, line(stack, number))
                .with(Evidence::absent(stack.surroundings.get()?, format!("no address of {server}")))
                .confidence(Confidence::Medium)
                .severity(Severity::Warning)
                .remedy(remedy());
        }
    }
    Ok(())
}
