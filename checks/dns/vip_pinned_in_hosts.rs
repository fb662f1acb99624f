use crate::remedy::shell_quote;
use crate::service_change::update;
use crate::{
    Confidence, Evidence, Findings, Judged, Remedy, Risk, ServiceChange, Severity, Step, Subject, Target,
    View,
};
use facts::Host;
use facts::Seen;
use facts::container::{Answer, Container, HostsFile, HostsLine};
use facts::service::Service;
use std::net::IpAddr;

check! {
    /// /etc/hosts of a container overrides a service name with another address than DNS returns.
    ///
    /// ## Why it matters
    /// Other containers resolve a service name to its VIP. The container itself reads its `/etc/hosts` first. With
    /// `hostname:` equal to the service name, that file has the address of the container's own task. Clustered
    /// applications such as NiFi, ZooKeeper, Kafka or Galera bind to this name, advertise it or compare it, and then
    /// disagree with their peers. With several replicas each peer reaches a different task. An entry from
    /// `extra_hosts` becomes stale when the address changes.
    ///
    /// ## How to fix it
    /// Give each task a unique hostname, `hostname: "{{.Service.Name}}-{{.Task.Slot}}"`, and let peers use
    /// `tasks.NAME`. Or set `endpoint_mode: dnsrr`. Remove service names from `extra_hosts`.
    ///
    /// ## When it is wrong
    /// With one replica this is a known way to make an application bind to its own address. The severity is then info.
    ///
    /// Source: moby#30963.
    "dns/vip-pinned-in-hosts": Warning, "a container's /etc/hosts overrides a service name";
    healthy "/etc/hosts of containers agrees with DNS for service names";
    needs Containers, TaskNetns, Services, Networks, Info;
    caused_by "apps/shared-identity", "apps/binds-foreign-address", "apps/advertises-foreign-address";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let containers = host.containers.get()?;
    // A container with the host's network has the node's hosts file and does not resolve service names.
    let host_network = |container: &&Container| container.attachments.iter().any(|it| it.name == "host");
    for container in containers.value.iter().filter(|it| !host_network(it)) {
        let subject = Subject::Service(container.service_name.clone());
        let hosts = match container.hosts.get() {
            Ok(hosts) => hosts,
            Err(gap) => {
                out.inconclusive(subject, gap);
                continue;
            }
        };
        other_services(container, hosts, view, out);
        if let Err(gap) = own_names(container, hosts, view, out) {
            out.inconclusive(subject, gap);
        }
    }
    tasks_elsewhere(host, containers, view, out);
    Ok(())
}

/// Names of other services. Only `extra_hosts` or a mount puts them into the file. A worker has no list of services.
fn other_services(container: &Container, hosts: &Seen<HostsFile>, view: &View<'_>, out: &mut Findings<'_>) {
    let services = match view.snapshot.services.get() {
        Ok(services) => services,
        Err(gap) if !gap.why.leaves_open() => return other_services_by_dns(container, hosts, view, out),
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
        let vip_of_other = services
            .iter()
            .any(|other| other.id != service.id && other.vips.iter().any(|(_, vip)| *vip == line.addr));
        if vip_of_other && name != service.name {
            continue;
        }
        if service.vips.iter().any(|(_, vip)| *vip == line.addr) {
            continue;
        }
        let vips: Vec<_> = service.vips.iter().map(|(_, vip)| *vip).collect();
        let summary = disagreement(container, name, line, &vips);
        let evidence = Evidence::line(hosts, line.number, &line.text);
        out.report(Subject::Service(container.service_name.clone()), summary, evidence).remedy(remove_entry(
            &container.service_name,
            name,
            line.addr,
            view,
        ));
    }
}

/// The same without a list of services: a name with a `tasks.NAME` answer is a service.
fn other_services_by_dns(
    container: &Container,
    hosts: &Seen<HostsFile>,
    view: &View<'_>,
    out: &mut Findings<'_>,
) {
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
        finding.with(Evidence::value(netns, dns_answer(answer))).remedy(remove_entry(
            &container.service_name,
            name,
            line.addr,
            view,
        ));
    }
}

/// The names of the task itself. The engine writes them into the file with the task's own address.
fn own_names(
    container: &Container,
    hosts: &Seen<HostsFile>,
    view: &View<'_>,
    out: &mut Findings<'_>,
) -> Judged {
    let service =
        view.snapshot.services.get().ok().and_then(|s| s.iter().find(|s| s.id == container.service));
    let netns = container.netns.get();
    let mut names = vec![&container.service_name];
    // The hostname may be an alias of the service, and then resolves to the VIP as well. One that the engine made of the
    // container's id is an alias of every task, and resolves to the VIP for a moment while the service changes.
    let chosen = |name: &&String| {
        !name.eq_ignore_ascii_case(&container.service_name)
            && !container.id.as_str().starts_with(name.as_str())
    };
    names.extend(Some(&container.hostname).filter(chosen));
    for name in names {
        let Some(line) = hosts.lines_for(name).next() else { continue };
        // DNS answers come first; the manager's list is used where DNS could not be asked.
        let vips = match (&netns, service) {
            (_, Some(service)) if service.dnsrr => continue,
            (Ok(netns), _) => netns.vips_of(name, &container.service_name),
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
                finding.with(Evidence::value(netns, dns_answer(answer)));
            }
        }
        let own_address = container.attachments.iter().any(|attachment| attachment.addr == Some(line.addr));
        let replicas = service.map_or(tasks, |service| service.replicas).unwrap_or(2);
        let is_hostname = container.hostname.eq_ignore_ascii_case(name);
        let deliberate = own_address && is_hostname && replicas <= 1;
        if deliberate {
            finding.severity(Severity::Info);
        }
        finding.remedy(if is_hostname {
            unique_hostname(&container.service_name, service, deliberate, view)
        } else {
            remove_entry(&container.service_name, name, line.addr, view)
        });
    }
    Ok(())
}

