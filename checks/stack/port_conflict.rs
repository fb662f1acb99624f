use super::{compose, edit, line, subject};
use crate::{Evidence, Findings, Judged, Severity, View};
use facts::Host;
use facts::host::{Owner, Protocol};
use facts::service::Service;
use facts::stack::{At, Stack, StackPort, StackService};
use std::collections::BTreeMap;

check! {
    /// A port that the stack publishes is in use.
    ///
    /// ## Why it matters
    /// A port of the routing mesh belongs to one service of the whole swarm. The deployment is refused where another
    /// service publishes it. Where another program of a node holds a host port, the tasks on that node fail again and again.
    /// Where it holds a port of the routing mesh, the node's own program is no longer reachable from outside.
    ///
    /// ## How to fix it
    /// Publish another port, or stop what holds it.
    ///
    /// ## When it is wrong
    /// The service that holds the port is removed before the deployment.
    ///
    /// Source: swarmkit `manager/controlapi/service.go`, `checkPortConflicts`.
    "stack/port-conflict": Error, "a port that the stack publishes is in use";
    healthy "no published port of the stack is in use";
    needs Stack, Services, Sockets;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    let compose = compose(stack)?;
    let services = view.snapshot.services.get()?;
    let listeners = host.listeners.get()?;
    let mut seen: BTreeMap<(Protocol, u16), (&StackService, u32, bool)> = BTreeMap::new();
    for service in &compose.services {
        for At { line: number, value: port } in &service.ports {
            let Some(published) = port.published else { continue };
            let what = format!("{published}/{}", port.protocol);
            let name = &service.name.value;
            let instruction = format!("line {number}: publish another port for {name}");
            if let Some((first, at, ingress)) =
                seen.insert((port.protocol, published), (service, *number, port.ingress))
            {
                if ingress || port.ingress {
                    let summary = format!(
                        "{what} is published twice: by {} on line {at}, and by {name} on line {number}",
                        first.name.value
                    );
                    out.report(subject(service), summary, line(stack, at))
                        .with(line(stack, *number))
                        .remedy(edit(stack, format!("Publish {what} once"), instruction));
                }
                continue;
            }
            let holder =
                services.iter().find(|other| !same(stack, service, other) && holds(other, port, published));
            if let Some(other) = holder {
                let summary = format!("service {} publishes {what}, which {name} publishes", other.name);
                let shown = format!("{}: publishes {what}", other.name);
                out.report(subject(service), summary, line(stack, *number))
                    .with(Evidence::value(services, shown))
                    .remedy(edit(stack, format!("Publish another port for {name}"), instruction));
                continue;
            }
            // The engine itself listens on published ports; those of services are compared above.
            let program = listeners.iter().find(|l| {
                l.protocol == port.protocol
                    && l.port == published
                    && !l.addr.is_loopback()
                    && !of_swarm(&l.owner, services, published)
            });
            if let Some(listener) = program {
                let holder = match &listener.owner {
                    Owner::Process { pid, name } => format!("{name} (pid {pid})"),
                    _ => "a program".to_owned(),
                };
                let effect = match port.ingress {
                    true => format!("; the routing mesh takes its connections from outside on {}", host.name),
                    false => String::new(),
                };
                let summary =
                    format!("{holder} on {} listens on {what}, which {name} publishes{effect}", host.name);
                let shown =
                    format!("{holder} listens on {}:{published}/{}", listener.addr, listener.protocol);
                let finding = out
                    .report(subject(service), summary, line(stack, *number))
                    .with(Evidence::value(listeners, shown))
                    .remedy(edit(stack, format!("Publish another port for {name}"), instruction));
                // Losing the remote login of every node is worse than a task that does not start.
                if port.ingress && !holder.starts_with("sshd") {
                    finding.severity(Severity::Warning);
                }
            }
        }
    }
    Ok(())
}

fn of_swarm(owner: &Owner, services: &[Service], published: u16) -> bool {
    let engine = matches!(owner, Owner::Process { name, .. } if name.starts_with("dockerd"));
    engine || services.iter().any(|service| service.ports.iter().any(|port| port.published == published))
}

/// Whether a running service is this one, from an earlier deployment.
fn same(stack: &Stack, service: &StackService, other: &Service) -> bool {
    match (&stack.name, other.stack()) {
        (Some(name), Some(theirs)) => name == theirs,
        (None, Some(theirs)) => other.name == format!("{theirs}_{}", service.name.value),
        (_, None) => false,
    }
}

fn holds(other: &Service, port: &StackPort, published: u16) -> bool {
    other.ports.iter().any(|theirs| {
        theirs.published == published
            && theirs.protocol == Some(port.protocol)
            && (theirs.ingress || port.ingress)
    })
}
