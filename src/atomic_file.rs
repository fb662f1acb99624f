//! Writing a file so that it is complete or unchanged.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// How many names are tried for the new file. A killed run may have left one behind.
const TRIES: u32 = 16;

/// Writes a file beside its path and renames it, so that a reader finds the old or the new content.
pub(crate) fn write(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    // The target of a link is replaced, and not the link.
    let place = match fs::canonicalize(path) {
        Ok(place) => place,
        Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => path.to_owned(),
        Err(error) => return Err(error),
    };
    let old = fs::metadata(&place).ok();
    if old.as_ref().is_some_and(|old| !old.is_file() && !old.is_dir()) {
        // A device or a pipe is written to. Renaming a file over it would destroy it.
        let mut out = BufWriter::new(File::options().write(true).open(&place)?);
        content(&mut out)?;
        return out.flush();
    }
    let (file, beside) = beside(&place)?;
    let written = fill(file, content, old.map(|old| old.permissions()))
        .and_then(|()| fs::rename(&beside, &place))
        .and_then(|()| File::open(folder(&place))?.sync_all());
    written.inspect_err(|_| {
        // The error that matters is the first; after the rename there is nothing left to remove.
        drop(fs::remove_file(&beside));
    })
}

fn folder(place: &Path) -> &Path {
    place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file in the same folder, which is on the same file system. Its name does not end like a report's: collectors
/// read `*.prom`.
fn beside(place: &Path) -> io::Result<(File, PathBuf)> {
    let name = place.file_name().ok_or_else(|| io::Error::other("not a file name"))?;
    let mut last = io::Error::from(ErrorKind::AlreadyExists);
    for number in 0..TRIES {
        let mut beside = std::ffi::OsString::from(".");
        beside.push(name);
        beside.push(format!(".{}-{number}.partial", std::process::id()));
        let beside = folder(place).join(beside);
        match File::create_new(&beside) {
            Ok(file) => return Ok((file, beside)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn fill(
    file: File,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    permissions: Option<fs::Permissions>,
) -> io::Result<()> {
    if let Some(permissions) = permissions {
        file.set_permissions(permissions)?;
    }
    let mut out = BufWriter::new(file);
    content(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn text(text: &'static str) -> impl FnOnce(&mut dyn Write) -> io::Result<()> {
        move |out| out.write_all(text.as_bytes())
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_report_replaces_the_one_before_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("swarm.prom");
        write(&path, text("one")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        write(&path, text("two")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(names(folder.path()), ["swarm.prom"]);
    }

    #[test]
    fn a_report_that_breaks_off_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report");
        write(&path, text("whole")).unwrap();
        let broken = write(&path, |out| {
            out.write_all(b"hal")?;
            Err(io::Error::other("the disk is full"))
        });
        assert_eq!(broken.unwrap_err().to_string(), "the disk is full");
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(names(folder.path()), ["report"]);
    }

    #[test]
    fn a_link_stays_and_what_it_leads_to_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        symlink(&real, &link).unwrap();
        write(&link, text("new")).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        symlink("nowhere", folder.path().join("astray")).unwrap();
        assert!(write(&folder.path().join("astray"), text("x")).is_err());
    }

    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        use std::os::unix::fs::FileTypeExt;
        write(Path::new("/dev/null"), text("gone")).unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }

    #[test]
    fn a_path_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(folder.path(), text("x")).is_err());
        assert!(write(&folder.path().join("none/report"), text("x")).is_err());
        assert_eq!(names(folder.path()), Vec::<String>::new());
    }
}
