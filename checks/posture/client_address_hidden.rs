use super::advice;
use crate::model::workload::base_name;
use crate::shell_quote;
use crate::{Evidence, Findings, Judged, Subject, Target, View};

check! {
    /// A reverse proxy publishes its port through the routing mesh.
    ///
    /// ## Why it matters
    /// The routing mesh replaces the source address of each connection by an address of the ingress network (10.0.0.x): logs,
    /// rate limits, allow lists and `X-Forwarded-For` show that address for every client.
    ///
    /// ## How to fix it
    /// Publish the port in host mode on the nodes that run the proxy (usually a global service), or let a load balancer in
    /// front of the swarm speak the PROXY protocol.
    ///
    /// ## When it is wrong
    /// If the address of clients does not matter.
    ///
    /// Source: moby#25526; Docker docs "Use swarm mode routing mesh".
    "posture/client-address-hidden": Info, "programs behind the routing mesh do not see the address of clients";
    healthy "no reverse proxy is published through the routing mesh";
    needs Services;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    for service in services
        .iter()
        .filter(|service| is_proxy(&service.image) && service.ports.iter().any(|port| port.ingress))
    {
        let name = shell_quote(&service.name);
        let summary = format!(
            "{} sees addresses of the ingress network instead of the addresses of its clients",
            service.name
        );
        let shown = format!("ports in ingress mode: {}", ports(service));
        out.report(Subject::Service(service.name.clone()), summary, Evidence::value(services, shown)).remedy(advice(
            Target::AnyManager,
            "Publish the ports of the proxy in host mode",
            "publish the ports in host mode, and run the proxy on each node that clients connect to",
            vec![format!("docker service update --publish-rm 443 --publish-add mode=host,published=443,target=443 {name}")],
        ));
    }
    Ok(())
}

fn is_proxy(image: &str) -> bool {
    let proxies = ["traefik", "haproxy", "nginx", "nginx-proxy", "caddy", "envoy", "kong", "httpd"];
    proxies.contains(&base_name(image))
}

fn ports(service: &facts::service::Service) -> String {
    let ports: Vec<String> =
        service.ports.iter().filter(|port| port.ingress).map(|port| port.published.to_string()).collect();
    ports.join(", ")
}
