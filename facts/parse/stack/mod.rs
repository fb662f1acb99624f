//! A compose file, as `docker stack deploy` takes it.

#[cfg(test)]
mod golden;
mod interpolate;
mod redact;
mod schema;
mod service;
mod yaml;

use super::{content, optional_json, source};
use crate::bundle::Bundle;
use crate::engine::Fault;
use crate::stack::{At, Compose, Kind, MountedFile, Stack, StackResource, Surroundings, Variable};
use crate::{Fact, Need, Seen, Text};
pub use redact::redact;
use std::collections::BTreeMap;
use yaml::{Yaml, parse_noting};

/// The keys at the top whose values may hold variables.
const WITH_VARIABLES: [&str; 5] = ["services", "networks", "volumes", "secrets", "configs"];
/// The kinds of resources at the top.
const KINDS: [(&str, Kind); 4] = [
    ("networks", Kind::Network),
    ("volumes", Kind::Volume),
    ("secrets", Kind::Secret),
    ("configs", Kind::Config),
];

/// The stack that was asked about; `None` where none was.
pub(super) fn stack(bundle: &Bundle) -> Fact<Stack> {
    let surroundings: Fact<Surroundings> =
        optional_json(bundle, Need::Stack, "stack/surroundings.json").map(Option::unwrap_or_default);
    content(bundle, Need::Stack, "stack/compose.yml").map(|bytes| {
        let bytes = bytes.unwrap_or_default();
        let known = match &surroundings {
            Fact::Seen(Seen { value, .. }) => Some(value),
            Fact::Unseen(_) => None,
        };
        let parsed = match std::str::from_utf8(bytes) {
            Ok(text) => compose(text, known.map(|known| &known.variables).unwrap_or(&BTreeMap::new())),
            Err(error) => {
                let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let line =
                    u32::try_from(before.iter().filter(|byte| **byte == b'\n').count()).unwrap_or(0) + 1;
                Err(Fault { line, column: 0, what: "a byte that is no UTF-8".into() })
            }
        };
        Stack {
            name: known.and_then(|known| known.name.clone()),
            text: Text(String::from_utf8_lossy(bytes).into_owned()),
            parsed,
            surroundings,
            files: files(bundle),
        }
    })
}

fn files(bundle: &Bundle) -> Vec<Seen<MountedFile>> {
    let mounted = bundle.entries(Need::Stack).filter(|entry| entry.artifact.starts_with("stack/files/"));
    let mut files: Vec<_> = mounted
        .filter_map(|entry| {
            let content = bundle.artifacts.get(&entry.artifact)?;
            let text = Text(String::from_utf8_lossy(content).into_owned());
            Some(Seen { value: MountedFile { path: entry.origin.clone(), text }, source: source(entry) })
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Reads a compose file, with these values for its variables.
pub fn compose(text: &str, variables: &BTreeMap<String, Option<String>>) -> Result<Compose, Fault> {
    let mut repeated = Vec::new();
    let mut root = parse_noting(text, &mut repeated)?;
    let yaml::Kind::Map(entries) = &mut root.kind else {
        return Err(Fault {
            line: root.line,
            column: 0,
            what: "it is not a mapping with the key services".into(),
        });
    };
    let mut met = Vec::new();
    for (name, _, value) in entries.iter_mut() {
        if WITH_VARIABLES.contains(&name.as_str()) {
            replace(value, variables, &mut met)?;
        }
    }
    met.sort_by(|a, b| (&a.name, a.line).cmp(&(&b.name, b.line)));
    met.dedup();
    let version = root.get("version");
    let services = root.get("services").ok_or_else(|| Fault {
        line: root.line,
        column: 0,
        what: "it has no key services".into(),
    })?;
    let mut judged = schema::judge(&root);
    for (name, line, value) in services.entries() {
        judged.faults.extend(service::faults(name, *line, value));
    }
    judged.faults.sort_by_key(|fault| fault.line);
    Ok(Compose {
        version: version.and_then(|v| Some(At { line: v.line, value: v.text()?.to_owned() })),
        version_is_number: version.is_some_and(Yaml::is_number),
        services: services
            .entries()
            .iter()
            .map(|(name, line, value)| service::service(name, *line, value))
            .collect(),
        resources: KINDS
            .iter()
            .filter_map(|(key, kind)| Some((root.get(key)?, *kind)))
            .flat_map(|(map, kind)| {
                map.entries().iter().map(move |(key, line, value)| resource(kind, key, *line, value))
            })
            .collect(),
        faults: judged.faults,
        since: judged.since,
        repeated,
        variables: met,
    })
}

fn replace(
    value: &mut Yaml,
    variables: &BTreeMap<String, Option<String>>,
    met: &mut Vec<Variable>,
) -> Result<(), Fault> {
    match &mut value.kind {
        yaml::Kind::Scalar(text, style) if text.contains('$') => {
            let line = value.line;
            *style = yaml::Style::Replaced;
            *text = interpolate::interpolate(text, line, variables, met).map_err(|what| Fault {
                line,
                column: 0,
                what,
            })?;
        }
        yaml::Kind::Scalar(..) => {}
        yaml::Kind::List(items) => items.iter_mut().try_for_each(|item| replace(item, variables, met))?,
        yaml::Kind::Map(entries) => {
            entries.iter_mut().try_for_each(|(_, _, value)| replace(value, variables, met))?;
        }
    }
    Ok(())
}

fn resource(kind: Kind, key: &str, line: u32, value: &Yaml) -> StackResource {
    let text = |key: &str| value.get(key).and_then(Yaml::text).map(str::to_owned);
    let external = value.get("external");
    // `external: {name: x}` is the old way to say it.
    let named = external.and_then(|external| external.get("name")).and_then(Yaml::text).map(str::to_owned);
    StackResource {
        kind,
        key: At { line, value: key.to_owned() },
        external: named.is_some() || external.and_then(Yaml::text).is_some_and(service::is_true),
        name: text("name").or(named),
        file: value.get("file").and_then(|file| Some(At { line: file.line, value: file.text()?.to_owned() })),
        driver: text("driver"),
        driver_opts: value
            .get("driver_opts")
            .map(Yaml::entries)
            .unwrap_or_default()
            .iter()
            .filter_map(|(name, line, value)| {
                Some((name.clone(), At { line: *line, value: value.text()?.to_owned() }))
            })
            .collect(),
    }
}
