//! The archive for every other distribution: to be unpacked at `/`, or by hand.

use super::tree::{entries, gzip, tar};
use super::{Source, VERSION};
use std::path::{Path, PathBuf};

pub(super) fn archive(source: &Source) -> anyhow::Result<PathBuf> {
    let name = format!("swarm-doctor-{VERSION}-x86_64-linux");
    let path = source.folder.join(format!("{name}.tar.gz"));
    std::fs::write(&path, gzip(&tar(&entries(source)?, Path::new(&name), source.time)?)?)?;
    Ok(path)
}
