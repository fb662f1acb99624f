//! The remedy that all of these have in common: a name for each task that stands for nothing else.

use super::member::Member;
use crate::service_change::update;
use crate::{Remedy, Risk, ServiceChange, Step, View};
use facts::app::{Claim, Origin};

/// Gives each task a hostname of its own and puts it into these settings.
pub(super) fn own_name(member: &Member<'_>, claims: &[&Claim], view: &View<'_>) -> Remedy {
    let name = name(member);
    let mut changes = Vec::new();
    if member.hostname() != Some(&name) {
        changes.push(ServiceChange::Hostname(name.clone()));
    }
    let mut by_hand = Vec::new();
    for claim in claims {
        let (said, value) = (&claim.said, value(claim, &name));
        match &said.origin {
            // One entry of a list is no value for the whole.
            _ if member.program.name == "zookeeper" => {
                by_hand.push(format!("in {} write {value} in the place of {}", said.name, said.value));
            }
            Origin::Environment if said.value.contains(&claim.host) => {
                changes.push(ServiceChange::Environment { name: said.name.clone(), value });
            }
            Origin::Within { variable } => {
                by_hand.push(format!("in {variable} write {value} in the place of {}", said.value));
            }
            Origin::File { path, line } => {
                by_hand.push(format!("in {path}, line {line}, write {}={value}", said.name));
            }
            _ => by_hand.push(format!("set {} to {value}", said.name)),
        }
    }
    let mut text =
        format!("let the task have the hostname {name}, and tell {} that name", member.program.title);
    for what in &by_hand {
        text.push_str("; ");
        text.push_str(what);
    }
    let node = view.manager().unwrap_or_else(|| "a manager".into());
    let step = match (changes.is_empty(), by_hand.is_empty()) {
        (true, _) => Step::Manual { node, text, commands: Vec::new() },
        (false, true) => update(view, member.service, text, changes),
        // Half of it would leave the application between two names.
        (false, false) => {
            let step = update(view, member.service, text, changes);
            Step::Manual { node, text: step.text(), commands: step.commands() }
        }
    };
    Remedy {
        title: format!("Give {} a name of its own", member.service).into(),
        risk: Risk::Disruptive,
        impact: "the tasks of the service restart".into(),
        steps: vec![step],
    }
}

/// A hostname that is no service's name, so that it means the task to everyone. Java takes no `_` in one.
pub(super) fn name(member: &Member<'_>) -> String {
    let several = member.spec.map_or(member.has_twins(), |spec| spec.replicas != Some(1));
    // One that was chosen already, and stands for nothing else, is kept.
    let chosen = member.hostname().filter(|name| !several && !name.contains("{{") && is_own(name, member));
    if let Some(chosen) = chosen {
        return chosen.to_owned();
    }
    let base = member.service.rsplit('_').next().unwrap_or_default();
    match member.spec.map(|spec| spec.replicas) {
        Some(None) => format!("{base}-{{{{.Node.Hostname}}}}"),
        Some(Some(replicas)) if replicas > 1 => format!("{base}-{{{{.Task.Slot}}}}"),
        None if several => format!("{base}-{{{{.Task.Slot}}}}"),
        _ => format!("{base}-1"),
    }
}

/// Makes a server of ZooKeeper the one with this number.
pub(super) fn own_number(member: &Member<'_>, number: &str, view: &View<'_>) -> Remedy {
    let name = member.config.identity.as_ref().map_or("ZOO_MY_ID", |said| match said.name.as_str() {
        "myid" => "ZOO_MY_ID",
        name => name,
    });
    Remedy {
        title: format!("Let {} be the server whose entry is its own", member.service).into(),
        risk: Risk::Disruptive,
        impact: "the tasks of the service restart".into(),
        steps: vec![update(
            view,
            member.service,
            "give the server the number of its own entry; a file myid in its data has the last word".into(),
            vec![ServiceChange::Environment { name: name.to_owned(), value: number.to_owned() }],
        )],
    }
}

/// The number of the entry in ZooKeeper's list that names the server's own hostname.
pub(super) fn number<'m>(member: &'m Member<'_>) -> Option<&'m str> {
    let hostname = member.hostname()?;
    let claims = member.bound().chain(member.advertised());
    let mut own = claims.filter(|(_, claim)| claim.host.eq_ignore_ascii_case(hostname));
    own.find_map(|(endpoint, _)| endpoint.what.strip_prefix("server."))
}

/// Whether a hostname was chosen, and is none of the names of the service.
fn is_own(hostname: &str, member: &Member<'_>) -> bool {
    let is_id = member.app.is_some_and(|app| app.container.as_str().starts_with(hostname));
    let names = member.spec.iter().flat_map(|spec| spec.aliases()).chain([member.service]);
    let short = member.service.rsplit('_').next();
    !hostname.is_empty()
        && !is_id
        && short != Some(hostname)
        && names.into_iter().all(|name| name != hostname)
}

/// The setting with the name in the place of the host.
fn value(claim: &Claim, name: &str) -> String {
    match claim.host.as_str() {
        host if host.is_empty() || !claim.said.value.contains(host) => name.to_owned(),
        host => claim.said.value.replace(host, name),
    }
}
