use crate::model::service_discovery::{Expected, examined_containers, is_live};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::container::{Container, Netns};
use facts::service::Service;
use facts::{Host, Seen};
use std::collections::BTreeSet;
use std::net::IpAddr;

check! {
    /// The embedded DNS server returns the address of a task that does not exist any more.
    ///
    /// ## Why it matters
    /// A program that connects to the address waits for a timeout, or reaches the task that got the address later.
    /// With `tasks.NAME` or `endpoint_mode: dnsrr` this affects a share of all connections from this node.
    ///
    /// ## How to fix it
    /// Replace the tasks of the service with `docker service update --force`. If DNS still returns the address,
    /// restart the engine of the node.
    ///
    /// ## When it is wrong
    /// For some seconds after a task has ended. Services that changed within the last minute are not judged.
    ///
    /// Source: moby#30134, moby#28836; moby `daemon/libnetwork/service_common.go`, `rmServiceBinding`.
    "dns/stale-record": Error, "the embedded DNS server returns the address of a task that does not exist";
    healthy "DNS returns only addresses of existing tasks";
    needs Containers, TaskNetns, Tasks, Services, Nodes;
    caused_by "network/duplicate-address", "network/ghost-endpoint";
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let expected = Expected::of(view)?;
    let mut reported = BTreeSet::new();
    for (host, container, netns) in examined_containers(view, out) {
        let Some((service, stale)) = stale_addresses(host, container, netns, &expected) else { continue };
        if !stale.is_empty() && reported.insert((&host.name, &service.name)) {
            report(host, container, netns, service, &stale, out);
        }
    }
    Ok(())
}

/// The addresses of `tasks.NAME` that no live task of the service has. `None` if the service changed just now.
fn stale_addresses<'a>(
    host: &Host,
    container: &Container,
    netns: &Netns,
    expected: &Expected<'a>,
) -> Option<(&'a Service, Vec<IpAddr>)> {
    let service = expected.services.value.iter().find(|service| service.id == container.service)?;
    if !expected.covers(host) || !expected.is_settled(service, host) {
        return None;
    }
    let live = expected.tasks.iter().filter(|task| task.service == service.id && is_live(task));
    let live: BTreeSet<IpAddr> = live.flat_map(|task| task.addresses.iter().copied()).collect();
    let answer = netns.addresses_of(&format!("tasks.{}", service.name));
    Some((service, answer.iter().copied().filter(|addr| !live.contains(addr)).collect()))
}

fn report(
    host: &Host,
    container: &Container,
    netns: &Seen<Netns>,
    service: &Service,
    stale: &[IpAddr],
    out: &mut Findings<'_>,
) {
    let name = format!("tasks.{}", service.name);
    let list = |addrs: &[IpAddr]| addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let summary = format!(
        "DNS on {} returns {} for {name}, and no task of {} has this address",
        host.name,
        list(stale),
        service.name
    );
    let answer = format!("DNS {name} in container {}: {}", container.name, list(netns.addresses_of(&name)));
    let finding = out.report(Subject::Service(service.name.clone()), summary, Evidence::value(netns, answer));
    finding.on_nodes([host.name.clone()]);
    finding.remedy(Remedy {
        title: format!("Replace the tasks of {}", service.name).into(),
        risk: Risk::Disruptive,
        impact: format!("The tasks of {} restart, one after the other.", service.name).into(),
        steps: vec![
            Step::Manual {
                node: Target::AnyManager,
                text: format!("replace the tasks of {}", service.name),
                commands: vec![format!("docker service update --force {}", shell_quote(&service.name))],
            },
            Step::Manual {
                node: host.name.clone().into(),
                text: format!(
                    "if DNS still returns the address, restart the engine; the tasks of {} restart",
                    host.name
                ),
                commands: vec!["systemctl restart docker".into()],
            },
        ],
    });
}
