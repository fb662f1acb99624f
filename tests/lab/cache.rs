//! A cache of downloads and builds that all labs share.

use std::env;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};

/// The path of an item, whether or not it exists.
pub(crate) fn place(name: &str) -> PathBuf {
    let dir = env::var_os("SWARM_LAB_CACHE").map_or_else(|| "/var/cache/swarm-lab".into(), PathBuf::from);
    dir.join(name)
}

/// The file or directory of this name. If it is missing, `make` creates it at a temporary path and it is renamed, so that it
/// is complete or absent. A lock serialises processes.
pub(crate) fn item(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let place = place(name);
    if place.exists() {
        return Ok(place);
    }
    let dir = place.parent().context("the cache has no directory")?;
    let step = || format!("failed to prepare {}", dir.display());
    fs::create_dir_all(dir).with_context(step)?;
    // An unpacked engine contains setuid programs of another Debian release, which users must not run.
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).with_context(step)?;
    let file = dir.join(format!("{name}.lock"));
    let lock = OpenOptions::new().create(true).append(true).open(file).with_context(step)?;
    flock(&lock, FlockOperation::LockExclusive).with_context(step)?;
    if place.exists() {
        return Ok(place);
    }
    let workshop = dir.join(format!("{name}.new"));
    if workshop.exists() {
        fs::remove_dir_all(&workshop).with_context(step)?;
    }
    fs::create_dir(&workshop).with_context(step)?;
    let made = workshop.join(name);
    make(&made)?;
    fs::rename(&made, &place).with_context(step)?;
    fs::remove_dir_all(&workshop).with_context(step)?;
    Ok(place)
}
