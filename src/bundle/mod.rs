//! Bundles on disk: a tar of the artifacts with a manifest, compressed with zstd. A bundle of one machine has its
//! manifest and its artifacts beside each other; one of several has a folder for each.

mod anonymize;
mod fit;
mod merge;
mod read;
mod sums;
mod upgrade;
mod write;

pub use anonymize::Pseudonyms;
pub use fit::{fit, shorten_logs};
pub use merge::merge;
pub use read::{each, each_from, embedded, read, read_from};
pub use upgrade::{is_format_1, upgrade};
pub use write::{Writer, write, write_to};

use serde::{Deserialize, Serialize};

/// The manifest's name in the archive.
const MANIFEST: &str = "manifest.json";

/// The folder in the archive under which everything stands.
const FOLDER: &str = "swarm-doctor";

/// The folder below it under which the machines stand, where there are several.
const NODES: &str = "nodes";

/// The digests of all other files, in the format of sha256sum(1).
const SUMS: &str = "SHA256SUMS";

/// The layout of a bundle of several machines; a reader refuses one it does not know.
const MERGED: &str = "swarm-doctor.merged/v2";

/// The layouts of bundles written before 0.1.0, which are upgraded while they are read.
const FORMAT_1: &str = "swarm-doctor.bundle/v1";
const MERGED_1: &str = "swarm-doctor.merged/v1";

/// Maximum size of an artifact in bytes. A larger one is left out when writing.
const MOST_OF_ARTIFACT: u64 = 64 << 20;
/// Maximum total size of the artifacts of one host in bytes.
const MOST_OF_MACHINE: u64 = 256 << 20;
/// Maximum number of artifacts of one host.
const MOST_ARTIFACTS: usize = 20_000;

/// The manifest of a bundle of several hosts, each of which has a separate manifest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Merged {
    /// [`MERGED`].
    schema: String,
    /// The version of swarm-doctor that wrote it.
    tool: String,
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
