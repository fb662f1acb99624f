//! Pseudonyms for identifying data: names of hosts, services, stacks, networks, images and domains, and addresses. The same
//! name always gets the same pseudonym and subnets keep their prefix lengths, so the diagnosis of the bundle does not change.
//! Bundles that are merged into one are anonymised together.

mod addresses;
mod filter;
mod names;

use addresses::Addresses;
use facts::bundle::{ArtifactStatus, Bundle};
use facts::{NodeName, Why};
use names::Names;
use serde_json::Value;

/// Below these members of an object stand names as keys.
const KEYED_BY_NAME: [&str; 4] = ["named", "Networks", "Services", "Labels"];

/// Who is called what.
#[derive(Default)]
pub struct Pseudonyms {
    names: Names,
    addresses: Addresses,
}

impl Pseudonyms {
    /// Those for one bundle.
    pub fn of(bundle: &Bundle) -> Self {
        let mut pseudonyms = Self::default();
        pseudonyms.learn(bundle);
        pseudonyms.settle();
        pseudonyms
    }

    /// Learns the names and the subnets of a bundle.
    pub fn learn(&mut self, bundle: &Bundle) {
        let snapshot = facts::parse::snapshot(bundle);
        self.names.learn(bundle, &snapshot);
        self.addresses.learn(bundle, &snapshot);
    }

    /// Gives out the pseudonyms, once all that is to have one is known.
    pub fn settle(&mut self) {
        self.names.settle();
    }

    /// A text with pseudonyms.
    pub fn text(&self, text: &str) -> String {
        self.names.replaced(&self.addresses.replaced(text))
    }

    /// A bundle with pseudonyms.
    pub fn bundle(&self, mut bundle: Bundle) -> Bundle {
        let manifest = &mut bundle.manifest;
        manifest.host = NodeName(self.text(manifest.host.as_str()));
        manifest.root = manifest.root.as_deref().map(|root| self.text(root));
        for entry in &mut manifest.entries {
            entry.origin = self.text(&entry.origin);
            if let ArtifactStatus::Failed { why } = &mut entry.status {
                self.why(why);
            }
        }
        for (name, content) in &mut bundle.artifacts {
            *content = self.artifact(name, content);
        }
        bundle
    }

    fn artifact(&self, name: &str, content: &[u8]) -> Vec<u8> {
        // The names in a certificate are ids, and any change would break it.
        if name.ends_with(".crt") {
            return content.to_vec();
        }
        if name == "host/firewall.json" {
            return filter::replaced(content, &self.addresses).unwrap_or_else(|| self.plain(content));
        }
        // Of files the lines are quoted, so that they have to stay.
        if name.starts_with("files/") {
            return self.plain(content);
        }
        match serde_json::from_slice::<Value>(content) {
            Ok(mut value) => {
                self.json(&mut value, "");
                serde_json::to_vec_pretty(&value).unwrap_or_else(|_| self.plain(content))
            }
            Err(_) => self.plain(content),
        }
    }

    fn plain(&self, content: &[u8]) -> Vec<u8> {
        // What is no text is evidence of its own, and stays.
        let mut plain = Vec::new();
        for chunk in content.utf8_chunks() {
            plain.extend_from_slice(self.text(chunk.valid()).as_bytes());
            plain.extend_from_slice(chunk.invalid());
        }
        plain
    }

    fn json(&self, value: &mut Value, below: &str) {
        match value {
            Value::String(text) if text.contains("-----BEGIN ") => {}
            Value::String(text) => *text = self.text(text),
            Value::Array(list) => list.iter_mut().for_each(|value| self.json(value, below)),
            Value::Object(map) => {
                let named = KEYED_BY_NAME.contains(&below);
                // The name of a setting is a program's word.
                let setting = map.contains_key("origin") && map.contains_key("value");
                let old = std::mem::take(map);
                for (key, mut value) in old {
                    if !(setting && key == "name") {
                        self.json(&mut value, &key);
                    }
                    map.insert(if named { self.text(&key) } else { key }, value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn why(&self, why: &mut Why) {
        let (Why::NotAsked { reason: what }
        | Why::NotApplicable { reason: what }
        | Why::Denied { what }
        | Why::Unreachable { what }
        | Why::Refused { what, .. }
        | Why::Undecidable { what }
        | Why::Malformed { what, .. }) = why
        else {
            return;
        };
        *what = self.text(what);
    }
}
