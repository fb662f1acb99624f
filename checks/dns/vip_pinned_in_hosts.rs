use crate::remedy::word;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::Host;
use facts::Seen;
use facts::container::{Answer, Container, HostsFile, HostsLine};
use std::net::IpAddr;

check! {
    /// A container's hosts file gives a service name another address than the swarm does.
    ///
    /// ## Why it matters
    /// Peers resolve a service name to its virtual address; the container itself reads its hosts file first. With
    /// `hostname:` equal to the service name it finds its own task's address there. Clustered applications such
    /// as NiFi, ZooKeeper, Kafka or Galera that bind to, advertise or compare that name then disagree with their
    /// peers, and with several replicas each peer reaches another one. An entry written by `extra_hosts` goes
    /// stale when the address moves.
    ///
    /// ## How to fix it
    /// Give every task a name of its own, `hostname: "{{.Service.Name}}-{{.Task.Slot}}"`, and let peers use
    /// `tasks.NAME`; or set `endpoint_mode: dnsrr`. Take service names out of `extra_hosts`.
    ///
    /// ## When it is wrong
    /// With one replica the pin is a known way to make an application bind to its own address; it is then only
    /// worth knowing.
    ///
    /// Source: moby#30963.
    "dns/vip-pinned-in-hosts": Warning, "a hosts file pins a service name away from its virtual address";
    needs Containers, TaskNetns, Services;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let containers = host.containers.get()?;
    for container in &containers.value {
        let subject = Subject::Service(container.service_name.clone());
        let hosts = match container.hosts.get() {
            Ok(hosts) => hosts,
            Err(gap) => {
                out.lacking(subject, gap);
                continue;
            }
        };
        others(container, hosts, view, out);
        if let Err(gap) = judge(container, hosts, view, out) {
            out.lacking(subject, gap);
        }
    }
    Ok(())
}

/// Names of other services, which only somebody's `extra_hosts` can have put there. A worker does not know them.
fn others(container: &Container, hosts: &Seen<HostsFile>, view: &View<'_>, out: &mut Findings<'_>) {
    let services = match view.snapshot.services.get() {
        Ok(services) => services,
        Err(gap) if !gap.why.leaves_open() => return,
        Err(gap) => return out.lacking(Subject::Service(container.service_name.clone()), gap),
    };
    for service in services.iter().filter(|s| s.name != container.service_name && !s.vips.is_empty()) {
        let Some(line) = hosts.lines_for(&service.name).next() else { continue };
        if service.vips.iter().any(|(_, vip)| *vip == line.addr) {
            continue;
        }
        let name = &service.name;
        let vips: Vec<_> = service.vips.iter().map(|(_, vip)| *vip).collect();
        let summary = disagreement(container, name, line, &vips);
        let evidence = Evidence::line(hosts, line.number, &line.text);
        out.report(Subject::Service(container.service_name.clone()), summary, evidence).remedy(Remedy {
            title: "Take the name out of the hosts file".into(),
            risk: Risk::RestartsTasks,
            impact: "the tasks of the service restart".into(),
            steps: vec![Step::ByHand {
                node: "a manager".into(),
                text: format!(
                    "remove the host entry for {name} from the service, or from `extra_hosts` of its stack"
                ),
                commands: vec![format!(
                    "docker service update --host-rm {}:{} {}",
                    word(name),
                    line.addr,
                    word(&container.service_name)
                )],
            }],
        });
    }
}

fn judge(container: &Container, hosts: &Seen<HostsFile>, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let Some(line) = hosts.lines_for(&container.service_name).next() else { return Ok(()) };
    let own = container.attachments.iter().any(|attachment| attachment.addr == Some(line.addr));
    let service =
        view.snapshot.services.get().ok().and_then(|s| s.iter().find(|s| s.id == container.service));
    let netns = container.netns.get();
    // A manager lists the virtual addresses; anywhere else the names tell them from the tasks' addresses.
    let (vips, replicas) = match (service, &netns) {
        (Some(service), _) if service.dnsrr => return Ok(()),
        (Some(service), _) => {
            let vips = service.vips.iter().map(|(_, addr)| *addr).collect();
            (vips, service.replicas.unwrap_or(2))
        }
        (None, Ok(netns)) => from_names(&netns.answers, &container.service_name),
        (None, Err(gap)) => return Err(gap.clone()),
    };
    if vips.is_empty() || vips.contains(&line.addr) {
        return Ok(());
    }
    let name = &container.service_name;
    let summary = disagreement(container, name, line, &vips);
    let finding =
        out.report(Subject::Service(name.clone()), summary, Evidence::line(hosts, line.number, &line.text));
    if let Ok(netns) = &netns {
        for answer in netns.answers.iter().filter(|a| a.name == *name || a.name == format!("tasks.{name}")) {
            finding.and(Evidence::value(netns, shown(answer)));
        }
    }
    if own && container.hostname.eq_ignore_ascii_case(name) && replicas <= 1 {
        finding.severity(Severity::Info);
    }
    finding.remedy(Remedy {
        title: "Give each task a name of its own".into(),
        risk: Risk::RestartsTasks,
        impact: "the tasks of the service restart".into(),
        steps: vec![Step::ByHand {
            node: "a manager".into(),
            text: "choose one of the two; where `extra_hosts` wrote the line, remove it there".into(),
            commands: vec![
                format!(
                    "docker service update --hostname '{{{{.Service.Name}}}}-{{{{.Task.Slot}}}}' {}",
                    word(name)
                ),
                format!("docker service update --endpoint-mode dnsrr {}", word(name)),
            ],
        }],
    });
    Ok(())
}

fn disagreement(container: &Container, name: &str, line: &HostsLine, vips: &[IpAddr]) -> String {
    let (inside, pinned, vips) = (&container.name, line.addr, list(vips));
    format!("inside {inside} the name {name} is {pinned}, and for everyone else it is {vips}")
}

fn list(addrs: &[IpAddr]) -> String {
    addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The virtual addresses are what the name has and its tasks have not; and how many tasks there are.
fn from_names(answers: &[Answer], name: &str) -> (Vec<IpAddr>, u64) {
    let of = |name: &str| {
        let answer = answers.iter().find(|answer| answer.name == name);
        answer.and_then(|answer| answer.result.as_ref().ok()).cloned().unwrap_or_default()
    };
    let tasks = of(&format!("tasks.{name}"));
    let vips = of(name).into_iter().filter(|addr| !tasks.contains(addr)).collect();
    (vips, tasks.len() as u64)
}

fn shown(answer: &Answer) -> String {
    match &answer.result {
        Ok(addrs) => format!("DNS {}: {}", answer.name, list(addrs)),
        Err(error) => format!("DNS {}: {error}", answer.name),
    }
}
