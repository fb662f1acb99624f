//! A copy of what a manager knows of its swarm. It holds keys, so that it is root's alone.

use nix::sys::statvfs::statvfs;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Copies a directory with all its plain files `but` one, and compares what was written with what was read.
pub(super) fn copy(from: &Path, to: &Path, but: Option<&str>) -> Result<(), String> {
    let failed = |error: io::Error| format!("failed to copy {} to {}: {error}", from.display(), to.display());
    let mut files = files(from).map_err(failed)?;
    files.retain(|path| but.is_none_or(|but| *path != from.join(but)));
    let size: u64 = files.iter().filter_map(|path| Some(path.metadata().ok()?.len())).sum();
    let parent = to.parent().unwrap_or(Path::new("/"));
    let room = statvfs(parent).map_err(|error| failed(error.into()))?;
    let free = room.blocks_available().saturating_mul(room.fragment_size());
    // As much again is left for the engine's own new state, should both be on one disk.
    if free < size.saturating_mul(2) {
        return Err(format!("the copy takes {size} bytes, and {} has {free} left", parent.display()));
    }
    directory(to).map_err(failed)?;
    for path in &files {
        let place = to.join(path.strip_prefix(from).unwrap_or(path));
        directory(place.parent().unwrap_or(to)).map_err(failed)?;
        one(path, &place).map_err(failed)?;
    }
    File::open(to).and_then(|directory| directory.sync_all()).map_err(failed)
}

fn one(from: &Path, to: &Path) -> io::Result<()> {
    let mut old = File::open(from)?;
    let mode = old.metadata()?.mode() & 0o700;
    let mut new = OpenOptions::new().write(true).create_new(true).mode(mode | 0o600).open(to)?;
    io::copy(&mut old, &mut new)?;
    new.sync_all()?;
    if fs::read(from)? != fs::read(to)? {
        return Err(io::Error::other(format!("{} changed while it was copied", from.display())));
    }
    Ok(())
}

fn directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        match (kind.is_dir(), kind.is_file()) {
            (true, _) => found.append(&mut files(&entry.path())?),
            (_, true) => found.push(entry.path()),
            // The socket of the swarm's own control is made anew at every start.
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::copy;
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn copies_all_that_is_there_for_root_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("swarm"), directory.path().join("kept/swarm"));
        fs::create_dir_all(from.join("raft/snap")).unwrap();
        fs::create_dir_all(directory.path().join("kept")).unwrap();
        fs::create_dir_all(from.join("worker")).unwrap();
        fs::write(from.join("worker/tasks.db"), "").unwrap();
        fs::write(from.join("state.json"), "[]").unwrap();
        fs::write(from.join("raft/snap/1"), [0; 9000]).unwrap();
        copy(&from, &to, Some("worker/tasks.db")).unwrap();
        assert!(!to.join("worker").exists());
        assert_eq!(fs::read(to.join("state.json")).unwrap(), b"[]");
        assert_eq!(fs::read(to.join("raft/snap/1")).unwrap().len(), 9000);
        assert_eq!(fs::metadata(to.join("raft")).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(to.join("state.json")).unwrap().mode() & 0o077, 0);
    }
}
