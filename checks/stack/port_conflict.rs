use super::{compose, edit, line, subject};
use crate::{Evidence, Findings, Judged, Severity, View};
use facts::Host;
use facts::host::{Owner, Protocol};
use facts::service::Service;
use facts::stack::{At, Stack, StackPort, StackService};
use std::collections::BTreeMap;

check! {
    /// A port that the stack publishes is taken.
    ///
    /// ## Why it matters
    /// A port of the routing mesh belongs to one service of the whole swarm: the deploy is refused where another has
    /// it. A host port that a program holds lets the tasks on that node fail again and again.
    ///
    /// ## How to fix it
    /// Publish another port, or take it from whoever has it.
    ///
    /// ## When it is wrong
    /// The service that has the port is the one that this deploy replaces, under another name.
    ///
    /// Source: swarmkit `manager/controlapi/service.go`, `checkPortConflicts`.
    "stack/port-conflict": Error, "a port that the stack publishes is taken";
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
            let advice = format!("line {number}: publish another port for {name}");
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
                        .remedy(edit(stack, format!("Publish {what} once"), advice));
                }
                continue;
            }
            let holder =
                services.iter().find(|other| !same(stack, service, other) && holds(other, port, published));
            if let Some(other) = holder {
                let summary =
                    format!("{what}, which {name} publishes, is published by service {}", other.name);
                let shown = format!("{}: publishes {what}", other.name);
                out.report(subject(service), summary, line(stack, *number))
                    .with(Evidence::value(services, shown))
                    .remedy(edit(stack, format!("Find {name} another port"), advice));
                continue;
            }
            // The engine itself listens for what services publish; theirs is told above.
            let program = listeners.iter().find(|l| {
                l.protocol == port.protocol
                    && l.port == published
                    && !l.addr.is_loopback()
                    && !of_swarm(&l.owner, services, published)
            });
            if let Some(listener) = program {
                let who = match &listener.owner {
                    Owner::Process { pid, name } => format!("{name} (pid {pid})"),
                    _ => "a program".to_owned(),
                };
                let summary = format!("{what}, which {name} publishes, is held on {} by {who}", host.name);
                let shown = format!("{} {}:{published} is held by {who}", listener.protocol, listener.addr);
                let finding = out
                    .report(subject(service), summary, line(stack, *number))
                    .with(Evidence::value(listeners, shown))
                    .remedy(edit(stack, format!("Find {name} another port"), advice));
                if port.ingress {
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

/// Whether a running service is what an earlier deploy made of this one.
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
