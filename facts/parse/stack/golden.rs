//! Whole files, against what `docker stack config` of 28.2 accepts and refuses.

use super::{compose, redact, yaml};
use std::collections::BTreeMap;
use std::path::Path;

/// The newest minor version of the file that docker 28 knows.
const NEWEST: u32 = 13;

fn files(kind: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("parse/stack/golden").join(kind);
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// Why the file is refused; empty where it is accepted.
fn refusals(text: &str) -> Vec<String> {
    let variables = BTreeMap::from([("EMAIL".to_owned(), Some("a@example.com".to_owned()))]);
    let compose = match compose(text, &variables) {
        Ok(compose) => compose,
        Err(fault) => return vec![format!("line {}: {}", fault.line, fault.what)],
    };
    let version = compose.version.as_ref().map_or("3", |version| version.value.as_str());
    let minor = match version.split_once('.') {
        _ if compose.version_is_number => None,
        None if version == "3" => Some(NEWEST),
        Some(("3", minor)) => minor.parse().ok(),
        _ => None,
    };
    let Some(minor) = minor else { return vec![format!("version {version}")] };
    let newer = compose.since.iter().filter(|it| it.value.0 > minor).map(|it| it.value.1.clone());
    let faults = compose.faults.iter().map(|fault| fault.value.clone());
    newer.chain(faults).chain(compose.repeated.iter().map(|key| key.value.clone())).collect()
}

#[test]
fn what_docker_accepts_is_accepted() {
    let files = files("accepted");
    assert!(files.len() > 50);
    for (name, text) in files {
        assert_eq!(refusals(&text), [""; 0], "{name}");
        let clean = redact(&text);
        assert_eq!(refusals(&clean), [""; 0], "{name}, redacted:\n{clean}");
        assert_eq!(redact(&clean), clean, "{name}: redacting twice changes nothing");
        assert!(!clean.contains("hunter2"), "{name}:\n{clean}");
    }
}

#[test]
fn what_docker_refuses_is_refused() {
    for (name, text) in files("refused") {
        assert_ne!(refusals(&text), [""; 0], "{name}");
        let clean = redact(&text);
        assert_ne!(refusals(&clean), [""; 0], "{name}, redacted:\n{clean}");
    }
}

/// Cuts and doubles lines: whatever comes of it, nothing panics, and what was YAML stays YAML.
#[test]
fn a_damaged_file_is_redacted_without_a_panic() {
    for (_, text) in files("accepted") {
        let lines: Vec<&str> = text.lines().collect();
        for cut in 0..lines.len() {
            let damaged: Vec<&str> =
                lines.iter().enumerate().filter(|(at, _)| *at != cut).map(|(_, line)| *line).collect();
            let damaged = damaged.join("\n");
            let half = &text[..text.floor_char_boundary(text.len() * cut / lines.len())];
            for damaged in [damaged.as_str(), half] {
                let clean = redact(damaged);
                if yaml::parse(damaged).is_ok() {
                    assert!(yaml::parse(&clean).is_ok(), "{damaged}\n---\n{clean}");
                }
            }
        }
    }
}
