//! Bundles of format 1 (written before 0.1.0): their keys get today's names while they are read.

use super::{FORMAT_1, MERGED, MERGED_1};
use facts::bundle::SCHEMA;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// An old name and the present one.
type Renames = &'static [(&'static str, &'static str)];

/// Artifacts with another path.
const PATHS: Renames =
    &[("overheard.json", "gossip-capture.json"), ("host/callers.json", "host/manager-connections.json")];

/// Keys, by the present path of the artifact that holds them.
const KEYS: &[(&str, Renames)] = &[
    (
        "overlays.json",
        &[
            ("plane", "data_plane"),
            ("left_out", "not_probed"),
            ("between", "sizes"),
            ("beneath", "underlay"),
            ("wire", "capture"),
            ("went", "sent"),
            ("came", "received"),
        ],
    ),
    (
        "gossip-capture.json",
        &[
            ("enough", "conclusive"),
            ("came", "received"),
            ("went", "sent"),
            ("esp_came", "esp_received"),
            ("esp_went", "esp_sent"),
        ],
    ),
    ("host/modules.json", &[("witness", "source")]),
    ("host/engine-process.json", &[("most_files", "max_open_files")]),
    ("join.json", &[("authority", "root_ca")]),
];

/// Values of a key, by the present path of the artifact that holds them.
const VALUES: &[(&str, &str, Renames)] = &[
    (
        "host/neighbours.json",
        "state",
        &[("there", "reachable"), ("silent", "failed"), ("pinned", "permanent"), ("unsure", "stale")],
    ),
    (
        "join.json",
        "kind",
        &[
            ("nowhere", "unresolved"),
            ("at", "resolved"),
            ("silent", "no-tls"),
            ("told", "returned"),
            ("untold", "unavailable"),
            ("sound", "valid"),
        ],
    ),
];

/// Whether a manifest is of format 1: of one machine, or of several.
pub fn is_format_1(manifest: &Value) -> bool {
    matches!(manifest.get("schema").and_then(Value::as_str), Some(FORMAT_1 | MERGED_1))
}

/// Gives a manifest and its artifacts the names of the present format. An artifact that is not JSON stays as it is:
/// its parser says what is wrong with it.
pub fn upgrade(manifest: &mut Value, files: &mut BTreeMap<String, Vec<u8>>) {
    match manifest.get("schema").and_then(Value::as_str) {
        Some(FORMAT_1) => manifest["schema"] = SCHEMA.into(),
        Some(MERGED_1) => manifest["schema"] = MERGED.into(),
        _ => return,
    }
    let entries = manifest.get_mut("entries").and_then(Value::as_array_mut);
    for entry in entries.into_iter().flatten().filter_map(Value::as_object_mut) {
        upgrade_entry(entry);
    }
    for (old, new) in PATHS {
        if let Some(content) = files.remove(*old) {
            files.insert((*new).to_owned(), content);
        }
    }
    for (path, content) in files.iter_mut() {
        let keys = KEYS.iter().find(|(of, _)| of == path).map_or(&[][..], |(_, renames)| renames);
        let values = VALUES.iter().find(|(of, _, _)| of == path).map(|(_, key, renames)| (*key, *renames));
        if keys.is_empty() && values.is_none() {
            continue;
        }
        if let Ok(json) = serde_json::from_slice(content)
            && let Ok(upgraded) = serde_json::to_vec(&renamed(json, keys, values))
        {
            *content = upgraded;
        }
    }
}

fn upgrade_entry(entry: &mut Map<String, Value>) {
    if let Some(mut status) = entry.remove("look") {
        replace(status.get_mut("state"), &[("kept", "collected"), ("missed", "failed")]);
        entry.insert("status".into(), status);
    }
    replace(entry.get_mut("need"), &[("overheard", "gossip-capture")]);
    replace(entry.get_mut("artifact"), PATHS);
}

fn replace(value: Option<&mut Value>, renames: Renames) {
    let Some(value) = value else { return };
    let new = value.as_str().and_then(|old| renames.iter().find(|(of, _)| *of == old));
    if let Some((_, new)) = new {
        *value = (*new).into();
    }
}

fn renamed(json: Value, keys: Renames, values: Option<(&str, Renames)>) -> Value {
    match json {
        Value::Array(items) => items.into_iter().map(|item| renamed(item, keys, values)).collect(),
        Value::Object(object) => {
            let pairs = object.into_iter().map(|(key, value)| {
                let mut value = renamed(value, keys, values);
                if let Some((_, renames)) = values.filter(|(of, _)| *of == key) {
                    replace(Some(&mut value), renames);
                }
                let new = keys.iter().find(|(old, _)| *old == key);
                (new.map_or(key, |(_, new)| (*new).to_owned()), value)
            });
            Value::Object(pairs.collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_bundle_of_format_1_gets_the_present_names() {
        let entry = json!({"need": "overheard", "artifact": "overheard.json", "origin": "", "look": {"state": "kept"}, "took_us": 1});
        let mut manifest = json!({"schema": FORMAT_1, "entries": [entry]});
        let mut files = BTreeMap::from([
            (
                "overheard.json".to_owned(),
                br#"{"enough": true, "peers": [{"came": 1, "esp_went": 2}]}"#.to_vec(),
            ),
            ("host/neighbours.json".to_owned(), br#"[{"state": "pinned"}]"#.to_vec()),
            ("overlays.json".to_owned(), b"not JSON".to_vec()),
        ]);
        upgrade(&mut manifest, &mut files);
        assert_eq!(manifest["schema"], SCHEMA);
        assert_eq!(manifest["entries"][0]["status"]["state"], "collected");
        assert_eq!(manifest["entries"][0]["need"], "gossip-capture");
        let of = |path: &str| serde_json::from_slice::<Value>(&files[path]).unwrap();
        assert_eq!(
            of("gossip-capture.json"),
            json!({"conclusive": true, "peers": [{"received": 1, "esp_sent": 2}]})
        );
        assert_eq!(of("host/neighbours.json"), json!([{"state": "permanent"}]));
        assert_eq!(files["overlays.json"], b"not JSON");
        assert!(!is_format_1(&manifest));
    }
}
