//! One service of a compose file.

use super::yaml::{Kind as Value, Yaml};
use crate::host::Protocol;
use crate::service::Resources;
use crate::stack::{At, Kind, StackMount, StackPort, StackService};
use std::collections::BTreeMap;

/// Options that `docker stack deploy` passes over, with or without a word.
const IGNORED: [&str; 18] = [
    "build",
    "cgroup_parent",
    "container_name",
    "depends_on",
    "devices",
    "domainname",
    "expose",
    "external_links",
    "ipc",
    "links",
    "mac_address",
    "network_mode",
    "pid",
    "privileged",
    "restart",
    "security_opt",
    "shm_size",
    "userns_mode",
];

/// The most ports that a range is spelled out into.
const MOST_PORTS: u16 = 4096;

pub(super) fn service(name: &str, line: u32, yaml: &Yaml) -> StackService {
    let text = |key: &str| at_text(yaml.get(key)?);
    let deploy = yaml.get("deploy");
    let within = |path: &[&str]| path.iter().try_fold(deploy?, |value, key| value.get(key));
    let number = |value: Option<&Yaml>, default: u64| {
        let found = value.and_then(|v| Some(At { line: v.line, value: v.text()?.parse().ok()? }));
        found.unwrap_or(At { line, value: default })
    };
    let mounts: Vec<_> =
        yaml.get("volumes").map(Yaml::items).unwrap_or_default().iter().filter_map(mount).collect();
    StackService {
        name: At { line, value: name.to_owned() },
        image: text("image").filter(|image| !image.value.is_empty()),
        hostname: text("hostname"),
        global: within(&["mode"]).and_then(Yaml::text) == Some("global"),
        replicas: number(within(&["replicas"]), 1),
        dnsrr: within(&["endpoint_mode"]).and_then(Yaml::text) == Some("dnsrr"),
        command: ["entrypoint", "command"].iter().filter_map(|key| yaml.get(key)).flat_map(words).collect(),
        env: environment(yaml.get("environment")),
        ports: yaml.get("ports").map(Yaml::items).unwrap_or_default().iter().flat_map(ports).collect(),
        constraints: within(&["placement", "constraints"])
            .map(Yaml::items)
            .unwrap_or_default()
            .iter()
            .filter_map(at_text)
            .collect(),
        max_replicas: number(within(&["placement", "max_replicas_per_node"]), 0),
        reserved: resources(within(&["resources", "reservations"]), line),
        limits: resources(within(&["resources", "limits"]), line),
        stop_grace: yaml.get("stop_grace_period").and_then(Yaml::text).and_then(duration),
        start_first: within(&["update_config", "order"])
            .filter(|order| order.text() == Some("start-first"))
            .map(|order| At { line: order.line, value: () }),
        uses: uses(yaml),
        ignored: ignored(yaml, &mounts),
        mounts: mounts.into_iter().map(|(mount, _)| mount).collect(),
    }
}

/// What docker refuses of it, beyond what the schema shows.
pub(super) fn faults(name: &str, line: u32, yaml: &Yaml) -> Vec<At<String>> {
    if !matches!(yaml.kind, Value::Map(_)) {
        return Vec::new();
    }
    let mut faults = Vec::new();
    if yaml.get("image").and_then(Yaml::text).is_none_or(str::is_empty) {
        faults.push(At { line, value: format!("service {name} has no image") });
    }
    let items = yaml.get("ports").map(Yaml::items).unwrap_or_default();
    for (number, port) in items.iter().enumerate() {
        let text = port.text().unwrap_or_default();
        // What held a secret cannot be judged.
        if !text.contains("***") && ports(port).is_empty() {
            let value = format!("services.{name}.ports.{number} is no port: {text:?}");
            faults.push(At { line: port.line, value });
        }
        if !text.is_empty() && items.iter().take(number).any(|other| other.text() == Some(text)) {
            let value = format!("services.{name}.ports.{number} repeats {text:?}");
            faults.push(At { line: port.line, value });
        }
    }
    faults
}

