//! Fixtures: whole bundles in folders, and scenarios that change one of them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a broken fixture has to stop the test")]
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses its own part of this module")]

use facts::bundle::{ArtifactStatus, Bundle, Entry};
use facts::{Need, Timestamp, Why};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use swarm_doctor::examine::diagnose_by;
use swarm_doctor::policy::Policy;
use swarm_doctor::report::{Format, Json};

/// The folder of all fixtures.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// One scenario of one check.
pub(crate) struct Scenario {
    /// The id of the check it is for.
    pub(crate) check: String,
    /// `fires...` or `near-miss...`.
    pub(crate) kind: String,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// What it is in one sentence.
    pub(crate) say: String,
    /// The bundle it makes.
    pub(crate) bundle: Bundle,
}

/// `scenario.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    /// What it is in one sentence.
    say: String,
    /// The healthy bundle it starts from, as a folder below `fixtures/`.
    base: String,
    /// When the facts were taken, where that matters.
    taken: Option<Timestamp>,
    /// Artifacts of the overlay that the base did not ask for, with the kind of each.
    #[serde(default)]
    collected: BTreeMap<String, Need>,
    /// Artifacts that are known not to exist.
    #[serde(default)]
    absent: Vec<String>,
    /// Artifacts that could not be seen.
    #[serde(default)]
    failed: BTreeMap<String, Why>,
    /// Values inside JSON artifacts, by JSON pointer; a pointer ending in `/-` adds to a list.
    #[serde(default)]
    set: BTreeMap<String, BTreeMap<String, Value>>,
    /// Values inside JSON artifacts that become null, which TOML cannot say.
    #[serde(default)]
    unset: BTreeMap<String, Vec<String>>,
    /// Text that is put in the place of other text, in all artifacts whose path begins so.
    #[serde(default)]
    replace: BTreeMap<String, BTreeMap<String, String>>,
}

/// Every scenario, in the order of its path.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for check in checks::built_in() {
        let folder = fixtures().join(check.meta.id.as_ref());
        for kind in folders(&folder) {
            scenarios.push(scenario(&check.meta.id, &folder.join(kind)));
        }
    }
    scenarios
}

pub(crate) fn scenario(check: &str, folder: &Path) -> Scenario {
    let file = folder.join("scenario.toml");
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let plan: Plan = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut bundle = folder_bundle(&fixtures().join(&plan.base));
    let at = file.display();
    if let Some(taken) = plan.taken {
        bundle.manifest.taken = taken;
    }
    for (prefix, words) in &plan.replace {
        let matching: Vec<_> =
            bundle.artifacts.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        assert!(!matching.is_empty(), "{at}: no artifact begins with {prefix}");
        for name in matching {
            let mut text = String::from_utf8(bundle.artifacts[&name].clone()).unwrap();
            for (old, new) in words {
                text = text.replace(old, new);
            }
            bundle.artifacts.insert(name, text.into_bytes());
        }
    }
    let nulls = plan.unset.iter().map(|(artifact, pointers)| {
        (artifact, pointers.iter().map(|pointer| (pointer.clone(), Value::Null)).collect::<BTreeMap<_, _>>())
    });
    for (artifact, values) in
        plan.set.iter().map(|(artifact, values)| (artifact, values.clone())).chain(nulls)
    {
        let content =
            bundle.artifacts.get(artifact).unwrap_or_else(|| panic!("{at}: {artifact} is not in the base"));
        let mut json: Value = serde_json::from_slice(content).unwrap();
        for (pointer, value) in values {
            set(&mut json, &pointer, value).unwrap_or_else(|| panic!("{at}: {artifact} has no {pointer}"));
        }
        bundle.artifacts.insert(artifact.clone(), serde_json::to_vec_pretty(&json).unwrap());
    }
    for (artifact, need) in &plan.collected {
        bundle.manifest.entries.retain(|entry| entry.artifact != *artifact);
        bundle.manifest.entries.push(Entry {
            need: *need,
            artifact: artifact.clone(),
            origin: need.name().into(),
            status: ArtifactStatus::Collected,
            written: None,
            took_us: 0,
        });
    }
    for (artifact, content) in overlay(&folder.join("overlay")) {
        look(&mut bundle, &artifact, ArtifactStatus::Collected, &at.to_string());
        bundle.artifacts.insert(artifact, content);
    }
    for artifact in &plan.absent {
        look(&mut bundle, artifact, ArtifactStatus::Absent, &at.to_string());
        bundle.artifacts.remove(artifact);
    }
    for (artifact, why) in &plan.failed {
        look(&mut bundle, artifact, ArtifactStatus::Failed { why: why.clone() }, &at.to_string());
        bundle.artifacts.remove(artifact);
    }
    Scenario {
        check: check.to_owned(),
        kind: folder.file_name().unwrap().to_string_lossy().into_owned(),
        folder: folder.to_owned(),
        say: plan.say,
        bundle,
    }
}

