//! A unique name for each task of a clustered application, and the settings that it goes into.

use crate::model::app_member::Member;
use crate::service_change::update;
use crate::{Remedy, Risk, ServiceChange, Step, Target, View};
use facts::app::{HostSetting, Origin};

/// Gives each task a unique hostname and puts it into these settings.
pub(crate) fn own_name(member: &Member<'_>, host_settings: &[&HostSetting], view: &View<'_>) -> Remedy {
    if let Some(remedy) = own_entry(member, host_settings, view) {
        return remedy;
    }
    let name = name(member);
    let mut changes = Vec::new();
    if member.hostname() != Some(&name) {
        changes.push(ServiceChange::Hostname(name.clone()));
    }
    let mut manual = Vec::new();
    for host_setting in host_settings {
        let (setting, value) = (&host_setting.setting, with_host(host_setting, &name));
        match &setting.origin {
            Origin::Environment if setting.value.contains(&host_setting.host) => {
                changes.push(ServiceChange::Environment { name: setting.name.clone(), value });
            }
            Origin::Nested { variable } => {
                manual.push(format!("in {variable} replace {} with {value}", setting.value));
            }
            Origin::File { path, line } => {
                manual.push(format!("in {path}, line {line}, set {}={value}", setting.name));
            }
            _ => manual.push(format!("set {} to {value}", setting.name)),
        }
    }
    let mut text = format!("set the hostname {name}, and configure it in {}", member.program.title);
    for what in &manual {
        text.push_str("; ");
        text.push_str(what);
    }
    let node = view.manager().map_or(Target::AnyManager, Target::Node);
    let step = match (changes.is_empty(), manual.is_empty()) {
        (true, _) => Step::Manual { node, text, commands: Vec::new() },
        (false, true) => update(view, member.service, text, changes),
        // Half of it would leave the application between two names.
        (false, false) => {
            let step = update(view, member.service, text, changes);
            Step::Manual { node, text: step.text(), commands: step.commands() }
        }
    };
    Remedy {
        title: format!("Give each task of {} a unique hostname", member.service).into(),
        risk: Risk::Disruptive,
        impact: "The tasks of the service restart.".into(),
        steps: vec![step],
    }
}

/// A ZooKeeper server that cannot bind its own entry listens on all addresses instead; its peers keep the name.
fn own_entry(member: &Member<'_>, host_settings: &[&HostSetting], view: &View<'_>) -> Option<Remedy> {
    let own = host_settings.first().filter(|_| member.program.name == "zookeeper")?;
    let (name, entry) = (&own.setting.name, &own.setting.value);
    let wild = replace_host(entry, &own.host, "0.0.0.0");
    let list = member.written(name).filter(|list| list.contains(entry.as_str()));
    let title = format!("Let {} listen on all addresses for its peers", member.service).into();
    let step = match (&own.setting.origin, list) {
        (Origin::Environment, Some(list)) => {
            let entries: Vec<String> = list
                .split(' ')
                .map(|other| if other == entry { wild.clone() } else { other.to_owned() })
                .collect();
            let value = if list.contains(' ') { entries.join(" ") } else { list.replacen(entry, &wild, 1) };
            let text = format!("replace its own entry {entry} with {wild}; the other entries stay");
            update(view, member.service, text, vec![ServiceChange::Environment { name: name.clone(), value }])
        }
        _ => Step::Manual {
            node: view.manager().map_or(Target::AnyManager, Target::Node),
            text: format!("in {name} replace its own entry {entry} with {wild}; the other entries stay"),
            commands: Vec::new(),
        },
    };
    Some(Remedy {
        title,
        risk: Risk::Disruptive,
        impact: "The tasks of the service restart.".into(),
        steps: vec![step],
    })
}

