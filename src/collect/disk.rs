//! Free space on the file system of the engine's data root.

use super::{Artifact, Place, Session, apart, files, why};
use facts::host::Disk;
use facts::{Need, Why};
use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use std::path::Path;

pub(super) async fn disk(session: &Session) -> Vec<Artifact> {
    let place = Place::new(Need::Disk, "host/disk.json", "statvfs of the data root");
    if !session.options.endpoint.is_local() {
        let reason = format!("the engine at {} is on another host", session.options.endpoint);
        return vec![place.missed(Why::NotApplicable { reason })];
    }
    let data_root = files::data_root(session).await;
    let path = session.path(&data_root);
    let shown = data_root.display().to_string();
    let place = Place::new(Need::Disk, "host/disk.json", format!("statvfs {shown}"));
    match apart(move || free_space(&path, shown)).await {
        Ok(Some(disk)) => vec![place.kept_as_json(&disk)],
        Ok(None) => vec![place.absent()],
        Err(why) => vec![place.missed(why)],
    }
}

fn free_space(path: &Path, shown: String) -> Result<Option<Disk>, Why> {
    let stat = match statvfs(path) {
        Ok(stat) => stat,
        Err(Errno::ENOENT) => return Ok(None),
        Err(errno) => return Err(why(&errno.into(), &format!("statvfs {shown}"))),
    };
    Ok(Some(Disk {
        path: shown,
        size_bytes: stat.blocks() * stat.fragment_size(),
        available_bytes: stat.blocks_available() * stat.fragment_size(),
        inodes: stat.files(),
        inodes_free: stat.files_free(),
        read_only: stat.flags().contains(FsFlags::ST_RDONLY),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_free_space_and_a_missing_one_is_absent() {
        let disk = free_space(Path::new("/proc/self/cwd"), "here".into()).unwrap().unwrap();
        assert!(disk.size_bytes >= disk.available_bytes && disk.size_bytes > 0, "{disk:?}");
        assert_eq!(free_space(Path::new("/no/such/directory"), String::new()), Ok(None));
    }

    #[test]
    fn a_read_only_file_system_is_detected() {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        for line in mounts.lines() {
            let mut fields = line.split(' ').skip(1);
            let (Some(target), _, Some(options)) = (fields.next(), fields.next(), fields.next()) else {
                continue;
            };
            if let Ok(Some(disk)) = free_space(Path::new(target), String::new()) {
                let read_only = options.split(',').any(|option| option == "ro");
                // The last mount on a directory hides earlier ones.
                let last = mounts.lines().rfind(|other| other.split(' ').nth(1) == Some(target));
                assert!(last != Some(line) || disk.read_only == read_only, "{line}");
            }
        }
    }
}
