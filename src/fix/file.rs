//! Putting one file in the place of another: whole, or not at all.

use nix::errno::Errno;
use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// The most that is changed; no configuration is a tenth of it.
const MOST: u64 = 1 << 20;

/// A file as it was found.
struct Found {
    file: File,
    content: Vec<u8>,
    inode: u64,
}

/// A change of one file, from what it held to what it will; none where there is no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileChange {
    /// The file.
    pub(super) path: PathBuf,
    /// What it holds.
    pub(super) before: Option<Vec<u8>>,
    /// What it will hold.
    pub(super) after: Option<Vec<u8>>,
}

/// What a content is known by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Print(Option<String>);

impl Print {
    /// Of a content, or of no file.
    pub(super) fn of(content: Option<&[u8]>) -> Self {
        let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(content.map(|content| hex(&Sha256::digest(content))))
    }
}

/// What a file holds that may be changed; none where there is no such file.
pub(super) fn content(path: &Path) -> Result<Option<Vec<u8>>, String> {
    Ok(find(path)?.map(|found| found.content))
}

impl FileChange {
    /// Makes the change, if the file still is what it was. Whoever reads it meanwhile sees the old or the new one.
    pub(super) fn make(&self) -> Result<(), String> {
        let doing =
            |what: &str, error: &io::Error| format!("failed to {what} {}: {error}", self.path.display());
        let old = self.unchanged()?;
        clear(&self.path)?;
        match (&self.after, &old) {
            (None, None) => return Ok(()),
            (None, Some(_)) => fs::remove_file(&self.path).map_err(|error| doing("remove", &error))?,
            (Some(after), old) => {
                let beside = beside(&self.path);
                let placed = self.placed(&beside, after, old.as_ref());
                if placed.is_err() || old.is_none() {
                    // It may not be there; what counts has been said or done.
                    drop(fs::remove_file(&beside));
                }
                placed?;
            }
        }
        synced(&self.path).map_err(|error| doing("write", &error))
    }

    /// The file, where it still holds what it held when the change was planned.
    fn unchanged(&self) -> Result<Option<Found>, String> {
        let found = find(&self.path)?;
        if found.as_ref().map(|found| &found.content) == self.before.as_ref() {
            return Ok(found);
        }
        Err(format!("{} was changed by somebody else meanwhile; nothing was done to it", self.path.display()))
    }

    fn placed(&self, beside: &Path, after: &[u8], old: Option<&Found>) -> Result<(), String> {
        let failed = |error: io::Error| format!("failed to write {}: {error}", beside.display());
        let mut new = OpenOptions::new();
        let new = new.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let mut new = new.open(beside).map_err(failed)?;
        new.write_all(after).map_err(failed)?;
        match old {
            Some(old) => dress(&new, &old.file).map_err(failed)?,
            None => new.set_permissions(fs::Permissions::from_mode(0o644)).map_err(failed)?,
        }
        new.sync_all().map_err(failed)?;
        match (old, self.unchanged()?) {
            (Some(old), Some(now)) if now.inode == old.inode => fs::rename(beside, &self.path),
            // Unlike a rename, a link does not replace what somebody put there in between.
            (None, None) => fs::hard_link(beside, &self.path),
            _ => return Err(format!("{} was replaced by somebody else meanwhile", self.path.display())),
        }
        .map_err(|error| format!("failed to put the new {} in its place: {error}", self.path.display()))
    }
}

/// Removes what an interrupted change left beside a file.
pub(super) fn clear(path: &Path) -> Result<(), String> {
    let beside = beside(path);
    match fs::remove_file(&beside) {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(format!("failed to remove {}: {error}", beside.display()))
        }
        _ => Ok(()),
    }
}

