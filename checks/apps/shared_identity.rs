use crate::model::app_member::{Member, members};
use crate::model::app_naming;
use crate::remedy::shell_quote;
use crate::service_change::update;
use crate::{Findings, Judged, Remedy, Risk, ServiceChange, Step, Target, View};
use facts::app::{Origin, Setting};

check! {
    /// Two members of an application's cluster have the same identity.
    ///
    /// ## Why it matters
    /// A node address, a broker id or a server number must be unique in its cluster. Where two members have the same, by a
    /// copied line or by `replicas:` with a fixed value, the cluster takes them for one member: the later replaces the
    /// earlier, they alternate, or neither joins.
    ///
    /// ## How to fix it
    /// Give each member a unique value. With several replicas a template such as `{{.Task.Slot}}` makes one for each.
    ///
    /// ## When it is wrong
    /// The image makes the value unique when it starts.
    ///
    /// Source: `NodeClusterCoordinator` of NiFi; `myid` of ZooKeeper; `node.id` of Kafka.
    "apps/shared-identity": Error, "two members of an application's cluster have the same identity";
    healthy "every cluster member has a unique identity";
    needs Services, Apps, Info;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let members = members(view, out);
    let mut reported = Vec::new();
    for (at, member) in members.iter().enumerate() {
        let alike = hostname_for_all(member);
        let setting = alike.as_ref().or(member.config.identity.as_ref());
        let Some(setting) = setting.filter(|_| member.is_clustered()) else { continue };
        if reported.contains(&member.service) {
            continue;
        }
        let twin = members.iter().skip(at + 1).find(|other| is_twin(member, other, setting));
        let title = member.program.title;
        let summary = match twin {
            Some(twin) => {
                format!("{title} in {} and {} has the same {setting}", member.name(), twin.name())
            }
            None if alike.is_some() || is_repeated(member, setting) => {
                let tasks = match member.replicas() {
                    Some(u64::MAX) | None => "a task on every node".to_owned(),
                    Some(replicas) => format!("{replicas} tasks"),
                };
                format!("{title} in {} has the same {setting} in {tasks}", member.service)
            }
            None => continue,
        };
        reported.push(member.service);
        let finding = out.report(member.subject(), summary, member.evidence(setting));
        if let Some(twin) = twin {
            reported.push(twin.service);
            finding.with(twin.evidence(twin.config.identity.as_ref().unwrap_or(setting)));
        }
        for line in
            member.app.iter().flat_map(|app| &app.log).filter(|line| line.contains("conflicts with")).take(1)
        {
            finding.with(member.shown(format!("its log: {line}")));
        }
        // The member to change is the one with another name.
        let wrong = [twin, Some(member)].into_iter().flatten();
        let numbered = wrong
            .clone()
            .find_map(|it| Some((it, app_naming::number(it).filter(|number| *number != setting.value)?)));
        if let Some((other, number)) = numbered {
            finding.remedy(app_naming::own_number(other, number, view));
            continue;
        }
        let other = wrong.clone().find(|it| app_naming::name(it) != setting.value);
        finding.remedy(remedy(other.unwrap_or(member), setting, view));
    }
    Ok(())
}

/// Whether both are members of one cluster and go by the same value.
fn is_twin(one: &Member<'_>, other: &Member<'_>, setting: &Setting) -> bool {
    let same = other.config.identity.as_ref().is_some_and(|it| it.value == setting.value);
    let peers = &one.config.peers;
    // A container that exited is an earlier one of the running task.
    let beside = one.service == other.service && runs(one) && runs(other);
    let together =
        beside || one.service != other.service && other.config.peers.iter().any(|peer| peers.contains(peer));
    one.program.name == other.program.name
        && other.config.clustered
        && same
        && together
        && !setting.value.contains("{{")
}

/// One hostname for several tasks, where the program takes its name from it.
fn hostname_for_all(member: &Member<'_>) -> Option<Setting> {
    let goes_by_it = matches!(member.program.name, "nifi" | "rabbitmq");
    let hostname = member.spec?.hostname.as_ref().filter(|name| goes_by_it && !name.contains("{{"))?;
    let several = member.replicas().is_some_and(|replicas| replicas > 1);
    several.then(|| Setting { name: "hostname".into(), value: hostname.clone(), origin: Origin::Environment })
}

fn runs(member: &Member<'_>) -> bool {
    member.app.is_some_and(|app| app.running)
}

/// Whether one service gives a fixed value to several tasks. Only the containers show what a template became.
fn is_repeated(member: &Member<'_>, setting: &Setting) -> bool {
    let fixed = member.written(&setting.name).is_some_and(|value| !value.contains("{{"));
    fixed && member.replicas().is_some_and(|replicas| replicas > 1)
}

fn remedy(member: &Member<'_>, setting: &Setting, view: &View<'_>) -> Remedy {
    let number = setting.value.parse::<u32>().is_ok();
    let several = member.replicas().is_some_and(|replicas| replicas > 1);
    let variable =
        setting.name.chars().all(|char| char.is_ascii_uppercase() || char == '_' || char.is_ascii_digit());
    let set = |value: String| ServiceChange::Environment { name: setting.name.clone(), value };
    let own = || "give each member a unique value".to_owned();
    let step = match (variable, number, several) {
        (false, ..) if setting.name == "hostname" => {
            let change = ServiceChange::Hostname(app_naming::name(member));
            update(view, member.service, "give each task a unique hostname".into(), vec![change])
        }
        // Only an operator knows the numbers of the other members.
        (true, true, false) => Step::Manual {
            node: Target::AnyManager,
            text: "give each member a number that no other member has".into(),
            commands: vec![format!(
                "docker service update --env-add {}=NUMBER {}",
                shell_quote(&setting.name),
                shell_quote(member.service)
            )],
        },
        (true, true, true) => update(view, member.service, own(), vec![set("{{.Task.Slot}}".to_owned())]),
        (true, false, _) => {
            let name = app_naming::name(member);
            // What stands before the `@`, as in names of RabbitMQ's nodes, stays.
            let value =
                setting.value.split_once('@').map_or(name.clone(), |(user, _)| format!("{user}@{name}"));
            let changes = vec![ServiceChange::Hostname(name), set(value)];
            update(view, member.service, own(), changes)
        }
        (false, ..) => Step::Manual {
            node: Target::AnyManager,
            text: format!(
                "in the file of {} set {} to a value that no other member has",
                member.service, setting.name
            ),
            commands: Vec::new(),
        },
    };
    Remedy {
        title: format!("Give {} a unique identity", member.service).into(),
        risk: Risk::Disruptive,
        impact: "The tasks of the service restart.".into(),
        steps: vec![step],
    }
}
