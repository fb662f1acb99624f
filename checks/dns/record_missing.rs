use crate::model::service_discovery::{Expected, examined_containers};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::container::{Answer, Container, Netns};
use facts::service::{Service, Task};
use facts::{Host, NetworkId, Seen};
use std::collections::BTreeSet;
use std::net::IpAddr;

check! {
    /// The embedded DNS server does not return running tasks of a service.
    ///
    /// ## Why it matters
    /// A name that ends with NXDOMAIN, or a `tasks.NAME` that lacks tasks, keeps programs from their peers, although
    /// the tasks run and answer at their addresses.
    ///
    /// ## How to fix it
    /// Replace the tasks of the service with `docker service update --force`: new tasks get new records.
    ///
    /// ## When it is wrong
    /// While a task starts. Services that changed within the last minute are not judged.
    ///
    /// Source: moby#53141, moby#50129; moby `daemon/libnetwork/service_common.go`, `addServiceBinding`.
    "dns/record-missing": Error, "the embedded DNS server does not return running tasks of a service";
    healthy "DNS returns every running task";
    needs Containers, TaskNetns, Tasks, Services, Nodes;
    caused_by "network/duplicate-address", "network/endpoint-missing", "network/gossip-partition", "dns/embedded-resolver-unreachable";
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let expected = Expected::of(view)?;
    let mut reported = BTreeSet::new();
    for (host, container, netns) in examined_containers(view, out) {
        let Some(service) = expected.services.value.iter().find(|it| it.id == container.service) else {
            continue;
        };
        let name = format!("tasks.{}", service.name);
        let answer = netns.answers.iter().find(|answer| answer.name == name);
        let Some(answer) = answer.filter(|answer| is_answer(answer)) else { continue };
        if !expected.covers(host) || !expected.is_settled(service, host) {
            continue;
        }
        let tasks = resolvable(service, container, host, &expected);
        let absent: Vec<&(&Task, Vec<IpAddr>)> =
            tasks.iter().filter(|(_, addrs)| !addrs.iter().any(|addr| returns(answer, addr))).collect();
        if !absent.is_empty() && reported.insert((&host.name, &service.name)) {
            report(host, (container, netns), service, answer, &absent, tasks.len(), out);
        }
    }
    Ok(())
}

/// Whether the server answered at all: a timeout says nothing about a name.
fn is_answer(answer: &Answer) -> bool {
    answer.result.as_ref().map_or_else(
        |error| matches!(error.as_str(), "NXDOMAIN" | "SERVFAIL" | "REFUSED" | "no address"),
        |_| true,
    )
}

fn returns(answer: &Answer, addr: &IpAddr) -> bool {
    answer.result.as_ref().is_ok_and(|addrs| addrs.contains(addr))
}

/// The running tasks of a service that share a network with the container, with their addresses there.
fn resolvable<'a>(
    service: &Service,
    container: &Container,
    host: &Host,
    expected: &Expected<'a>,
) -> Vec<(&'a Task, Vec<IpAddr>)> {
    let own: BTreeSet<&NetworkId> =
        container.attachments.iter().map(|attachment| &attachment.network).collect();
    let of_service = expected.settled(host).filter(|task| task.service == service.id);
    let on_own = |task: &'a Task| {
        // Names do not resolve to addresses on the ingress network.
        let named = task.attachments.iter().filter(|it| own.contains(&it.network) && !it.ingress);
        let addrs: Vec<IpAddr> =
            named.flat_map(|it| it.addresses.iter().copied()).filter(IpAddr::is_ipv4).collect();
        (!addrs.is_empty()).then_some((task, addrs))
    };
    of_service.filter_map(on_own).collect()
}

fn report(
    host: &Host,
    (container, netns): (&Container, &Seen<Netns>),
    service: &Service,
    answer: &Answer,
    absent: &[&(&Task, Vec<IpAddr>)],
    all: usize,
    out: &mut Findings<'_>,
) {
    let addrs: Vec<String> = absent.iter().flat_map(|(_, addrs)| addrs).map(ToString::to_string).collect();
    let got = match &answer.result {
        Ok(addrs) => addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Err(error) => error.clone(),
    };
    let summary = format!(
        "DNS on {} does not return {} of {all} running tasks for {}: {got}",
        host.name,
        absent.len(),
        answer.name
    );
    let text =
        format!("DNS {} in container {}: {got}; missing: {}", answer.name, container.name, addrs.join(", "));
    let finding = out.report(Subject::Service(service.name.clone()), summary, Evidence::value(netns, text));
    finding.on_nodes([host.name.clone()]);
    finding.remedy(Remedy {
        title: format!("Replace the tasks of {}", service.name).into(),
        risk: Risk::Disruptive,
        impact: format!("The tasks of {} restart, one after the other.", service.name).into(),
        steps: vec![Step::Manual {
            node: Target::AnyManager,
            text: format!("replace the tasks of {}: each new task is announced to all nodes", service.name),
            commands: vec![format!("docker service update --force {}", shell_quote(&service.name))],
        }],
    });
}
