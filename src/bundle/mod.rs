//! Bundles on disk: a tar of the artifacts with a manifest, compressed with zstd.

mod read;
mod write;

pub use read::{read, read_from};
pub use write::write;

/// The manifest's name in the archive.
const MANIFEST: &str = "manifest.json";

/// The folder in the archive under which everything stands.
const FOLDER: &str = "swarm-doctor";

#[cfg(test)]
mod tests;
