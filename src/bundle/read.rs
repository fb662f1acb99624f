//! Reading a bundle, whoever made it.

use super::{FOLDER, MANIFEST};
use crate::error::ExpectedError;
use facts::bundle::{Bundle, Manifest, SCHEMA};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

/// The most a bundle may unpack to, so that a small file cannot fill the memory.
const MOST_BYTES: u64 = 512 << 20;
/// The most artifacts a bundle may have.
const MOST_ARTIFACTS: usize = 100_000;

/// Reads a bundle into memory. Nothing is ever unpacked to disk, so no name in it can point anywhere.
pub fn read(path: &Path) -> Result<Bundle, ExpectedError> {
    let file = File::open(path).map_err(|error| ExpectedError::file("read the bundle", path, &error))?;
    let regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
    if !regular {
        return Err(ExpectedError::bundle(path, "it is not a regular file"));
    }
    read_from(file).map_err(|what| ExpectedError::bundle(path, &what))
}

/// Reads a bundle from wherever its bytes are.
pub fn read_from(bytes: impl Read) -> Result<Bundle, String> {
    let words = |error: io::Error| format!("it is not a whole .tar.zst: {error}");
    let bytes = zstd::Decoder::new(bytes).map_err(words)?.take(MOST_BYTES);
    let mut archive = tar::Archive::new(bytes);
    let mut artifacts = BTreeMap::new();
    for entry in archive.entries().map_err(words)? {
        let mut entry = entry.map_err(words)?;
        if entry.header().entry_type().is_dir() {
            continue;
        }
        if !entry.header().entry_type().is_file() {
            return Err("it holds something other than plain files".into());
        }
        let name = name(&entry.path().map_err(words)?)?;
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(words)?;
        if artifacts.insert(name.clone(), content).is_some() {
            return Err(format!("it holds {name} twice"));
        }
        if artifacts.len() > MOST_ARTIFACTS {
            return Err(format!("it holds more than {MOST_ARTIFACTS} artifacts"));
        }
    }
    // A reader that was cut short by the limit would end like a whole archive.
    if archive.into_inner().limit() == 0 {
        return Err(format!("it unpacks to more than {} MiB", MOST_BYTES >> 20));
    }
    let manifest = artifacts.remove(MANIFEST).ok_or(format!("it has no {MANIFEST}"))?;
    Ok(Bundle { manifest: manifest_of(&manifest)?, artifacts })
}

/// The name of an artifact: a relative path below the bundle's folder, with no way up.
fn name(path: &Path) -> Result<String, String> {
    let inside = path.strip_prefix(FOLDER).map_err(|_| format!("{} is outside {FOLDER}/", path.display()))?;
    let plain = inside.components().all(|part| matches!(part, Component::Normal(_)));
    match inside.to_str() {
        Some(name) if plain && !name.is_empty() => Ok(name.to_owned()),
        _ => Err(format!("{} is not a plain relative path", path.display())),
    }
}

fn manifest_of(bytes: &[u8]) -> Result<Manifest, String> {
    let value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|error| format!("its {MANIFEST} is malformed: {error}"))?;
    // The schema comes first: a manifest of another version is not malformed, only unknown.
    match value.get("schema").and_then(|schema| schema.as_str()) {
        Some(SCHEMA) => {}
        Some(other) => return Err(format!("it is {other}, and this version reads {SCHEMA}")),
        None => return Err(format!("its {MANIFEST} names no schema")),
    }
    serde_json::from_value(value).map_err(|error| format!("its {MANIFEST} is malformed: {error}"))
}
