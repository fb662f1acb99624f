use super::{compose, edit, line, subject};
use crate::{Findings, Judged, View};

check! {
    /// A service with `endpoint_mode: dnsrr` publishes a port through the routing mesh.
    ///
    /// ## Why it matters
    /// The routing mesh delivers through the VIP of a service, and a service with `dnsrr` has none. The managers refuse
    /// the service, and the deployment stops with part of the stack created.
    ///
    /// ## How to fix it
    /// Publish the port with `mode: host`, or remove `endpoint_mode: dnsrr`.
    ///
    /// ## When it is wrong
    /// Never: no engine accepts the combination.
    ///
    /// Source: swarmkit `manager/controlapi/service.go`, `validateEndpointSpec`.
    "stack/dnsrr-ingress-port": Error, "a dnsrr service publishes a port through the routing mesh";
    healthy "no dnsrr service publishes a port through the routing mesh";
    needs Stack;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    for service in &compose(stack)?.services {
        let port = service.ports.iter().find(|port| port.value.ingress);
        let Some(port) = port.filter(|_| service.dnsrr) else { continue };
        let name = &service.name.value;
        let target = port.value.target;
        let summary = format!(
            "{name} has endpoint_mode dnsrr and publishes port {target} through the routing mesh, which the managers refuse"
        );
        let text = format!(
            "line {}: publish port {target} with mode: host, or remove endpoint_mode: dnsrr",
            port.line
        );
        out.report(subject(service), summary, line(stack, port.line)).remedy(edit(
            stack,
            format!("Publish the port of {name} with mode: host"),
            text,
        ));
    }
    Ok(())
}
