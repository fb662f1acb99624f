use super::member::{Member, members};
use super::naming;
use crate::remedy::shell_quote;
use crate::service_change::update;
use crate::{Findings, Judged, Remedy, Risk, ServiceChange, Step, View};
use facts::app::{Origin, Said};

check! {
    /// Two members of an application's cluster have the same identity.
    ///
    /// ## Why it matters
    /// A node address, a broker's or a server's number has to tell a member from all others. Where two have the
    /// same one, by a line that was copied or by `replicas:` above one with a fixed value, the cluster takes them
    /// for one member: the later drives out the earlier, they take turns, or neither gets in.
    ///
    /// ## How to fix it
    /// Give each its own value. With several replicas a template such as `{{.Task.Slot}}` makes one for each.
    ///
    /// ## When it is wrong
    /// Where the image makes the value unique when it starts.
    ///
    /// Source: `NodeClusterCoordinator` of NiFi; `myid` of ZooKeeper; `node.id` of Kafka.
    "apps/shared-identity": Error, "two members of an application's cluster have the same identity";
    needs Services, Apps, Info;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let members = members(view, out);
    let mut told = Vec::new();
    for (at, member) in members.iter().enumerate() {
        let alike = hostname_for_all(member);
        let said = alike.as_ref().or(member.config.identity.as_ref());
        let Some(said) = said.filter(|_| member.is_clustered()) else { continue };
        if told.contains(&member.service) {
            continue;
        }
        let twin = members.iter().skip(at + 1).find(|other| is_twin(member, other, said));
        let title = member.program.title;
        let summary = match twin {
            Some(twin) => format!("{title} in {} and in {} has the same {said}", member.name(), twin.name()),
            None if alike.is_some() || is_repeated(member, said) => {
                let tasks = match member.replicas() {
                    Some(u64::MAX) | None => "a task on every node".to_owned(),
                    Some(replicas) => format!("{replicas} tasks"),
                };
                format!("{title} in {} has the same {said} in {tasks}", member.service)
            }
            None => continue,
        };
        told.push(member.service);
        let finding = out.report(member.subject(), summary, member.evidence(said));
        if let Some(twin) = twin {
            told.push(twin.service);
            finding.with(twin.evidence(twin.config.identity.as_ref().unwrap_or(said)));
        }
        for line in
            member.app.iter().flat_map(|app| &app.log).filter(|line| line.contains("conflicts with")).take(1)
        {
            finding.with(member.shown(format!("its log: {line}")));
        }
        // The one to change is the one that has another name already.
        let wrong = [twin, Some(member)].into_iter().flatten();
        let numbered = wrong
            .clone()
            .find_map(|it| Some((it, naming::number(it).filter(|number| *number != said.value)?)));
        if let Some((other, number)) = numbered {
            finding.remedy(naming::own_number(other, number, view));
            continue;
        }
        let other = wrong.clone().find(|it| naming::name(it) != said.value);
        finding.remedy(remedy(other.unwrap_or(member), said, view));
    }
    Ok(())
}

/// Whether both are members of one cluster and go by the same value.
fn is_twin(one: &Member<'_>, other: &Member<'_>, said: &Said) -> bool {
    let same = other.config.identity.as_ref().is_some_and(|it| it.value == said.value);
    let peers = &one.config.peers;
    // What ended before is what runs now, as it was a moment ago.
    let beside = one.service == other.service && runs(one) && runs(other);
    let together =
        beside || one.service != other.service && other.config.peers.iter().any(|peer| peers.contains(peer));
    one.program.name == other.program.name
        && other.config.clustered
        && same
        && together
        && !said.value.contains("{{")
}

/// One hostname for several tasks, where the program tells its own name by it.
fn hostname_for_all(member: &Member<'_>) -> Option<Said> {
    let goes_by_it = matches!(member.program.name, "nifi" | "rabbitmq");
    let hostname = member.spec?.hostname.as_ref().filter(|name| goes_by_it && !name.contains("{{"))?;
    let several = member.replicas().is_some_and(|replicas| replicas > 1);
    several.then(|| Said { name: "hostname".into(), value: hostname.clone(), origin: Origin::Environment })
}

fn runs(member: &Member<'_>) -> bool {
    member.app.is_some_and(|app| app.running)
}

/// Whether one service gives a fixed value to several tasks. What a template became stands in each container alone.
fn is_repeated(member: &Member<'_>, said: &Said) -> bool {
    let fixed = member.written(&said.name).is_some_and(|value| !value.contains("{{"));
    fixed && member.replicas().is_some_and(|replicas| replicas > 1)
}

fn remedy(member: &Member<'_>, said: &Said, view: &View<'_>) -> Remedy {
    let number = said.value.parse::<u32>().is_ok();
    let several = member.replicas().is_some_and(|replicas| replicas > 1);
    let variable =
        said.name.chars().all(|char| char.is_ascii_uppercase() || char == '_' || char.is_ascii_digit());
    let set = |value: String| ServiceChange::Environment { name: said.name.clone(), value };
    let own = || "give each member its own value".to_owned();
    let step = match (variable, number, several) {
        (false, ..) if said.name == "hostname" => {
            let change = ServiceChange::Hostname(naming::name(member));
            update(view, member.service, "let each task have a hostname of its own".into(), vec![change])
        }
        // Which numbers the others have, only a person knows.
        (true, true, false) => Step::Manual {
            node: "a manager".into(),
            text: "give each member its own number, one that no other member has".into(),
            commands: vec![format!(
                "docker service update --env-add {}=NUMBER {}",
                shell_quote(&said.name),
                shell_quote(member.service)
            )],
        },
        (true, true, true) => update(view, member.service, own(), vec![set("{{.Task.Slot}}".to_owned())]),
        (true, false, _) => {
            let name = naming::name(member);
            // What stands before the `@`, as in names of RabbitMQ's nodes, stays.
            let value = said.value.split_once('@').map_or(name.clone(), |(user, _)| format!("{user}@{name}"));
            let changes = vec![ServiceChange::Hostname(name), set(value)];
            update(view, member.service, own(), changes)
        }
        (false, ..) => Step::Manual {
            node: "a manager".into(),
            text: format!(
                "in the file of {} write a value for {} that no other member has",
                member.service, said.name
            ),
            commands: Vec::new(),
        },
    };
    Remedy {
        title: format!("Give {} an identity of its own", member.service).into(),
        risk: Risk::Disruptive,
        impact: "the tasks of the service restart".into(),
        steps: vec![step],
    }
}
