use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::Host;
use std::collections::BTreeSet;

check! {
    /// A container on an overlay does not use the embedded DNS server of the engine.
    ///
    /// ## Why it matters
    /// Only the embedded DNS server at 127.0.0.11 knows service and task names; it forwards all other names. If
    /// `/etc/resolv.conf` is mounted from the node or rewritten in the container, questions go to other servers.
    /// Service names then do not resolve in the container, and all other names do.
    ///
    /// ## How to fix it
    /// Remove the mount. Configure other servers with `dns:`; the embedded DNS server forwards to them.
    ///
    /// ## When it is wrong
    /// If the container runs its own DNS server that forwards to 127.0.0.11.
    ///
    /// Source: libnetwork `sandbox_dns_unix.go`.
    "dns/resolver-bypassed": Error, "a container does not use the embedded DNS server";
    healthy "containers use the embedded DNS server 127.0.0.11";
    needs Containers, TaskNetns, Networks, Services;
    for each Host: run
}

const FILE: &str = "/etc/resolv.conf";

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let containers = host.containers.get()?;
    let networks = host.networks.get()?;
    let mut reported = BTreeSet::new();
    for container in containers.value.iter().filter(|it| super::resolves_services(it, networks)) {
        let service = &container.service_name;
        let subject = Subject::Service(service.clone());
        let conf = match container.resolv_conf.get() {
            Ok(conf) => conf,
            Err(gap) => {
                out.inconclusive(subject, gap);
                continue;
            }
        };
        // A server on loopback runs in the container, and may forward to the embedded one.
        let only_others = conf.servers.iter().all(|server| !server.starts_with("127."));
        if conf.servers.is_empty() || !only_others || !reported.insert(service) {
            continue;
        }
        let servers = conf.servers.join(", ");
        let summary = format!(
            "container {} uses the DNS server {servers} instead of the embedded one (127.0.0.11): service names do \
             not resolve in it",
            container.name
        );
        let finding = out.report(subject, summary, Evidence::value(conf, format!("nameserver {servers}")));
        finding.on_nodes([host.name.clone()]);
        let spec = view
            .snapshot
            .services
            .get()
            .ok()
            .and_then(|all| all.iter().find(|it| it.id == container.service));
        let mounted = spec.is_some_and(|spec| spec.mounts.iter().any(|mount| mount.target == FILE));
        let remove = if mounted { format!(" --mount-rm {FILE}") } else { String::new() };
        let add: String =
            conf.servers.iter().map(|server| format!(" --dns-add {}", shell_quote(server))).collect();
        finding.remedy(Remedy {
            title: format!("Remove the custom {FILE} from the service {service}").into(),
            risk: Risk::Disruptive,
            impact: format!("The tasks of {service} restart.").into(),
            steps: vec![Step::Manual {
                node: Target::AnyManager,
                text: format!(
                    "remove the mount, config or start script that replaces {FILE} in the container; --dns-add makes \
                     the embedded DNS server forward to the same servers"
                ),
                commands: vec![format!("docker service update{remove}{add} {}", shell_quote(service))],
            }],
        });
    }
    Ok(())
}
