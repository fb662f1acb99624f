//! The files of a node before it first boots.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{XattrFlags, setxattr};

use crate::cgroup;
use crate::engine::Engine;
use crate::switch;

/// The parent cgroup of everything that the engine of a node starts, relative to the root of a hierarchy.
fn cgroup_parent(dir: &Path) -> String {
    let lab = dir.parent().unwrap_or(dir);
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    format!("/{}/{name}", cgroup::path(lab).display())
}

/// Creates the root file system of a node, with the node's files over those of the engine.
pub(crate) fn lay_out(dir: &Path, engine: &Engine, number: usize, nodes: usize) -> io::Result<()> {
    let root = dir.join("root");
    for path in ["proc", "sys", "dev", "run", "usr", "etc", "home", "mnt", "opt", "srv", "root", "tmp"] {
        fs::create_dir_all(root.join(path))?;
    }
    for path in ["cache", "lib/docker", "log", "spool/rsyslog", "tmp"] {
        fs::create_dir_all(root.join("var").join(path))?;
    }
    for (path, mode) in [("root", 0o700), ("tmp", 0o1777), ("var/tmp", 0o1777)] {
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode))?;
    }
    symlink("/run", root.join("var/run"))?;
    // With merged /usr, which every engine here has, these are symbolic links: bin -> usr/bin.
    for path in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        if let Ok(target) = fs::read_link(Path::new(engine.root()).join(path)) {
            symlink(target, root.join(path))?;
        }
    }
    for path in ["usr.upper/local/bin", "usr.work", "etc.upper/docker", "etc.work"] {
        fs::create_dir_all(dir.join(path))?;
    }
    // Files of the host's administrator are not part of the engine and differ from host to host.
    for path in ["usr.upper/local", "etc.upper/docker"] {
        setxattr(dir.join(path), "trusted.overlay.opaque", b"y", XattrFlags::empty())?;
    }
    let program = dir.join("usr.upper/local/bin/lab-firewalld");
    fs::write(&program, include_str!("programs/lab-firewalld"))?;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))?;
    let etc = dir.join("etc.upper");
    let service = etc.join("init.d/docker");
    fs::create_dir_all(etc.join("init.d"))?;
    fs::write(&service, include_str!("programs/docker"))?;
    fs::set_permissions(service, fs::Permissions::from_mode(0o755))?;
    fs::create_dir_all(etc.join("default"))?;
    fs::write(etc.join("default/docker"), format!("CGROUP_PARENT={}\n", cgroup_parent(dir)))?;
    let hosts =
        (1..=nodes).map(|number| format!("{} node{number}\n", switch::address(number))).collect::<String>();
    fs::write(etc.join("hosts"), format!("127.0.0.1 localhost\n{hosts}"))?;
    fs::write(etc.join("hostname"), format!("node{number}\n"))?;
    // Nothing listens there, so a DNS query fails at once instead of after a timeout.
    fs::write(etc.join("resolv.conf"), "nameserver 127.0.0.1\n")?;
    fs::write(etc.join("rsyslog.conf"), include_str!("rsyslog.conf"))?;
    let machine_id = fs::read_to_string("/proc/sys/kernel/random/uuid")?.replace('-', "");
    fs::write(etc.join("machine-id"), machine_id)
}
