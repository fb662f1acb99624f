use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::container::{Container, Netns};
use facts::host::{Listener, Protocol};
use facts::network::MeshPort;
use facts::{Host, Seen};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

check! {
    /// A published port leads to a port on which the task does not listen.
    ///
    /// ## Why it matters
    /// The routing mesh delivers to one port at one address of the task: its address on the ingress network. A program
    /// that listens on another port, on loopback only, or only on its address in another network refuses the
    /// connection. Swarm counts the task as running nevertheless.
    ///
    /// ## How to fix it
    /// Publish the port on which the program listens, or let the program listen on the published one on all its
    /// addresses (0.0.0.0). A program that advertises the address it binds, as NiFi does with `nifi.web.http.host`, must
    /// be given its interfaces instead (`nifi.web.http.network.interface.*`), or be published with `mode: host`.
    ///
    /// ## When it is wrong
    /// While a program starts that opens its other ports first. A task that listens on no port at all is taken to be
    /// starting and is not reported.
    ///
    /// Source: libnetwork `service_linux.go`; apache/nifi, `nifi.web.http.host`.
    "service/target-port-closed": Error, "a published port leads to a port on which the task does not listen";
    healthy "every published port leads to a port on which the task listens";
    needs Containers, TaskNetns, Networks;
    caused_by "apps/port-disagrees", "apps/binds-loopback", "apps/binds-foreign-address";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let containers = host.containers.get()?;
    let networks = host.networks.get()?;
    let Some(ingress) = networks.iter().find(|network| network.ingress) else { return Ok(()) };
    let mut reported = BTreeSet::new();
    for container in &containers.value {
        let attachment = container.attachments.iter().find(|attachment| attachment.network == ingress.id);
        let Some(addr) = attachment.and_then(|attachment| attachment.addr) else { continue };
        for port in ingress.ports.iter().filter(|port| port.service == container.service_name) {
            match container.netns.get() {
                // All tasks of a service behave alike, so one finding covers them.
                Ok(netns) if !reported.contains(port) => {
                    if judge(container, netns, addr, port, out) {
                        reported.insert(port);
                    }
                }
                Ok(_) => {}
                Err(gap) => out.inconclusive(Subject::Service(container.service_name.clone()), gap),
            }
        }
    }
    Ok(())
}

/// Whether something was reported.
fn judge(
    container: &Container,
    netns: &Seen<Netns>,
    addr: IpAddr,
    port: &MeshPort,
    out: &mut Findings<'_>,
) -> bool {
    let MeshPort { service, published, target } = port;
    let on_target: Vec<_> = netns.listeners.iter().filter(|listener| listener.port == *target).collect();
    if on_target.iter().any(|listener| listener.addr.is_unspecified() || listener.addr == addr) {
        return false;
    }
    let outside = |l: &&Listener| l.protocol == Protocol::Tcp && !l.addr.is_loopback();
    let elsewhere: BTreeSet<u16> = netns.listeners.iter().filter(outside).map(|l| l.port).collect();
    let (instead, confidence) = match (on_target.as_slice(), elsewhere.is_empty()) {
        ([], true) => return false,
        ([], false) => (format!("listens on {} instead", list(&elsewhere)), Confidence::Medium),
        (own, _) => {
            let addrs: BTreeSet<_> = own.iter().map(|listener| listener.addr).collect();
            let own = format!("listens on it only at {}, and the mesh delivers to {addr}", list(&addrs));
            (own, Confidence::High)
        }
    };
    let name = &container.name;
    let summary =
        format!("port {published} of {service} leads to port {target} of its tasks, and {name} {instead}");
    let sockets =
        netns.listeners.iter().map(|l| format!("{}/{}", SocketAddr::new(l.addr, l.port), l.protocol));
    let sockets = sockets.collect::<Vec<_>>().join(", ");
    let evidence = Evidence::value(netns, format!("listening in {name}: {sockets}"));
    let update = |instead: &u16| {
        format!(
            "docker service update --publish-rm {target} --publish-add published={published},target={instead} {}",
            shell_quote(service)
        )
    };
    let (text, commands) = match on_target.is_empty() {
        true => (
            "publish the port on which the program listens, or let the program listen on the published one",
            elsewhere.iter().map(update).collect(),
        ),
        false => {
            let text = "let the program listen on all addresses (0.0.0.0) in its own configuration; a program that advertises \
                        the address it binds, as NiFi does, must be given its interfaces by name instead";
            (text, Vec::new())
        }
    };
    out.report(Subject::Service(service.clone()), summary, evidence).confidence(confidence).remedy(Remedy {
        title: format!("Align the published port of {service} with its listening port").into(),
        risk: Risk::Disruptive,
        impact: "The tasks of the service restart.".into(),
        steps: vec![Step::Manual { node: Target::AnyManager, text: text.into(), commands }],
    });
    true
}

fn list<T: ToString>(items: &BTreeSet<T>) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