/// The lines that differ, with a few that do not, as `diff -u` sets them out.
pub(super) fn difference(change: &FileChange) -> Vec<String> {
    let lines = |content: &Option<Vec<u8>>| -> Vec<String> {
        let text = String::from_utf8_lossy(content.as_deref().unwrap_or_default()).into_owned();
        text.lines().map(str::to_owned).collect()
    };
    let (old, new) = (lines(&change.before), lines(&change.after));
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = old.len().min(new.len()) - same;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(old, new)| old == new).count();
    let marked = |mark: char| move |line: &String| format!("{mark}{line}");
    let around = 2;
    let mut shown = vec![format!("--- {}", change.path.display()), format!("+++ {}", change.path.display())];
    shown.extend(old[same.saturating_sub(around)..same].iter().map(marked(' ')));
    shown.extend(old[same..old.len() - tail].iter().map(marked('-')));
    shown.extend(new[same..new.len() - tail].iter().map(marked('+')));
    shown.extend(old[old.len() - tail..].iter().take(around).map(marked(' ')));
    shown
}

/// A file that may be changed: a plain one, of root or of this user, reached by no link.
fn find(path: &Path) -> Result<Option<Found>, String> {
    let refused = |why: String| format!("{} is not changed: {why}", path.display());
    let parent = path.parent().unwrap_or(Path::new("/"));
    match parent.canonicalize() {
        Ok(real) if real != parent => {
            return Err(refused(format!("{} leads to {}", parent.display(), real.display())));
        }
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(refused(error.to_string())),
        _ => {}
    }
    let open = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    let file = match open {
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
        let what = if metadata.is_dir() { "it is a directory" } else { "it is no plain file" };
        return Err(refused(what.into()));
    }
    let own = nix::unistd::geteuid().as_raw();
    if metadata.uid() != 0 && metadata.uid() != own {
        return Err(refused(format!("it belongs to the user {}", metadata.uid())));
    }
    if metadata.nlink() > 1 {
        return Err(refused(format!("it has {} names, and only one would change", metadata.nlink())));
    }
    let mut content = Vec::new();
    (&file).take(MOST + 1).read_to_end(&mut content).map_err(|error| refused(error.to_string()))?;
    if content.len() as u64 > MOST {
        return Err(refused("it is larger than 1 MiB".into()));
    }
    Ok(Some(Found { file, content, inode: metadata.ino() }))
}

/// Gives the new file the owner, the mode and the extended attributes of the old one.
fn dress(new: &File, old: &File) -> io::Result<()> {
    let (is, was) = (new.metadata()?, old.metadata()?);
    if (is.uid(), is.gid()) != (was.uid(), was.gid()) {
        fchown(new, Some(was.uid()), Some(was.gid()))?;
    }
    new.set_permissions(fs::Permissions::from_mode(was.permissions().mode() & 0o7777))?;
    let mut names = vec![0; 64 << 10];
    let length = match flistxattr(old, &mut names) {
        Ok(length) => length,
        // A file system without them has none to keep.
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

/// Where the new file grows until it is whole.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.swarm-doctor"))
}

/// Makes sure that the names in a file's directory outlast a power cut.
fn synced(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::{FileChange, beside, content};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_was_changed_meanwhile_stays_and_what_is_changed_keeps_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap().join("daemon.json");
        let change = |before: Option<&str>, after: Option<&str>| {
            let bytes = |text: &str| text.as_bytes().to_vec();
            FileChange { path: path.clone(), before: before.map(bytes), after: after.map(bytes) }.make()
        };
        change(None, Some("a")).unwrap();
        assert!(change(None, Some("b")).unwrap_err().contains("changed by somebody else"));
        assert!(change(Some("b"), Some("c")).unwrap_err().contains("changed by somebody else"));
        assert_eq!(content(&path).unwrap().unwrap(), b"a");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        // What an interrupted change left is no obstacle.
        fs::write(beside(&path), "torn").unwrap();
        change(Some("a"), Some("b")).unwrap();
        assert_eq!(content(&path).unwrap().unwrap(), b"b");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(!beside(&path).exists());
        change(Some("b"), None).unwrap();
        assert_eq!(content(&path).unwrap(), None);
    }
}
