use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, Target, View};
use facts::Host;
use facts::host::{Listener, Owner, Protocol};
use std::net::IpAddr;

check! {
    /// A published port hides a program that listens on the same port of the node.
    ///
    /// ## Why it matters
    /// The routing mesh takes every connection that arrives at a published port of any node, before the node's own
    /// programs. A program of the node that listens on the port is no longer reachable from outside. Where it is the SSH
    /// server, the nodes cannot be logged in to.
    ///
    /// ## How to fix it
    /// Publish another port, or move the program to another port.
    ///
    /// ## When it is wrong
    /// The program only serves the node itself. One that listens on loopback only is not reported.
    ///
    /// Source: libnetwork `service_linux.go`, `programIngress`: DNAT of packets to local addresses in DOCKER-INGRESS.
    "service/port-shadows-program": Warning, "a published port hides a program of the node";
    healthy "no published port hides a program of the node";
    needs Networks, Sockets;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    let Some(ingress) = networks.iter().find(|network| network.ingress) else { return Ok(()) };
    let listeners = host.listeners.get()?;
    for port in &ingress.ports {
        // What the mesh reports of its ports names no protocol; a program that is hidden listens on TCP.
        let hidden = listeners.iter().find(|listener| {
            listener.port == port.published && listener.protocol == Protocol::Tcp && is_program(listener)
        });
        let Some(listener) = hidden else { continue };
        let Owner::Process { pid, name } = &listener.owner else { continue };
        let service = &port.service;
        let summary = format!(
            "{name} (pid {pid}) on {} listens on {}/tcp, and connections from outside go to {service}, which publishes it",
            host.name, port.published
        );
        let shown = format!("{name} (pid {pid}) listens on {}:{}", listener.addr, listener.port);
        let finding =
            out.report(Subject::Service(service.clone()), summary, Evidence::value(listeners, shown));
        finding
            .with(Evidence::value(
                networks,
                format!("ingress: {} -> {service}:{}", port.published, port.target),
            ))
            .on_nodes([host.name.clone()]);
        if name.starts_with("sshd") {
            finding.severity(Severity::Error);
        }
        finding.remedy(Remedy {
            title: format!("Publish another port for {service}").into(),
            risk: Risk::Disruptive,
            impact: "Connections through the published port are interrupted.".into(),
            steps: vec![Step::Manual {
                node: Target::AnyManager,
                text: "publish another port, or move the program of the node to another port".into(),
                commands: vec![format!(
                    "docker service update --publish-rm {0} --publish-add published=PORT,target={0} {1}",
                    port.target,
                    shell_quote(service)
                )],
            }],
        });
    }
    Ok(())
}

/// Whether a program of the node, and not the engine, listens for connections from outside.
fn is_program(listener: &Listener) -> bool {
    let engine = match &listener.owner {
        Owner::Process { name, .. } => name.starts_with("docker"),
        _ => true,
    };
    let loopback = match listener.addr {
        IpAddr::V4(addr) => addr.is_loopback(),
        IpAddr::V6(addr) => addr.is_loopback(),
    };
    !engine && !loopback
}
