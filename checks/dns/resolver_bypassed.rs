use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use std::collections::BTreeSet;

check! {
    /// A container on an overlay asks other name servers than the engine's.
    ///
    /// ## Why it matters
    /// Only the engine's DNS server at 127.0.0.11 knows services and tasks, and it passes on what it does not know. A
    /// `resolv.conf` that is mounted from the node, or rewritten in the container, leads past it: names of the swarm do
    /// not resolve in there, and all others do.
    ///
    /// ## How to fix it
    /// Take the mount out, and name other servers with `dns:`, which the engine's server then asks.
    ///
    /// ## When it is wrong
    /// Where the container runs a name server of its own that asks 127.0.0.11.
    ///
    /// Source: libnetwork `sandbox_dns_unix.go`.
    "dns/resolver-bypassed": Error, "a container asks other name servers than the engine's";
    needs Containers, TaskNetns, Networks, Services;
    for each Host: run
}

const FILE: &str = "/etc/resolv.conf";

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let containers = host.containers.get()?;
    let networks = host.networks.get()?;
    let mut told = BTreeSet::new();
    for container in containers.value.iter().filter(|it| super::finds_services(it, networks)) {
        let service = &container.service_name;
        let subject = Subject::Service(service.clone());
        let conf = match container.resolv_conf.get() {
            Ok(conf) => conf,
            Err(gap) => {
                out.inconclusive(subject, gap);
                continue;
            }
        };
        // A server on loopback is the container's own, and may well ask the engine's.
        let others = conf.servers.iter().all(|server| !server.starts_with("127."));
        if conf.servers.is_empty() || !others || !told.insert(service) {
            continue;
        }
        let servers = conf.servers.join(", ");
        let summary = format!(
            "inside {} names are asked of {servers}, which know none of the swarm's, and not of 127.0.0.11",
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
            title: "Let the container ask the engine's DNS server".into(),
            risk: Risk::Disruptive,
            impact: "the tasks of the service restart".into(),
            steps: vec![Step::Manual {
                node: "a manager".into(),
                text: format!(
                    "take out what puts its own {FILE} into the container, be it a mount, a config or its start script, \
                     and let the engine pass on to those servers what it does not know"
                ),
                commands: vec![format!("docker service update{remove}{add} {}", shell_quote(service))],
            }],
        });
    }
    Ok(())
}