pub(super) fn is_true(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "y")
}

fn at_text(yaml: &Yaml) -> Option<At<String>> {
    Some(At { line: yaml.line, value: yaml.text()?.to_owned() })
}

/// The words of a command, be it a list or a line.
fn words(yaml: &Yaml) -> Vec<String> {
    let line = yaml.text().unwrap_or_default().split_whitespace().map(str::to_owned);
    line.chain(yaml.items().iter().filter_map(Yaml::text).map(str::to_owned)).collect()
}

/// A mapping, or a list of `NAME=value`.
fn environment(yaml: Option<&Yaml>) -> BTreeMap<String, At<String>> {
    let Some(yaml) = yaml else { return BTreeMap::new() };
    let pairs = yaml.entries().iter().map(|(name, line, value)| {
        (name.clone(), At { line: *line, value: value.text().unwrap_or_default().to_owned() })
    });
    let listed = yaml.items().iter().filter_map(|item| {
        let text = item.text()?;
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        Some((name.to_owned(), At { line: item.line, value: value.to_owned() }))
    });
    pairs.chain(listed).collect()
}

/// One entry of `ports`, which may be a range.
fn ports(yaml: &Yaml) -> Vec<At<StackPort>> {
    let at = |value: StackPort| At { line: yaml.line, value };
    if let Value::Map(_) = yaml.kind {
        let port = |key: &str| yaml.get(key).and_then(Yaml::text).and_then(|text| text.parse().ok());
        let Some(target) = port("target") else { return Vec::new() };
        let text = |key: &str| yaml.get(key).and_then(Yaml::text);
        return vec![at(StackPort {
            published: port("published"),
            target,
            protocol: protocol(text("protocol").unwrap_or("tcp")),
            ingress: text("mode") != Some("host"),
        })];
    }
    let Some(text) = yaml.text() else { return Vec::new() };
    let (text, kind) = text.split_once('/').unwrap_or((text, "tcp"));
    let (outside, inside) = match text.rsplit_once(':') {
        // An address before the port is passed over by swarm.
        Some((outside, inside)) => (Some(outside.rsplit_once(':').map_or(outside, |(_, port)| port)), inside),
        None => (None, text),
    };
    let Some(inside) = range(inside) else { return Vec::new() };
    let outside = match outside {
        Some(text) => match range(text) {
            Some(ports) => Some(ports),
            None => return Vec::new(),
        },
        None => None,
    };
    let one = |(offset, target)| StackPort {
        published: outside.as_ref().and_then(|ports| ports.get(offset).copied()),
        target,
        protocol: protocol(kind),
        ingress: true,
    };
    inside.into_iter().enumerate().map(one).map(at).collect()
}

fn protocol(text: &str) -> Protocol {
    match text {
        "udp" => Protocol::Udp,
        _ => Protocol::Tcp,
    }
}

fn range(text: &str) -> Option<Vec<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let count = last.checked_sub(first)?;
    (count < MOST_PORTS).then(|| (first..=last).collect())
}

/// One entry of `volumes`, with the options after it.
fn mount(yaml: &Yaml) -> Option<(At<StackMount>, String)> {
    let (mount, options) = if let Value::Map(_) = yaml.kind {
        let text = |key: &str| yaml.get(key).and_then(Yaml::text).unwrap_or_default().to_owned();
        let bind = text("type") == "bind";
        (StackMount { source: text("source"), target: text("target"), bind }, String::new())
    } else {
        let text = yaml.text()?;
        let mut parts = text.splitn(3, ':');
        let (first, target) = (parts.next()?, parts.next());
        let options = parts.next().unwrap_or_default().to_owned();
        let source = if target.is_some() { first } else { "" };
        let bind = source.starts_with(['/', '.', '~']);
        let target = target.unwrap_or(first).to_owned();
        (StackMount { source: source.to_owned(), target, bind }, options)
    };
    let line = yaml.get("source").map_or(yaml.line, |source| source.line);
    Some((At { line, value: mount }, options))
}

