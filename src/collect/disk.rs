//! Free space on the file system of the engine's data root, and on others that the engine and the host write to.

use super::files::{self, Mount};
use super::{Artifact, Place, Session, apart, why};
use facts::host::Disk;
use facts::{Need, Why};
use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The other directories: containerd's data, the logs of the host, and the run-time state of the engine.
const OTHERS: [&str; 3] = ["/var/lib/containerd", "/var/log", "/run"];

pub(super) async fn disk(session: &Session) -> Vec<Artifact> {
    let place = Place::new(Need::Disk, "host/disk.json", "statvfs of the data root");
    if !session.options.endpoint.is_local() {
        let reason = format!("the engine at {} is on another host", session.options.endpoint);
        return vec![place.missed(Why::NotApplicable { reason })];
    }
    let data_root = files::data_root(session).await;
    let place = Place::new(Need::Disk, "host/disk.json", format!("statvfs {}", data_root.display()));
    let shared = !session.foreign().files();
    let first = match files::hidden(session, &data_root) {
        Some(why) => place.missed(why),
        None => {
            let (path, shown) = (session.path(&data_root), data_root.display().to_string());
            match apart(move || free_space(&path, shown, shared)).await {
                Ok(Some(disk)) => place.kept_as_json(&disk),
                Ok(None) => place.absent(),
                Err(why) => place.missed(why),
            }
        }
    };
    vec![first, others(session, &data_root, shared).await]
}

/// The other directories that are on separate file systems.
async fn others(session: &Session, data_root: &Path, shared: bool) -> Artifact {
    let place = Place::new(Need::Disk, "host/disks.json", format!("statvfs {}", OTHERS.join(", ")));
    let visible = OTHERS.into_iter().filter(|path| files::hidden(session, Path::new(path)).is_none());
    let paths: Vec<_> = visible.map(|path| (session.path(path), path.to_owned())).collect();
    let data_root = session.path(data_root);
    let read = move || {
        let device = |path: &Path| path.metadata().ok().map(|metadata| metadata.dev());
        let mut devices: BTreeSet<_> = device(&data_root).into_iter().collect();
        let separate =
            paths.into_iter().filter(|(path, _)| device(path).is_some_and(|it| devices.insert(it)));
        let disks = separate.filter_map(|(path, shown)| free_space(&path, shown, shared).transpose());
        disks.collect::<Result<Vec<_>, _>>()
    };
    match apart(read).await {
        Ok(disks) => place.kept_as_json(&disks),
        Err(why) => place.missed(why),
    }
}

/// The free space of a directory's file system. A mount that is read-only while its file system is not, as `:ro` makes in a
/// container, counts only where the engine shares the mounts of this process.
fn free_space(path: &Path, shown: String, shared: bool) -> Result<Option<Disk>, Why> {
    let stat = match statvfs(path) {
        Ok(stat) => stat,
        Err(Errno::ENOENT) => return Ok(None),
        Err(errno) => return Err(why(&errno.into(), &format!("statvfs {shown}"))),
    };
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mount = Mount::of(&mountinfo, &real);
    let read_only = stat.flags().contains(FsFlags::ST_RDONLY);
    Ok(Some(Disk {
        path: shown,
        size_bytes: stat.blocks() * stat.fragment_size(),
        available_bytes: stat.blocks_available() * stat.fragment_size(),
        inodes: stat.files(),
        inodes_free: stat.files_free(),
        read_only: read_only && (shared || mount.is_none_or(|mount| mount.read_only)),
        file_system: mount.map(|mount| mount.kind.to_owned()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_free_space_and_a_missing_one_is_absent() {
        let disk = free_space(Path::new("/proc/self/cwd"), "here".into(), true).unwrap().unwrap();
        assert!(disk.size_bytes >= disk.available_bytes && disk.size_bytes > 0, "{disk:?}");
        assert!(disk.file_system.is_some_and(|kind| !kind.is_empty()));
        assert_eq!(free_space(Path::new("/no/such/directory"), String::new(), true), Ok(None));
    }

    #[test]
    fn a_read_only_file_system_is_detected() {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        for line in mounts.lines() {
            let mut fields = line.split(' ').skip(1);
            let (Some(target), _, Some(options)) = (fields.next(), fields.next(), fields.next()) else {
                continue;
            };
            if let Ok(Some(disk)) = free_space(Path::new(target), String::new(), true) {
                let read_only = options.split(',').any(|option| option == "ro");
                // The last mount on a directory hides earlier ones.
                let last = mounts.lines().rfind(|other| other.split(' ').nth(1) == Some(target));
                assert!(last != Some(line) || disk.read_only == read_only, "{line}");
            }
        }
    }
}
