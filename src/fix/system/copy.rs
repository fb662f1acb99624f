//! Copying the swarm state of an engine. It holds keys, so that the copies are readable for root alone.

use crate::fix::error::{FixError, Result};
use nix::sys::statvfs::statvfs;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Copies a directory with all its regular files `except` one, and compares what was written with what was read.
pub(super) fn copy(from: &Path, to: &Path, except: Option<&str>) -> Result<()> {
    let failed = |error: io::Error| FixError::io("copy", from)(error);
    // A copy that was interrupted never gets its name.
    let partial = to.with_extension("partial");
    for rest in [partial.as_path(), to] {
        if rest.exists() {
            fs::remove_dir_all(rest).map_err(FixError::io("remove", rest))?;
        }
    }
    let mut files = files(from).map_err(failed)?;
    files.retain(|path| except.is_none_or(|except| *path != from.join(except)));
    let size: u64 = files.iter().filter_map(|path| Some(path.metadata().ok()?.len())).sum();
    let parent = to.parent().unwrap_or(Path::new("/"));
    let room = statvfs(parent).map_err(|error| failed(error.into()))?;
    let free = room.blocks_available().saturating_mul(room.fragment_size());
    // As much again is left for the new state of the engine, should both be on one disk.
    if free < size.saturating_mul(2) {
        let parent = parent.display();
        let why = format!("the copy of {} needs {size} bytes and {parent} has {free} free", from.display());
        return Err(FixError::Refused(why));
    }
    directory(&partial).map_err(failed)?;
    for path in &files {
        let place = partial.join(path.strip_prefix(from).unwrap_or(path));
        directory(place.parent().unwrap_or(to)).map_err(failed)?;
        one(path, &place).map_err(failed)?;
    }
    sync(&partial).and_then(|()| fs::rename(&partial, to)).map_err(FixError::io("write", to))?;
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(FixError::io("write", parent))
}

/// Puts a copy of a directory in the place of another one. An interruption leaves the old or the new directory beside its
/// place, and a second call finishes.
pub(super) fn install(copy_of: &Path, place: &Path) -> Result<()> {
    let (new, old) = (place.with_extension("swarm-doctor"), place.with_extension("left"));
    if old.exists() {
        fs::remove_dir_all(&old).map_err(FixError::io("remove", &old))?;
    }
    copy(copy_of, &new, None)?;
    if place.exists() {
        fs::rename(place, &old).map_err(FixError::io("rename", place))?;
    }
    fs::rename(&new, place).map_err(FixError::io("replace", place))?;
    let parent = place.parent().unwrap_or(Path::new("/"));
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(FixError::io("write", parent))?;
    if old.exists() {
        fs::remove_dir_all(&old).map_err(FixError::io("remove", &old))?;
    }
    Ok(())
}

/// Makes all names below a directory permanent.
fn sync(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync(&entry.path())?;
        }
    }
    File::open(directory)?.sync_all()
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
            // The control socket of the swarm component is created at every start.
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{copy, install};
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn copies_everything_for_root_alone_and_puts_it_in_place() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("swarm"), directory.path().join("kept/swarm"));
        fs::create_dir_all(from.join("raft/snap")).unwrap();
        fs::create_dir_all(directory.path().join("kept")).unwrap();
        fs::create_dir_all(from.join("worker")).unwrap();
        fs::write(from.join("worker/tasks.db"), "").unwrap();
        fs::write(from.join("state.json"), "[]").unwrap();
        fs::write(from.join("raft/snap/1"), [0; 9000]).unwrap();
        copy(&from, &to, Some("worker/tasks.db")).unwrap();
        // A second copy replaces what an interruption left of the first.
        copy(&from, &to, Some("worker/tasks.db")).unwrap();
        assert!(!to.join("worker").exists());
        assert_eq!(fs::read(to.join("state.json")).unwrap(), b"[]");
        assert_eq!(fs::read(to.join("raft/snap/1")).unwrap().len(), 9000);
        assert_eq!(fs::metadata(to.join("raft")).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(to.join("state.json")).unwrap().mode() & 0o077, 0);
        fs::write(from.join("state.json"), "[1]").unwrap();
        install(&to, &from).unwrap();
        assert_eq!(fs::read(from.join("state.json")).unwrap(), b"[]");
        assert!(!directory.path().join("swarm.left").exists());
    }
}
