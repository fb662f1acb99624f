use super::{compose, edit, edit_of, line, subject};
use crate::model::app_naming::{replace_host, unique_name, with_host};
use crate::model::stack_app::{Member, members};
use crate::{Confidence, Findings, Judged, Severity, View};
use facts::app::{HostSetting, Malformed, Requirement, Setting};
use facts::stack::{Compose, StackService};

check! {
    /// A clustered program is configured with an address at which its peers do not reach it.
    ///
    /// ## Why it matters
    /// NiFi, ZooKeeper, Kafka and similar programs bind a name and advertise it to their peers. In a stack the name of
    /// a service resolves to its VIP, which no task holds: binding it fails, and of several tasks any answers there. A
    /// wildcard or `localhost` leads each peer to itself. Members with the same identity replace one another. A
    /// `hostname` that is the name of its service resolves to the VIP and to the task, alternately. A program that picks
    /// its address itself may pick that of the ingress network, and one whose peers take the address of its connection
    /// must not connect through a VIP.
    ///
    /// ## How to fix it
    /// One service for each member, or a template such as `{{.Task.Slot}}`, with a unique `hostname` that is not the name
    /// of the service, and that name in every setting that binds or advertises.
    ///
    /// ## When it is wrong
    /// With `endpoint_mode: dnsrr` the name of a service resolves to its tasks, and nothing is reported for one task.
    ///
    /// Source: moby#30963; NiFi `NiFiProperties.java`; elastic/elasticsearch#49916; redis/redis#6218;
    /// rabbitmq/rabbitmq-server#1454; docker-library/cassandra#168.
    "stack/app-address": Error, "a clustered program is configured with a wrong address";
    healthy "every clustered program is configured with an address that its peers reach";
    needs Stack;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    let compose = compose(stack)?;
    let members = members(stack, compose);
    for (at, member) in members.iter().enumerate() {
        hostname(member, out);
        for wrong in &member.config.malformed {
            malformed(member, wrong, out);
        }
        addresses(member, out);
        requirements(member, &members, compose, out);
        if let Some(setting) = &member.config.identity {
            let twin = members.iter().take(at).find(|other| are_twins(member, other, setting));
            if let Some(twin) = twin {
                shared(member, twin, setting, out);
            }
        }
    }
    Ok(())
}

/// An invalid value, such as one with a second `=` before it.
fn malformed(member: &Member<'_>, wrong: &Malformed, out: &mut Findings<'_>) {
    let Malformed { setting, why, meant, advice } = wrong;
    let (name, value) = (&setting.name, &setting.value);
    let summary = match meant {
        Some(_) => {
            format!("{} is configured with {name}={value}, and {value:?} is not a valid value", member.name())
        }
        None => format!("{} {why} ({setting})", member.name()),
    };
    out.report(subject(member.service), summary, member.evidence(setting)).remedy(edit_of(
        &member.file_of(setting),
        format!("Correct {name}"),
        advice.as_str(),
    ));
}

/// A unique hostname for the tasks of the service; one that is set and fits is kept.
fn proposed_hostname(service: &StackService) -> String {
    let name = &service.name.value;
    let several = service.has_several_tasks();
    match &service.hostname {
        Some(own) if own.value != *name && (!several || own.value.contains("{{")) => own.value.clone(),
        _ => unique_name(name, several, service.global),
    }
}

/// An address to bind that is a VIP, or one to advertise that leads elsewhere.
fn addresses(member: &Member<'_>, out: &mut Findings<'_>) {
    let (service, name) = (member.service, member.name());
    let hostname = service.hostname.as_ref().map(|hostname| hostname.value.as_str());
    let stands_for_service = |host: &HostSetting| host.host == name || host.host == format!("tasks.{name}");
    let is_vip = |host: &&HostSetting| !service.dnsrr && host.host == name && hostname != Some(name);
    let leads_nowhere = |host: &&HostSetting| {
        matches!(host.host.as_str(), "localhost" | "127.0.0.1" | "0.0.0.0" | "::" | "::1")
    };
    let is_of_all = |host: &&HostSetting| service.has_several_tasks() && stands_for_service(host);
    let bound = member.config.endpoints.iter().filter_map(|endpoint| endpoint.bind.as_ref());
    let advertised = member.config.endpoints.iter().filter_map(|endpoint| endpoint.advertise.as_ref());
    let advertised = advertised.filter(|_| member.config.clustered);
    let (host, summary) = if let Some(host) = bound.clone().find(is_vip) {
        let why = "the name of its service resolves to its VIP, which its task does not hold";
        (host, format!("{name} is configured to listen at {} ({}): {why}", host.host, host.setting))
    } else if let Some(host) = advertised.clone().find(leads_nowhere) {
        let why = "each of its peers reaches itself there";
        (host, format!("{name} is configured to advertise {} ({}): {why}", host.host, host.setting))
    } else if let Some(host) =
        advertised.clone().filter(|_| member.program.name != "zookeeper").find(is_of_all)
    {
        let why = "any of its tasks answers there";
        (
            host,
            format!(
                "all tasks of {name} are configured to advertise {} ({}): {why}",
                host.host, host.setting
            ),
        )
    } else {
        return;
    };
    let finding = out.report(subject(service), summary, member.evidence(&host.setting));
    finding.with(line(member.stack, service.name.line));
    let file = member.file_of(&host.setting);
    if member.program.name == "zookeeper" {
        let (entry, wild) = (&host.setting.value, replace_host(&host.setting.value, &host.host, "0.0.0.0"));
        let text = format!(
            "in {} of {name} replace its own entry {entry} with {wild}; the other entries stay",
            host.setting.name
        );
        finding.remedy(edit_of(&file, format!("Let {name} listen on all addresses for its peers"), text));
        return;
    }
    let hostname = proposed_hostname(service);
    let text = format!(
        "set {}={}, and in the stack file under {name} hostname: \"{hostname}\"",
        host.setting.name,
        with_host(host, &hostname)
    );
    finding.remedy(edit_of(
        &file,
        format!("Give each task of {name} a unique hostname, and configure it"),
        text,
    ));
}