fn look(bundle: &mut Bundle, artifact: &str, status: ArtifactStatus, at: &str) {
    let entry = bundle.manifest.entries.iter_mut().find(|entry| entry.artifact == artifact);
    entry.unwrap_or_else(|| panic!("{at}: the base never looked for {artifact}")).status = status;
}

fn set(json: &mut Value, pointer: &str, value: Value) -> Option<()> {
    let (parent, key) = pointer.rsplit_once('/')?;
    match json.pointer_mut(parent)? {
        Value::Array(list) if key == "-" => list.push(value),
        Value::Array(list) => *list.get_mut(key.parse::<usize>().ok()?)? = value,
        Value::Object(map) => drop(map.insert(key.replace("~1", "/"), value)),
        _ => return None,
    }
    Some(())
}

/// A bundle that lies unpacked in a folder.
pub(crate) fn folder_bundle(folder: &Path) -> Bundle {
    let mut artifacts = overlay(folder);
    let manifest =
        artifacts.remove("manifest.json").unwrap_or_else(|| panic!("{}: no manifest", folder.display()));
    Bundle { manifest: serde_json::from_slice(&manifest).unwrap(), artifacts }
}

fn overlay(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// The names of the folders in a folder, in order.
pub(crate) fn folders(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = entries
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The healthy bundles, by their path below `fixtures/healthy`.
pub(crate) fn healthy() -> BTreeMap<String, Bundle> {
    let root = fixtures().join("healthy");
    let mut bundles = BTreeMap::new();
    for swarm in folders(&root) {
        for node in folders(&root.join(&swarm)) {
            bundles.insert(format!("{swarm}/{node}"), folder_bundle(&root.join(&swarm).join(node)));
        }
    }
    bundles
}

/// The JSON report on a bundle.
pub(crate) fn report(bundle: &Bundle) -> String {
    report_by(bundle, &Policy::default())
}

/// The same with a policy.
pub(crate) fn report_by(bundle: &Bundle, policy: &Policy) -> String {
    let mut out = Vec::new();
    Json.render(&diagnose_by(bundle, policy), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The bundle as it is without permissions.
pub(crate) fn hide(bundle: &Bundle, need: Need) -> Bundle {
    let mut hidden = bundle.clone();
    let denied = ArtifactStatus::Failed { why: Why::Denied { what: "hidden by a test".into() } };
    let mut any = false;
    for entry in hidden.manifest.entries.iter_mut().filter(|entry| entry.need == need) {
        hidden.artifacts.remove(&entry.artifact);
        entry.status = denied.clone();
        any = true;
    }
    if !any {
        hidden.manifest.entries.push(Entry {
            need,
            artifact: format!("unseen/{}", need.name()),
            origin: need.name().into(),
            status: denied,
            written: None,
            took_us: 0,
        });
    }
    hidden
}