fn resources(yaml: Option<&Yaml>, line: u32) -> At<Resources> {
    let Some(yaml) = yaml else { return At { line, value: Resources::default() } };
    let text = |key: &str| yaml.get(key).and_then(Yaml::text);
    let value = Resources {
        nano_cpus: text("cpus")
            .and_then(|text| text.parse::<f64>().ok())
            .map_or(0, |cpus| (cpus * 1e9) as i64),
        memory_bytes: text("memory").and_then(size).unwrap_or(0),
    };
    At { line: yaml.line, value }
}

/// Whole seconds of `1m30s`, `10s`, `500ms`.
fn duration(text: &str) -> Option<u64> {
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let unit = rest.trim_start_matches(|char: char| char.is_ascii_digit() || char == '.');
        let number: f64 = rest[..rest.len() - unit.len()].parse().ok()?;
        let name = unit.len() - unit.trim_start_matches(char::is_alphabetic).len();
        let factor = match &unit[..name] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => 0.0,
        };
        seconds += number * factor;
        rest = &unit[name..];
    }
    Some(seconds as u64)
}

/// `512M`, `2gb`, `1073741824`.
fn size(text: &str) -> Option<i64> {
    let lower = text.trim().to_ascii_lowercase();
    let bare = lower.trim_end_matches('b').trim_end_matches('i');
    let (number, shift) = match bare.as_bytes().last()? {
        b'k' => (bare.trim_end_matches('k'), 10),
        b'm' => (bare.trim_end_matches('m'), 20),
        b'g' => (bare.trim_end_matches('g'), 30),
        b't' => (bare.trim_end_matches('t'), 40),
        _ => (bare, 0),
    };
    let number: f64 = number.trim().parse().ok()?;
    Some((number * 2_f64.powi(shift)) as i64)
}

/// The networks, secrets, configs and volumes that a service names.
fn uses(yaml: &Yaml) -> Vec<(Kind, At<String>)> {
    let mut uses = Vec::new();
    for (key, kind) in [("networks", Kind::Network), ("secrets", Kind::Secret), ("configs", Kind::Config)] {
        let Some(value) = yaml.get(key) else { continue };
        for (name, line, _) in value.entries() {
            uses.push((kind, At { line: *line, value: name.clone() }));
        }
        for item in value.items() {
            let name = item.text().or_else(|| item.get("source").and_then(Yaml::text));
            if let Some(name) = name {
                uses.push((kind, At { line: item.line, value: name.to_owned() }));
            }
        }
    }
    uses
}

fn ignored(yaml: &Yaml, mounts: &[(At<StackMount>, String)]) -> Vec<At<String>> {
    let known = yaml.entries().iter().filter(|(key, _, _)| IGNORED.contains(&key.as_str()));
    let mut ignored: Vec<_> = known.map(|(key, line, _)| At { line: *line, value: key.clone() }).collect();
    for (mount, options) in mounts {
        if options.split(',').any(|option| matches!(option, "z" | "Z")) {
            ignored.push(At { line: mount.line, value: format!(":{options} of a volume") });
        }
    }
    ignored
}

#[cfg(test)]
mod tests {
    use super::{range, size};

    #[test]
    fn reads_sizes_and_ranges() {
        assert_eq!(size("512M"), Some(512 << 20));
        assert_eq!(size("2gb"), Some(2 << 30));
        assert_eq!(size("1t"), Some(1 << 40));
        assert_eq!(size("x"), None);
        assert_eq!(range("80-82"), Some(vec![80, 81, 82]));
        assert_eq!(range("1-65535"), None);
        assert_eq!(range("9-8"), None);
    }
}
