use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, Target, View};
use facts::Host;
use std::collections::BTreeSet;

check! {
    /// A DNS server configured with `dns:` does not answer from inside a container.
    ///
    /// ## Why it matters
    /// The embedded DNS server answers service and task names itself, and forwards all other names to the servers in
    /// `dns:`. It sends these questions from inside the container. If no server answers, external names do not resolve
    /// and each lookup takes seconds. Service names still resolve, which hides the cause.
    ///
    /// ## How to fix it
    /// Configure a server that answers. Or remove `dns:`; the container then uses the servers of its node.
    ///
    /// ## When it is wrong
    /// If the server answers only some names, or only over TCP.
    ///
    /// Source: libnetwork `resolver.go`, `forwardExtDNS`.
    "dns/server-unreachable": Error, "a DNS server configured for a service does not answer";
    healthy "DNS servers configured for services answer";
    needs Containers, TaskNetns;
    caused_by "host/forward-drop", "host/ip-forward-off", "host/docker-chains-missing", "host/firewall-drops-swarm",
        "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "network/bridge-down", "host/bridge-address-missing", "network/subnet-overlap";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let containers = host.containers.get()?;
    let mut reported = BTreeSet::new();
    for container in &containers.value {
        let service = &container.service_name;
        let netns = match container.netns.get() {
            Ok(netns) => netns,
            Err(gap) => {
                out.inconclusive(Subject::Service(service.clone()), gap);
                continue;
            }
        };
        let failed: Vec<_> =
            netns.servers.iter().filter_map(|it| Some((it.addr, it.result.as_ref().err()?))).collect();
        let Some((addr, error)) = failed.first().filter(|_| reported.insert(service)) else { continue };
        let addrs: Vec<String> = failed.iter().map(|(addr, _)| addr.to_string()).collect();
        let all = failed.len() == netns.servers.len();
        let rest = if all { "" } else { "; another configured server answers" };
        let summary = format!(
            "DNS server {} configured for {service} does not answer from inside container {}{rest}",
            addrs.join(", "),
            container.name,
        );
        let question = format!("DNS question to {addr}:53/udp from inside the container: {error}");
        let finding =
            out.report(Subject::Service(service.clone()), summary, Evidence::value(netns, question));
        if !all {
            finding.severity(Severity::Warning);
        }
        finding.on_nodes([host.name.clone()]);
        let remove: String = addrs.iter().map(|addr| format!(" --dns-rm {}", shell_quote(addr))).collect();
        finding.remedy(Remedy {
            title: format!("Remove or replace the DNS server {} of {service}", addrs.join(", ")).into(),
            risk: Risk::Disruptive,
            impact: format!("The tasks of {service} restart.").into(),
            steps: vec![Step::Manual {
                node: Target::AnyManager,
                text: "remove the server, or add one that answers with --dns-add; make the same change under `dns` in \
                       the stack file"
                    .into(),
                commands: vec![format!("docker service update{remove} {}", shell_quote(service))],
            }],
        });
    }
    Ok(())
}
