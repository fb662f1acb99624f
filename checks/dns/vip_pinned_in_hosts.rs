use crate::remedy::shell_quote;
use crate::service_change::update;
use crate::{
    Confidence, Evidence, Findings, Judged, Remedy, Risk, ServiceChange, Severity, Step, Subject, View,
};
use facts::Host;
use facts::Seen;
use facts::container::{Answer, Container, HostsFile, HostsLine};
use facts::service::Service;
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
    needs Containers, TaskNetns, Services, Networks, Info;
    caused_by "apps/shared-identity", "apps/binds-foreign-address", "apps/advertises-foreign-address";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let containers = host.containers.get()?;
    // One in the node's own network has the node's hosts file, and no names of the swarm.
    let of_node = |container: &&Container| container.attachments.iter().any(|it| it.name == "host");
    for container in containers.value.iter().filter(|it| !of_node(it)) {
        let subject = Subject::Service(container.service_name.clone());
        let hosts = match container.hosts.get() {
            Ok(hosts) => hosts,
            Err(gap) => {
                out.inconclusive(subject, gap);
                continue;
            }
        };
        others(container, hosts, view, out);
        if let Err(gap) = judge(container, hosts, view, out) {
            out.inconclusive(subject, gap);
        }
    }
    elsewhere(host, containers, view, out);
    Ok(())
}

/// Names of other services, which only somebody's `extra_hosts` can have put there. A worker does not know them.
fn others(container: &Container, hosts: &Seen<HostsFile>, view: &View<'_>, out: &mut Findings<'_>) {
    let services = match view.snapshot.services.get() {
        Ok(services) => services,
        Err(gap) if !gap.why.leaves_open() => return by_answers(container, hosts, view, out),
        Err(gap) => return out.inconclusive(Subject::Service(container.service_name.clone()), gap),
    };
    for service in services.iter().filter(|s| s.name != container.service_name && !s.vips.is_empty()) {
        let own = |name: &&str| {
            container.attachments.iter().any(|it| it.aliases.iter().any(|alias| alias == name))
                || *name == container.hostname
        };
        let names = service.names().filter(|name| !own(name));
        let Some((name, line)) = names.filter_map(|name| Some((name, hosts.lines_for(name).next()?))).next()
        else {
            continue;
        };
        let elsewhere = services
            .iter()
            .any(|other| other.id != service.id && other.vips.iter().any(|(_, vip)| *vip == line.addr));
        if elsewhere && name != service.name {
            continue;
        }
        if service.vips.iter().any(|(_, vip)| *vip == line.addr) {
            continue;
        }
        let vips: Vec<_> = service.vips.iter().map(|(_, vip)| *vip).collect();
        let summary = disagreement(container, name, line, &vips);
        let evidence = Evidence::line(hosts, line.number, &line.text);
        out.report(Subject::Service(container.service_name.clone()), summary, evidence).remedy(Remedy {
            title: "Take the name out of the hosts file".into(),
            risk: Risk::Disruptive,
            impact: "the tasks of the service restart".into(),
            steps: vec![entry_gone(&container.service_name, name, line.addr, view)],
        });
    }
}

/// The same on a worker: what has tasks behind it is a service.
fn by_answers(container: &Container, hosts: &Seen<HostsFile>, view: &View<'_>, out: &mut Findings<'_>) {
    let Ok(netns) = container.netns.get() else { return };
    let own = |name: &str| {
        name.eq_ignore_ascii_case(&container.service_name)
            || name.eq_ignore_ascii_case(&container.hostname)
            || container.attachments.iter().any(|it| it.aliases.iter().any(|alias| alias == name))
    };
    for answer in
        netns.answers.iter().filter(|answer| !answer.name.starts_with("tasks.") && !own(&answer.name))
    {
        let name = &answer.name;
        let addrs = netns.addresses_of(name);
        let tasks = netns.addresses_of(&format!("tasks.{name}"));
        let Some(line) = hosts.lines_for(name).next().filter(|_| !addrs.is_empty() && !tasks.is_empty())
        else {
            continue;
        };
        if addrs.contains(&line.addr) || tasks.contains(&line.addr) {
            continue;
        }
        let summary = disagreement(container, name, line, addrs);
        let subject = Subject::Service(container.service_name.clone());
        let finding = out.report(subject, summary, Evidence::line(hosts, line.number, &line.text));
        finding.with(Evidence::value(netns, shown(answer))).remedy(Remedy {
            title: "Take the name out of the hosts file".into(),
            risk: Risk::Disruptive,
            impact: "the tasks of the service restart".into(),
            steps: vec![entry_gone(&container.service_name, name, line.addr, view)],
        });
    }
}

