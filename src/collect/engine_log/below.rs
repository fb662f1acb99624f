//! Files of a machine whose file system begins at some directory.

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// The directory that stands for `/`.
#[derive(Clone, Debug)]
pub(super) struct Root(pub(super) PathBuf);

impl Root {
    /// Opens a file to read. A FIFO without a writer and a device that is not ready do not hold it up.
    fn open(&self, path: &Path) -> io::Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let below = self.0.join(path.strip_prefix("/").unwrap_or(path));
        if self.0 == Path::new("/") {
            return Ok(open(&below, flags, Mode::empty())?.into());
        }
        // Absolute links have to stay below the root: without this they would lead to this machine's own files.
        let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_IN_ROOT);
        match openat2(File::open(&self.0)?, path, how) {
            // Kernels before 5.6 have no such call, and some sandboxes forbid it.
            Err(nix::Error::ENOSYS | nix::Error::EPERM) => Ok(open(&below, flags, Mode::empty())?.into()),
            opened => Ok(opened?.into()),
        }
    }

    /// Opens what has to be a regular file.
    pub(super) fn open_regular(&self, path: &Path) -> io::Result<File> {
        let file = self.open(path)?;
        match file.metadata()?.file_type() {
            kind if kind.is_file() => Ok(file),
            kind if kind.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")),
        }
    }

    /// The names in a directory, in order. One that is not there has none.
    pub(super) fn names(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        let directory = match self.open(directory) {
            Ok(directory) => directory,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let listing = std::fs::read_dir(format!("/proc/self/fd/{}", directory.as_raw_fd()))?;
        let mut names = listing.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }
}

/// Whether the error means that there is no such file.
pub(super) fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | IsADirectory)
}