/// What the settings require of the network, and the stack does not give.
fn requirements(member: &Member<'_>, members: &[Member<'_>], compose: &Compose, out: &mut Findings<'_>) {
    let (service, name) = (member.service, member.name());
    for requirement in &member.config.requirements {
        match requirement {
            Requirement::OneNetwork { setting, how, fix, certain } => {
                let networks = service.networks().count();
                let published = service.ports.iter().find(|port| port.value.ingress);
                let (number, why) = match published {
                    Some(port) => (port.line, "a published port adds the ingress network".to_owned()),
                    None if networks > 1 => {
                        (service.name.line, format!("it is attached to {networks} networks"))
                    }
                    None => continue,
                };
                let summary =
                    format!("{name} {how} ({setting}), and {why}: its peers may not reach that address");
                let finding = out.report(subject(service), summary, member.evidence(setting));
                finding.with(line(member.stack, number)).confidence(Confidence::Medium);
                if !certain {
                    finding.severity(Severity::Warning);
                }
                finding.remedy(edit(
                    member.stack,
                    format!("Configure the address that {name} advertises"),
                    format!("set {fix}"),
                ));
            }
            Requirement::DirectConnection { setting, host, fix } => {
                let behind_vip =
                    compose.services.iter().any(|other| other.name.value == *host && !other.dnsrr);
                let sentinel = members.iter().find(|other| other.config.is_sentinel);
                let Some(sentinel) = sentinel.filter(|_| behind_vip) else { continue };
                let summary = format!(
                    "{name} connects to {host} through its VIP ({setting}): {host} sees the address of the load balancer, \
                     and {} reports it to clients",
                    sentinel.name()
                );
                out.report(subject(service), summary, member.evidence(setting))
                    .with(line(member.stack, sentinel.service.name.line))
                    .remedy(edit(
                        member.stack,
                        format!("Configure the address that {name} announces"),
                        format!("set {fix}"),
                    ));
            }
            Requirement::FullHostname { setting } => {
                let full = service.hostname.as_ref().is_some_and(|hostname| hostname.value.contains('.'));
                if full {
                    continue;
                }
                let own = match &service.hostname {
                    Some(hostname) => format!("its hostname {} has no domain", hostname.value),
                    None => "its hostname is the container id, without a domain".to_owned(),
                };
                let summary = format!("{name} uses long node names ({setting}), and {own}");
                out.report(subject(service), summary, member.evidence(setting)).remedy(edit(
                    member.stack,
                    format!("Use short node names in {name}"),
                    format!(
                        "remove {} and set hostname: \"{}\", or set a hostname with a domain that its peers resolve",
                        setting.name,
                        proposed_hostname(service)
                    ),
                ));
            }
        }
    }
}

/// Whether two members of one program replace each other.
fn are_twins(one: &Member<'_>, other: &Member<'_>, setting: &Setting) -> bool {
    let together = one.config.peers.is_empty()
        || other.config.peers.is_empty()
        || one.config.peers.iter().any(|peer| other.config.peers.contains(peer));
    let same =
        other.config.identity.as_ref().is_some_and(|it| it.name == setting.name && it.value == setting.value);
    let clustered = one.config.clustered && other.config.clustered;
    one.program.name == other.program.name && clustered && same && together && !setting.value.contains("{{")
}

fn shared(member: &Member<'_>, twin: &Member<'_>, setting: &Setting, out: &mut Findings<'_>) {
    let summary = format!(
        "{} and {} are both configured with {}={}",
        twin.name(),
        member.name(),
        setting.name,
        setting.value
    );
    let theirs = twin.config.identity.as_ref().unwrap_or(setting);
    out.report(subject(member.service), summary, member.evidence(setting))
        .with(twin.evidence(theirs))
        .remedy(edit_of(
            &member.file_of(setting),
            format!("Give {} a unique identity", member.name()),
            format!("set {} to a value that no other member has", setting.name),
        ));
}

/// A hostname that is the name of the service, or one for several tasks.
fn hostname(member: &Member<'_>, out: &mut Findings<'_>) {
    let (stack, service, name) = (member.stack, member.service, member.name());
    let Some(hostname) = &service.hostname else { return };
    let shared = service.has_several_tasks() && !hostname.value.contains("{{");
    let summary = if shared {
        format!("all tasks of {name} have the hostname {}", hostname.value)
    } else if hostname.value == *name && !service.dnsrr {
        let answer = "its peers get its VIP and the address of its task alternately";
        format!("the hostname of {name} is the name of its service: {answer}")
    } else {
        return;
    };
    let finding = out.report(subject(service), summary, line(stack, hostname.line));
    if !shared {
        finding.severity(Severity::Warning).confidence(Confidence::Medium);
    }
    let text = format!(
        "line {}: hostname: \"{}\", and that name in its settings and those of its peers",
        hostname.line,
        proposed_hostname(service)
    );
    finding.remedy(edit(stack, format!("Give each task of {name} a unique hostname"), text));
}
