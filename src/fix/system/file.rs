//! Replacing one file by another: as a whole, or not at all.

use crate::fix::error::{FixError, Result};
use nix::errno::Errno;
use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr};
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// The largest file that is changed, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// An open file that may be changed.
struct Opened {
    file: File,
    content: Vec<u8>,
    inode: u64,
}

/// The content of a file that may be changed; none where there is no such file.
pub(super) fn content(path: &Path) -> Result<Option<Vec<u8>>> {
    Ok(open(path)?.map(|found| found.content))
}

/// Replaces a file if it still is what it was. A reader sees the old or the new content.
pub(super) fn replace(path: &Path, before: Option<&[u8]>, after: Option<&[u8]>) -> Result<()> {
    let old = unchanged(path, before)?;
    remove_partial(path)?;
    match (after, &old) {
        (None, None) => return Ok(()),
        (None, Some(_)) => fs::remove_file(path).map_err(FixError::io("remove", path))?,
        (Some(after), old) => {
            let partial = partial(path);
            let written = write(path, &partial, before, after, old.as_ref());
            if written.is_err() || old.is_none() {
                // It may not exist; the result is what counts.
                drop(fs::remove_file(&partial));
            }
            written?;
        }
    }
    // The names in the directory must survive a power failure.
    let parent = path.parent().unwrap_or(Path::new("/"));
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(FixError::io("write", parent))
}

/// The file, where it still has the content of the plan.
fn unchanged(path: &Path, before: Option<&[u8]>) -> Result<Option<Opened>> {
    let found = open(path)?;
    if found.as_ref().map(|found| found.content.as_slice()) == before {
        return Ok(found);
    }
    Err(FixError::Changed { what: path.display().to_string() })
}

fn write(
    path: &Path,
    partial: &Path,
    before: Option<&[u8]>,
    after: &[u8],
    old: Option<&Opened>,
) -> Result<()> {
    let failed = |error: io::Error| FixError::io("write", partial)(error);
    let mut new = OpenOptions::new();
    let new = new.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let mut new = new.open(partial).map_err(failed)?;
    new.write_all(after).map_err(failed)?;
    match old {
        Some(old) => copy_metadata(&new, &old.file).map_err(failed)?,
        None => new.set_permissions(fs::Permissions::from_mode(0o644)).map_err(failed)?,
    }
    new.sync_all().map_err(failed)?;
    match (old, unchanged(path, before)?) {
        (Some(old), Some(now)) if now.inode == old.inode => fs::rename(partial, path),
        // Unlike a rename, a link does not replace a file that appeared in between.
        (None, None) => fs::hard_link(partial, path),
        _ => return Err(FixError::Changed { what: path.display().to_string() }),
    }
    .map_err(FixError::io("replace", path))
}

/// Removes what an interrupted change left beside a file.
fn remove_partial(path: &Path) -> Result<()> {
    let partial = partial(path);
    match fs::remove_file(&partial) {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(FixError::io("remove", partial)(error))
        }
        _ => Ok(()),
    }
}

/// A file that may be changed: a regular file of root or of this user, reached by no link.
fn open(path: &Path) -> Result<Option<Opened>> {
    let refused = |reason: String| FixError::Protected { path: path.to_owned(), reason };
    let parent = path.parent().unwrap_or(Path::new("/"));
    match parent.canonicalize() {
        Ok(real) if real != parent => {
            return Err(refused(format!("{} leads to {}", parent.display(), real.display())));
        }
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(refused(error.to_string())),
        _ => {}
    }
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    let file = match file {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::ELOOP as i32) => {
            let target = fs::read_link(path).unwrap_or_default();
            return Err(refused(format!("it is a symbolic link to {}", target.display())));
        }
        Err(error) => return Err(refused(error.to_string())),
    };
    let metadata = file.metadata().map_err(|error| refused(error.to_string()))?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "it is a directory" } else { "it is not a regular file" };
        return Err(refused(what.into()));
    }
    let own = nix::unistd::geteuid().as_raw();
    if metadata.uid() != 0 && metadata.uid() != own {
        return Err(refused(format!("it belongs to the user {}", metadata.uid())));
    }
    if metadata.nlink() > 1 {
        return Err(refused(format!("it has {} hard links, and only one would change", metadata.nlink())));
    }
    let mut content = Vec::new();
    (&file).take(MAX_SIZE + 1).read_to_end(&mut content).map_err(|error| refused(error.to_string()))?;
    if content.len() as u64 > MAX_SIZE {
        return Err(refused("it is larger than 1 MiB".into()));
    }
    Ok(Some(Opened { file, content, inode: metadata.ino() }))
}

/// Gives the new file the owner, the mode and the extended attributes of the old one.
fn copy_metadata(new: &File, old: &File) -> io::Result<()> {
    let (is, was) = (new.metadata()?, old.metadata()?);
    if (is.uid(), is.gid()) != (was.uid(), was.gid()) {
        fchown(new, Some(was.uid()), Some(was.gid()))?;
    }
    new.set_permissions(fs::Permissions::from_mode(was.permissions().mode() & 0o7777))?;
    let mut names = vec![0; 64 << 10];
    let length = match flistxattr(old, &mut names) {
        Ok(length) => length,
        // A file system without attributes has none to copy.
        Err(rustix::io::Errno::NOTSUP) => 0,
        Err(error) => return Err(error.into()),
    };
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = CString::new(name)?;
        let mut value = vec![0; 64 << 10];
        let length = fgetxattr(old, &name, &mut value)?;
        let is = fgetxattr(new, &name, &mut vec![0; 64 << 10][..]);
        if is != Ok(length) || !name.as_bytes().starts_with(b"security.") {
            fsetxattr(new, &name, &value[..length], XattrFlags::empty())?;
        }
    }
    Ok(())
}

/// Where the new content is written first.
fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.swarm-doctor"))
}

#[cfg(test)]
mod tests {
    use super::{content, partial, replace};
    use crate::fix::error::FixError;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_that_changed_meanwhile_stays_and_a_changed_file_keeps_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap().join("daemon.json");
        let change = |before: Option<&str>, after: Option<&str>| {
            replace(&path, before.map(str::as_bytes), after.map(str::as_bytes))
        };
        change(None, Some("a")).unwrap();
        assert!(matches!(change(None, Some("b")), Err(FixError::Changed { .. })));
        assert!(matches!(change(Some("b"), Some("c")), Err(FixError::Changed { .. })));
        assert_eq!(content(&path).unwrap().unwrap(), b"a");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        // What an interrupted change left does not disturb.
        fs::write(partial(&path), "torn").unwrap();
        change(Some("a"), Some("b")).unwrap();
        assert_eq!(content(&path).unwrap().unwrap(), b"b");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(!partial(&path).exists());
        change(Some("b"), None).unwrap();
        assert_eq!(content(&path).unwrap(), None);
    }
}
