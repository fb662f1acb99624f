use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::Host;
use std::collections::BTreeSet;

check! {
    /// A name server that a service was given with `dns:` does not answer.
    ///
    /// ## Why it matters
    /// The engine's DNS server answers for the swarm's names itself, and passes all others on to the servers that the
    /// service names. They are asked from inside the container. Where none answers, names from outside do not resolve,
    /// each try takes seconds, and names of services go on to resolve, so that the fault looks like another one.
    ///
    /// ## How to fix it
    /// Name a server that answers, or take `dns:` out, so that those of the node are asked.
    ///
    /// ## When it is wrong
    /// Where the server answers only certain names, or only over TCP.
    ///
    /// Source: libnetwork `resolver.go`, `forwardExtDNS`.
    "dns/server-unreachable": Error, "a name server that a service was given does not answer";
    needs Containers, TaskNetns;
    caused_by "host/forward-drop", "host/ip-forward-off", "host/docker-chains-missing", "host/firewall-drops-swarm",
        "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "network/bridge-down", "network/subnet-overlap";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let containers = host.containers.get()?;
    let mut told = BTreeSet::new();
    for container in &containers.value {
        let service = &container.service_name;
        let netns = match container.netns.get() {
            Ok(netns) => netns,
            Err(gap) => {
                out.inconclusive(Subject::Service(service.clone()), gap);
                continue;
            }
        };
        let silent: Vec<_> =
            netns.servers.iter().filter_map(|it| Some((it.addr, it.result.as_ref().err()?))).collect();
        let Some((addr, error)) = silent.first().filter(|_| told.insert(service)) else { continue };
        let names: Vec<String> = silent.iter().map(|(addr, _)| addr.to_string()).collect();
        let all = silent.len() == netns.servers.len();
        let rest = if all { "" } else { ", and another one does" };
        let summary = format!(
            "inside {} the name server {}, which the service was given, does not answer{rest}",
            container.name,
            names.join(", ")
        );
        let shown = format!("a question to {addr}:53/udp from inside the container: {error}");
        let finding = out.report(Subject::Service(service.clone()), summary, Evidence::value(netns, shown));
        if !all {
            finding.severity(Severity::Warning);
        }
        finding.on_nodes([host.name.clone()]);
        let remove: String = names.iter().map(|name| format!(" --dns-rm {}", shell_quote(name))).collect();
        finding.remedy(Remedy {
            title: "Name a server that answers".into(),
            risk: Risk::Disruptive,
            impact: "the tasks of the service restart".into(),
            steps: vec![Step::Manual {
                node: "a manager".into(),
                text: "take the server out, so that those of the node are asked, or name another with --dns-add; and in \
                       the file of its stack, under dns"
                    .into(),
                commands: vec![format!("docker service update{remove} {}", shell_quote(service))],
            }],
        });
    }
    Ok(())
}