/// A hostname that is not the name of a service, so that it resolves to the task everywhere. Java takes no `_` in one.
pub(crate) fn name(member: &Member<'_>) -> String {
    let several = member.spec.map_or(member.has_twins(), |spec| spec.replicas != Some(1));
    // A hostname that is unique already is kept.
    let chosen = member.hostname().filter(|name| !several && !name.contains("{{") && is_own(name, member));
    if let Some(chosen) = chosen {
        return chosen.to_owned();
    }
    let base = member.service.rsplit('_').next().unwrap_or_default();
    match member.spec.map(|spec| spec.replicas) {
        Some(None) => unique_name(base, true, true),
        Some(Some(replicas)) => unique_name(base, replicas > 1, false),
        None => unique_name(base, several, false),
    }
}

/// A hostname for each task of a service with this short name.
pub(crate) fn unique_name(base: &str, several: bool, global: bool) -> String {
    if global {
        format!("{base}-{{{{.Node.Hostname}}}}")
    } else if several {
        format!("{base}-{{{{.Task.Slot}}}}")
    } else {
        format!("{base}-1")
    }
}

/// Makes a server of ZooKeeper the one with this number.
pub(crate) fn own_number(member: &Member<'_>, number: &str, view: &View<'_>) -> Remedy {
    let name = member.config.identity.as_ref().map_or("ZOO_MY_ID", |setting| match setting.name.as_str() {
        "myid" => "ZOO_MY_ID",
        name => name,
    });
    Remedy {
        title: format!("Set the server number of {} to {number}", member.service).into(),
        risk: Risk::Disruptive,
        impact: "The tasks of the service restart.".into(),
        steps: vec![update(
            view,
            member.service,
            "set the number of the server's own entry; a file myid in its data overrides it".into(),
            vec![ServiceChange::Environment { name: name.to_owned(), value: number.to_owned() }],
        )],
    }
}

/// The number of the entry in ZooKeeper's list that names the server's own hostname.
pub(crate) fn number<'m>(member: &'m Member<'_>) -> Option<&'m str> {
    let hostname = member.hostname()?;
    let host_settings = member.bound().chain(member.advertised());
    let mut own = host_settings.filter(|(_, host_setting)| host_setting.host.eq_ignore_ascii_case(hostname));
    own.find_map(|(endpoint, _)| endpoint.what.strip_prefix("server."))
}

/// Whether a hostname was set, and is none of the names of the service.
fn is_own(hostname: &str, member: &Member<'_>) -> bool {
    let is_id = member.app.is_some_and(|app| app.container.as_str().starts_with(hostname));
    let names = member.spec.iter().flat_map(|spec| spec.aliases()).chain([member.service]);
    let short = member.service.rsplit('_').next();
    !hostname.is_empty()
        && !is_id
        && short != Some(hostname)
        && names.into_iter().all(|name| name != hostname)
}

/// The value of the setting with the name in place of the host.
pub(crate) fn with_host(host_setting: &HostSetting, name: &str) -> String {
    let (host, value) = (host_setting.host.as_str(), host_setting.setting.value.as_str());
    if host.is_empty() || !value.contains(host) { name.to_owned() } else { replace_host(value, host, name) }
}

/// A list or an address with another host. A longer name that contains the host stays.
pub(crate) fn replace_host(text: &str, host: &str, name: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(host) {
        replaced.push_str(before);
        let of_name = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
        let whole = !replaced.ends_with(of_name) && !after.starts_with(of_name);
        replaced.push_str(if whole { name } else { host });
        rest = after;
    }
    replaced.push_str(rest);
    replaced
}

#[cfg(test)]
mod tests {
    use super::replace_host;

    #[test]
    fn a_list_keeps_its_other_entries() {
        let list = "PLAINTEXT://kafka:9092,OUT://kafka-2.example.com:9094";
        assert_eq!(
            replace_host(list, "kafka", "kafka-1"),
            "PLAINTEXT://kafka-1:9092,OUT://kafka-2.example.com:9094"
        );
        assert_eq!(replace_host("kafka", "kafka", "k"), "k");
        assert_eq!(replace_host("rabbit@queue", "queue", "queue-1"), "rabbit@queue-1");
    }
}
