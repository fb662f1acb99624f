//! The cgroups of the containers in a lab; they remain after the namespaces are gone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

/// The parent cgroup of everything that a lab's engines start, relative to the root of a hierarchy. Cgroups are global to the
/// host, so its name contains the full path of the lab: with `$SWARM_LAB_DIR`, two labs can have the same name.
pub(crate) fn path(lab: &Path) -> PathBuf {
    Path::new("swarm-lab").join(lab.display().to_string().trim_start_matches('/').replace('/', "-"))
}

/// Under cgroup v1 there is one hierarchy per controller in `/sys/fs/cgroup`, under v2 that is the only one.
pub(crate) fn remove(lab: &Path) -> Result<()> {
    let hierarchies = Path::new("/sys/fs/cgroup");
    let below = fs::read_dir(hierarchies).into_iter().flatten().flatten().map(|entry| entry.path());
    for hierarchy in below.chain([hierarchies.to_owned()]) {
        let cgroup = hierarchy.join(path(lab));
        if cgroup.is_dir() {
            remove_tree(&cgroup).with_context(|| format!("failed to remove cgroup {}", cgroup.display()))?;
            // It may contain cgroups of other labs.
            let _ = cgroup.parent().map(fs::remove_dir);
        }
    }
    Ok(())
}

/// Removes the directories bottom-up; the files in a cgroup cannot be removed separately. A killed process stays in its
/// cgroup for a moment after its exit.
fn remove_tree(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    let mut attempts = 0;
    loop {
        match fs::remove_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && attempts < 40 => attempts += 1,
            removed => return removed,
        }
        sleep(Duration::from_millis(50));
    }
}