/// The names of the task itself, to which the engine gives its own address.
fn judge(container: &Container, hosts: &Seen<HostsFile>, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let service =
        view.snapshot.services.get().ok().and_then(|s| s.iter().find(|s| s.id == container.service));
    let netns = container.netns.get();
    let mut names = vec![&container.service_name];
    // An alias of the service leads to the virtual address just as its name does.
    names
        .extend(Some(&container.hostname).filter(|name| !name.eq_ignore_ascii_case(&container.service_name)));
    for name in names {
        let Some(line) = hosts.lines_for(name).next() else { continue };
        // What everyone is told counts most; what a manager has noted is for when that could not be asked.
        let vips = match (&netns, service) {
            (_, Some(service)) if service.dnsrr => continue,
            (Ok(netns), _) => netns.virtual_addresses_of(name, &container.service_name),
            (Err(_), Some(service)) => service.vips.iter().map(|(_, addr)| *addr).collect(),
            (Err(gap), None) => return Err(gap.clone()),
        };
        if vips.is_empty() || vips.contains(&line.addr) {
            continue;
        }
        let evidence = Evidence::line(hosts, line.number, &line.text);
        let subject = Subject::Service(container.service_name.clone());
        let finding = out.report(subject, disagreement(container, name, line, &vips), evidence);
        let mut tasks = None;
        if let Ok(netns) = &netns {
            let all = format!("tasks.{}", container.service_name);
            tasks = Some(netns.addresses_of(&all).len() as u64);
            for answer in netns.answers.iter().filter(|a| a.name == *name || a.name == all) {
                finding.with(Evidence::value(netns, shown(answer)));
            }
        }
        let own = container.attachments.iter().any(|attachment| attachment.addr == Some(line.addr));
        let replicas = service.map_or(tasks, |service| service.replicas).unwrap_or(2);
        let named = container.hostname.eq_ignore_ascii_case(name);
        let deliberate = own && named && replicas <= 1;
        if deliberate {
            finding.severity(Severity::Info);
        }
        finding.remedy(match named {
            true => a_name_for_each(&container.service_name, service, deliberate, view),
            false => Remedy {
                title: "Take the name out of the hosts file".into(),
                risk: Risk::Disruptive,
                impact: "the tasks of the service restart".into(),
                steps: vec![entry_gone(&container.service_name, name, line.addr, view)],
            },
        });
    }
    Ok(())
}

/// Services whose tasks run elsewhere: a manager knows what name it gave them, and so what is in their hosts files.
fn elsewhere(host: &Host, containers: &[Container], view: &View<'_>, out: &mut Findings<'_>) {
    let Ok(services) = view.snapshot.services.get() else { return };
    let networks = host.networks.get();
    let networks = networks.as_ref().map(|networks| networks.as_slice()).unwrap_or_default();
    // No name leads to an address on the routing mesh's network.
    let ingress: Vec<_> =
        networks.iter().filter(|network| network.ingress).map(|network| &network.id).collect();
    for service in &services.value {
        let Some(hostname) = &service.hostname else { continue };
        let pinned = service.is_called(hostname);
        let here = containers.iter().any(|container| container.service == service.id);
        let named = service.vips.iter().filter(|(network, _)| !ingress.contains(&network));
        let vips: Vec<_> = named.map(|(_, vip)| *vip).collect();
        if !pinned || here || service.dnsrr || vips.is_empty() {
            continue;
        }
        let vips = list(&vips);
        let summary = format!(
            "each task of {} takes the name {hostname} for itself, and for everyone else it is {vips}",
            service.name
        );
        let shown = format!("hostname {hostname}, virtual addresses {vips}");
        let finding =
            out.report(Subject::Service(service.name.clone()), summary, Evidence::value(services, shown));
        let deliberate = service.replicas.is_some_and(|replicas| replicas <= 1);
        let remedy = a_name_for_each(&service.name, Some(service), deliberate, view);
        finding.confidence(Confidence::Medium).remedy(remedy);
        if deliberate {
            finding.severity(Severity::Info);
        }
    }
}

fn entry_gone(service: &str, name: &str, addr: IpAddr, view: &View<'_>) -> Step {
    let services = view.snapshot.services.get().ok();
    let spec = services.and_then(|all| all.iter().find(|it| it.name == service));
    if spec.is_some_and(|spec| spec.mounts.iter().any(|mount| mount.target == "/etc/hosts")) {
        return Step::Manual {
            node: view.manager().unwrap_or_else(|| "a manager".into()),
            text: format!(
                "take the line of {name} out of the file that {service} mounts over /etc/hosts, or the mount out"
            ),
            commands: vec![format!("docker service update --mount-rm /etc/hosts {}", shell_quote(service))],
        };
    }
    let text =
        format!("remove the host entry for {name} from the service, or from `extra_hosts` of its stack");
    let change = ServiceChange::HostEntryGone { name: name.to_owned(), addr: addr.to_string() };
    update(view, service, text, vec![change])
}

/// A hostname that differs from task to task and stands for nothing else. What may be deliberate is left to a person.
fn a_name_for_each(service: &str, spec: Option<&Service>, deliberate: bool, view: &View<'_>) -> Remedy {
    let every_node = spec.is_some_and(|spec| spec.replicas.is_none());
    let each = if every_node { "{{.Node.Hostname}}" } else { "{{.Task.Slot}}" };
    let own = ServiceChange::Hostname(format!("{{{{.Service.Name}}}}-{each}"));
    let text = "give each task a hostname of its own, and let peers use tasks.NAME";
    let mut step = update(view, service, text.into(), vec![own]);
    if deliberate {
        let mut commands = step.commands();
        commands.push(format!("docker service update --endpoint-mode dnsrr {}", shell_quote(service)));
        step = Step::Manual { node: "a manager".into(), text: "choose one of the two".into(), commands };
    }
    Remedy {
        title: "Give each task a name of its own".into(),
        risk: Risk::Disruptive,
        impact: "the tasks of the service restart".into(),
        steps: vec![step],
    }
}

fn disagreement(container: &Container, name: &str, line: &HostsLine, vips: &[IpAddr]) -> String {
    let (inside, pinned, vips) = (&container.name, line.addr, list(vips));
    format!("inside {inside} the name {name} is {pinned}, and for everyone else it is {vips}")
}

fn list(addrs: &[IpAddr]) -> String {
    addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn shown(answer: &Answer) -> String {
    match &answer.result {
        Ok(addrs) => format!("DNS {}: {}", answer.name, list(addrs)),
        Err(error) => format!("DNS {}: {error}", answer.name),
    }
}
