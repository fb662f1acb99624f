use super::advice;
use crate::shell_quote;
use crate::{Evidence, Findings, Judged, Subject, Target, View};

check! {
    /// A service mounts the socket of the engine.
    ///
    /// ## Why it matters
    /// A program with the socket is root on the node, and on a manager it controls the whole swarm. A mount that is read-only
    /// does not limit this.
    ///
    /// ## How to fix it
    /// Put a proxy that allows only the needed requests between the program and the socket, and constrain the service to the
    /// nodes that need it.
    ///
    /// ## When it is wrong
    /// If the program manages the swarm, such as Portainer or Traefik, and is trusted.
    ///
    /// Source: Docker docs "Docker Engine security", section "Docker daemon attack surface".
    "posture/docker-socket-mounted": Warning, "a service has access to the Docker API of its node";
    healthy "no service mounts the Docker socket";
    needs Services;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    for (service, socket) in services.iter().filter_map(|service| Some((service, socket(service)?))) {
        let name = shell_quote(&service.name);
        let summary = format!("{} mounts the Docker socket", service.name);
        let shown = format!("mount {socket}");
        out.report(Subject::Service(service.name.clone()), summary, Evidence::value(services, shown)).remedy(
            advice(
                Target::AnyManager,
                "Limit the access to the Docker API",
                "use a proxy for the socket that allows only read requests, or remove the mount",
                vec![format!("docker service update --mount-rm /var/run/docker.sock {name}")],
            ),
        );
    }
    Ok(())
}

/// The path of the socket that the service mounts.
fn socket(service: &facts::service::Service) -> Option<&str> {
    let mount =
        service.mounts.iter().find(|mount| mount.kind == "bind" && mount.source.ends_with("/docker.sock"))?;
    Some(&mount.source)
}
