use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::container::{Container, Netns};
use facts::host::{Listener, Protocol};
use facts::network::MeshPort;
use facts::{Host, Seen};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

check! {
    /// A published port leads into a task where nobody listens for what arrives there.
    ///
    /// ## Why it matters
    /// The routing mesh delivers to one port at one address of the task, the one it has on the ingress network. A
    /// program that listens on another port, on loopback alone, or only on its address in the service's own network
    /// refuses what is delivered. The service counts as running all the same.
    ///
    /// ## How to fix it
    /// Publish the port that the program listens on, or have the program listen on the published one, on all its
    /// addresses (0.0.0.0). One that tells its peers what it binds, as NiFi does with `nifi.web.http.host`, has to be told
    /// its interfaces instead (`nifi.web.http.network.interface.*`), or is published with `mode: host`.
    ///
    /// ## When it is wrong
    /// While a program starts that opens its other ports first. A task that listens nowhere at all is taken to be
    /// starting, and nothing is said of it.
    ///
    /// Source: libnetwork `service_linux.go`; apache/nifi, `nifi.web.http.host`.
    "service/target-port-closed": Error, "a published port leads to where nobody listens";
    needs Containers, TaskNetns, Networks;
    caused_by "apps/port-disagrees", "apps/binds-loopback", "apps/binds-foreign-address";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let containers = host.containers.get()?;
    let networks = host.networks.get()?;
    let Some(ingress) = networks.iter().find(|network| network.ingress) else { return Ok(()) };
    let mut told = BTreeSet::new();
    for container in &containers.value {
        let attachment = container.attachments.iter().find(|attachment| attachment.network == ingress.id);
        let Some(addr) = attachment.and_then(|attachment| attachment.addr) else { continue };
        for port in ingress.ports.iter().filter(|port| port.service == container.service_name) {
            match container.netns.get() {
                // All tasks of a service do the same, and one of them says it for all.
                Ok(netns) if !told.contains(port) => {
                    if judge(container, netns, addr, port, out) {
                        told.insert(port);
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
    let (where_instead, confidence) = match (on_target.as_slice(), elsewhere.is_empty()) {
        ([], true) => return false,
        ([], false) => (format!("listens on {} instead", list(&elsewhere)), Confidence::Medium),
        (own, _) => {
            let addrs: BTreeSet<_> = own.iter().map(|listener| listener.addr).collect();
            let own = format!("listens on it at {} alone, and the mesh delivers to {addr}", list(&addrs));
            (own, Confidence::High)
        }
    };
    let name = &container.name;
    let summary = format!(
        "port {published} of {service} leads to port {target} of its tasks, and {name} {where_instead}"
    );
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
            "publish the port that the program listens on, or tell the program the one that is published",
            elsewhere.iter().map(update).collect(),
        ),
        false => {
            let text = "have the program listen on all its addresses, 0.0.0.0, in its own configuration; one that tells \
                        its peers what it binds, as NiFi does, has to be told its interfaces by name instead";
            (text, Vec::new())
        }
    };
    out.report(Subject::Service(service.clone()), summary, evidence).confidence(confidence).remedy(Remedy {
        title: "Have the port and the program meet".into(),
        risk: Risk::Disruptive,
        impact: "the tasks of the service restart".into(),
        steps: vec![Step::Manual { node: "a manager".into(), text: text.into(), commands }],
    });
    true
}

fn list<T: ToString>(items: &BTreeSet<T>) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