/// Services without a task on this node. The manager knows their hostname, and so the content of their hosts files.
fn tasks_elsewhere(host: &Host, containers: &[Container], view: &View<'_>, out: &mut Findings<'_>) {
    let Ok(services) = view.snapshot.services.get() else { return };
    let networks = host.networks.get();
    let networks = networks.as_ref().map(|networks| networks.as_slice()).unwrap_or_default();
    // No name resolves to an address on the ingress network.
    let ingress: Vec<_> =
        networks.iter().filter(|network| network.ingress).map(|network| &network.id).collect();
    for service in &services.value {
        let Some(hostname) = &service.hostname else { continue };
        let overrides = service.is_called(hostname);
        let here = containers.iter().any(|container| container.service == service.id);
        let resolvable = service.vips.iter().filter(|(network, _)| !ingress.contains(&network));
        let vips: Vec<_> = resolvable.map(|(_, vip)| *vip).collect();
        if !overrides || here || service.dnsrr || vips.is_empty() {
            continue;
        }
        let vips = list(&vips);
        let summary = format!(
            "each task of {} resolves {hostname} to its own address, other containers resolve it to the VIP {vips}",
            service.name
        );
        let configured = format!("hostname {hostname}, VIP {vips}");
        let finding = out.report(
            Subject::Service(service.name.clone()),
            summary,
            Evidence::value(services, configured),
        );
        let deliberate = service.replicas.is_some_and(|replicas| replicas <= 1);
        let remedy = unique_hostname(&service.name, Some(service), deliberate, view);
        finding.confidence(Confidence::Medium).remedy(remedy);
        if deliberate {
            finding.severity(Severity::Info);
        }
    }
}

fn remove_entry(service: &str, name: &str, addr: IpAddr, view: &View<'_>) -> Remedy {
    Remedy {
        title: format!("Remove {name} from the hosts file of {service}").into(),
        risk: Risk::Disruptive,
        impact: format!("The tasks of {service} restart.").into(),
        steps: vec![remove_entry_step(service, name, addr, view)],
    }
}

fn remove_entry_step(service: &str, name: &str, addr: IpAddr, view: &View<'_>) -> Step {
    let services = view.snapshot.services.get().ok();
    let spec = services.and_then(|all| all.iter().find(|it| it.name == service));
    if spec.is_some_and(|spec| spec.mounts.iter().any(|mount| mount.target == "/etc/hosts")) {
        return Step::Manual {
            node: view.manager().map_or(Target::AnyManager, Target::Node),
            text: format!(
                "remove the line of {name} from the file that {service} mounts over /etc/hosts, or remove the mount"
            ),
            commands: vec![format!("docker service update --mount-rm /etc/hosts {}", shell_quote(service))],
        };
    }
    let text = format!(
        "remove the host entry for {name} from the service, and from `extra_hosts` in its stack file"
    );
    let change = ServiceChange::HostEntryGone { name: name.to_owned(), addr: addr.to_string() };
    update(view, service, text, vec![change])
}

/// A hostname that is unique to each task and no service name. A setup that may be deliberate gets a manual choice.
fn unique_hostname(service: &str, spec: Option<&Service>, deliberate: bool, view: &View<'_>) -> Remedy {
    let is_global = spec.is_some_and(|spec| spec.replicas.is_none());
    let suffix = if is_global { "{{.Node.Hostname}}" } else { "{{.Task.Slot}}" };
    let hostname = ServiceChange::Hostname(format!("{{{{.Service.Name}}}}-{suffix}"));
    let text = "give each task a unique hostname, and let peers use tasks.NAME";
    let mut step = update(view, service, text.into(), vec![hostname]);
    if deliberate {
        let mut commands = step.commands();
        commands.push(format!("docker service update --endpoint-mode dnsrr {}", shell_quote(service)));
        step = Step::Manual { node: Target::AnyManager, text: "run one of the two".into(), commands };
    }
    Remedy {
        title: format!("Give each task of {service} a unique hostname").into(),
        risk: Risk::Disruptive,
        impact: format!("The tasks of {service} restart.").into(),
        steps: vec![step],
    }
}

fn disagreement(container: &Container, name: &str, line: &HostsLine, vips: &[IpAddr]) -> String {
    format!(
        "in container {} the name {name} is {} (/etc/hosts), other containers resolve it to {}",
        container.name,
        line.addr,
        list(vips)
    )
}

fn list(addrs: &[IpAddr]) -> String {
    addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn dns_answer(answer: &Answer) -> String {
    match &answer.result {
        Ok(addrs) => format!("DNS {}: {}", answer.name, list(addrs)),
        Err(error) => format!("DNS {}: {error}", answer.name),
    }
}
