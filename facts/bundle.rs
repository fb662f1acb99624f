//! What was collected, before anyone has read it.

use crate::{Need, NodeName, Why};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The layout of a bundle; a reader refuses one it does not know.
pub const SCHEMA: &str = "swarm-doctor.bundle/v2";

/// Everything one run collected on one host.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// What was looked for, where, when and with what result.
    pub manifest: Manifest,
    /// The artifacts by path.
    pub artifacts: BTreeMap<String, Vec<u8>>,
}

/// What was looked for, where, when and with what result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: String,
    /// The version of swarm-doctor that wrote it.
    pub tool: String,
    /// The hostname of the machine.
    pub host: NodeName,
    /// When collecting began.
    pub taken: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The machine's offset from UTC in seconds; log lines without a zone are read with it.
    pub utc_offset_seconds: i32,
    /// The user collecting was not root.
    pub unprivileged: bool,
    /// The directory that stood for `/`, where it was another: files of a machine that did not run there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// One for each thing that was looked for.
    pub entries: Vec<Entry>,
}

/// One thing that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its kind.
    pub need: Need,
    /// Its path in the bundle.
    pub artifact: String,
    /// Its source, such as `GET /info` or `/etc/docker/daemon.json`.
    pub origin: String,
    /// Collected, or failed with the reason.
    pub status: ArtifactStatus,
    /// When it was last written, where that is known: year-less log stamps need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Timestamp>,
    /// How long it took, in microseconds.
    pub took_us: u64,
}

/// The result of collecting one artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ArtifactStatus {
    /// It is in the bundle.
    Collected,
    /// It is not there, and that is a fact.
    Absent,
    /// It could not be seen.
    Failed {
        /// Why.
        why: Why,
    },
}

impl Bundle {
    /// The entries of one kind.
    pub fn entries(&self, need: Need) -> impl Iterator<Item = &Entry> {
        self.manifest.entries.iter().filter(move |entry| entry.need == need)
    }

    /// Puts one thing in, replacing what stood under the same path.
    pub fn put(&mut self, entry: Entry, content: Option<Vec<u8>>) {
        self.manifest.entries.retain(|old| old.artifact != entry.artifact);
        match content {
            Some(content) => drop(self.artifacts.insert(entry.artifact.clone(), content)),
            None => drop(self.artifacts.remove(&entry.artifact)),
        }
        self.manifest.entries.push(entry);
    }
}
