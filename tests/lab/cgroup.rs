//! The cgroups of the containers in a lab: the one thing that outlives the namespaces.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

/// The cgroup, below each hierarchy's root, of everything a lab's engines start. Cgroups are common to the
/// whole machine, so it is named after the lab's full path: `$SWARM_LAB_DIR` may make two labs of one name.
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
            // Other labs may have theirs in it.
            let _ = cgroup.parent().map(fs::remove_dir);
        }
    }
    Ok(())
}

/// The files in a cgroup cannot be removed and need not be: only the directories, from the bottom up. A
/// process that was killed stays in its cgroup for a moment after it is gone from everywhere else.
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
