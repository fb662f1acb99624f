//! One fix at a time on one node.

use super::error::{FixError, Result};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// A killed process holds the lock until the kernel has ended it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The state directory, locked by this process until it ends.
#[derive(Debug)]
pub(super) struct State {
    /// Where the receipts are.
    pub(super) receipts: PathBuf,
    _lock: Flock<File>,
}

impl State {
    /// Takes the lock, and creates the directory where there is none.
    pub(super) fn lock(directory: &Path) -> Result<Self> {
        let failed = |error: &dyn std::fmt::Display| {
            FixError::Refused(format!(
                "cannot write the journal in {}: {error}. Nothing is changed without a journal; choose another directory \
                 with --state-dir",
                directory.display()
            ))
        };
        let receipts = directory.join("receipts");
        DirBuilder::new().recursive(true).mode(0o700).create(&receipts).map_err(|error| failed(&error))?;
        for parent in [Some(directory), directory.parent()].into_iter().flatten() {
            File::open(parent).and_then(|parent| parent.sync_all()).map_err(|error| failed(&error))?;
        }
        let metadata = fs::symlink_metadata(directory).map_err(|error| failed(&error))?;
        if metadata.uid() != nix::unistd::geteuid().as_raw()
            || metadata.mode() & 0o022 != 0
            || !metadata.is_dir()
        {
            return Err(failed(&"other users can write to it"));
        }
        let mut open = OpenOptions::new();
        let open = open.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = open
            .custom_flags(libc::O_NOFOLLOW)
            .open(directory.join("lock"))
            .map_err(|error| failed(&error))?;
        let since = Instant::now();
        let mut tried = Flock::lock(file, FlockArg::LockExclusiveNonblock);
        let mut lock = loop {
            match tried {
                Ok(lock) => break lock,
                Err((file, Errno::EWOULDBLOCK)) if since.elapsed() < PATIENCE => {
                    thread::sleep(Duration::from_millis(50));
                    tried = Flock::lock(file, FlockArg::LockExclusiveNonblock);
                }
                Err((mut file, Errno::EWOULDBLOCK)) => {
                    let mut pid = String::new();
                    drop(file.read_to_string(&mut pid));
                    let why = format!("another swarm-doctor (pid {}) is changing this node", pid.trim());
                    return Err(FixError::Refused(why));
                }
                Err((_, error)) => return Err(failed(&error)),
            }
        };
        let noted = lock.set_len(0).and_then(|()| lock.rewind());
        noted.and_then(|()| write!(lock, "{}", std::process::id())).map_err(|error| failed(&error))?;
        Ok(Self { receipts, _lock: lock })
    }
}
