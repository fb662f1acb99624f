use crate::model::workload::holds_idle_connections;
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::service::Service;

check! {
    /// Idle connections to a database through its VIP end after 15 minutes.
    ///
    /// ## Why it matters
    /// IPVS, which serves the VIP, forgets a TCP connection that is idle for 900 s and reports nothing. The next packet is
    /// answered by RST, or by nothing: clients with a connection pool see `connection reset by peer`, `broken pipe` or time-outs
    /// after quiet times. Linux sends the first keepalive only after 7200 s.
    ///
    /// ## How to fix it
    /// Set `net.ipv4.tcp_keepalive_time` below 900 in the containers of the service, or let clients connect without IPVS: by
    /// `endpoint_mode: dnsrr`, or by the name `tasks.SERVICE`. A pool can also close connections that are idle for 10 minutes.
    ///
    /// ## When it is wrong
    /// If the clients or the server send keepalives of their own, or no connection is ever idle.
    ///
    /// Source: Linux `net/netfilter/ipvs/ip_vs_proto_tcp.c` (established: 15 minutes); moby#37822, #31208, #37466.
    "network/ipvs-idle-timeout": Info, "idle connections to a database through its VIP end after 15 minutes";
    healthy "no database is reached through a VIP without keepalives";
    needs Services;
    caused_by "host/ipvs-missing";
    for each Cluster: run
}

/// The setting that keeps idle connections known to IPVS.
const KEEPALIVE: &str = "net.ipv4.tcp_keepalive_time";
/// The time after which IPVS forgets an idle TCP connection, in seconds.
const TIMEOUT: u32 = 900;

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    for service in services.iter().filter(|service| loses_idle_connections(service)) {
        let clients: Vec<&str> = services
            .iter()
            .filter(|other| other.id != service.id && !other.job && keepalive(other).is_none())
            .filter(|other| other.networks.iter().any(|network| service.networks.contains(network)))
            .map(|other| other.name.as_str())
            .take(8)
            .collect();
        if clients.is_empty() {
            continue;
        }
        let name = shell_quote(&service.name);
        let summary = format!(
            "connections to {} through its VIP end without notice when they are idle for {TIMEOUT} s",
            service.name
        );
        let shown = format!("{}: endpoint mode vip, no {KEEPALIVE}", service.name);
        out.report(Subject::Service(service.name.clone()), summary, Evidence::value(services, shown))
            .with(Evidence::value(services, format!("on the same network: {}", clients.join(", "))))
            .confidence(Confidence::Low)
            .remedy(Remedy {
                title: format!("Send keepalives, or reach {} without IPVS", service.name).into(),
                risk: Risk::Disruptive,
                impact: "The tasks of the service restart.".into(),
                steps: vec![Step::Manual {
                    node: Target::AnyManager,
                    text: "set keepalives below the timeout; or use DNS round robin, which is possible without published ports".into(),
                    commands: vec![
                        format!("docker service update --sysctl-add {KEEPALIVE}=600 {name}"),
                        format!("docker service update --endpoint-mode dnsrr {name}"),
                    ],
                }],
            });
    }
    Ok(())
}

fn loses_idle_connections(service: &Service) -> bool {
    holds_idle_connections(&service.image)
        && !service.dnsrr
        && !service.vips.is_empty()
        && keepalive(service).is_none()
}

/// The keepalive time in the containers of the service, if it is below the timeout.
fn keepalive(service: &Service) -> Option<u32> {
    let seconds = service.sysctls.get(KEEPALIVE)?.trim().parse().ok()?;
    (seconds < TIMEOUT).then_some(seconds)
}
