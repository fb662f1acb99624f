//! The Debian package, built by dpkg-deb. It has no maintainer scripts: neither unit is enabled by the installation.

use super::tree::{Entry, entries};
use super::{Source, VERSION};
use anyhow::{Context, ensure};
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

pub(super) fn package(source: &Source) -> anyhow::Result<PathBuf> {
    let staged = tempfile::tempdir()?;
    std::fs::set_permissions(staged.path(), Permissions::from_mode(0o755))?;
    let mut bytes = 0;
    for (path, entry) in entries(source)? {
        let path = staged.path().join(path);
        let folder = path.parent().context("an entry has no folder")?;
        std::fs::create_dir_all(folder)?;
        match entry {
            Entry::File(mode, content) => {
                bytes += content.len();
                std::fs::write(&path, content)?;
                std::fs::set_permissions(&path, Permissions::from_mode(mode))?;
            }
            Entry::Link(to) => symlink(to, &path)?,
            Entry::Folder => std::fs::create_dir_all(&path)?,
        }
    }
    let control = staged.path().join("DEBIAN");
    std::fs::create_dir(&control)?;
    std::fs::write(control.join("control"), fields(bytes.div_ceil(1024)))?;
    let path = source.folder.join(format!("swarm-doctor_{VERSION}_amd64.deb"));
    let output = Command::new("dpkg-deb")
        .args(["--root-owner-group", "-Zxz", "--build"])
        .arg(staged.path())
        .arg(&path)
        .env("SOURCE_DATE_EPOCH", source.time.to_string())
        .output()
        .context("failed to start dpkg-deb")?;
    ensure!(output.status.success(), "dpkg-deb: {}", String::from_utf8_lossy(&output.stderr));
    Ok(path)
}

/// The control file; the size is in KiB.
fn fields(size: usize) -> String {
    format!(
        "Package: swarm-doctor
Version: {VERSION}
Architecture: amd64
Maintainer: swarm-doctor <swarm-doctor@users.noreply.github.com>
Installed-Size: {size}
Section: admin
Priority: optional
Homepage: {}
Description: diagnoses a Docker Swarm
 Names the root cause when a Docker Swarm is broken, shows the evidence, and says
 what to do on which node. One static program, read-only unless asked to fix.
",
        env!("CARGO_PKG_REPOSITORY")
    )
}
