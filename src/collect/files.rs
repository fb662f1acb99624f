//! Files of the node: the engine configuration, the swarm state, and some files in /etc.

use super::{Artifact, Place, Session, apart, raft, why};
use facts::bundle::ArtifactStatus;
use facts::engine::EngineProcess;
use facts::host::OsRelease;
use facts::{Need, Timestamp, Why};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use serde_json::Value;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The maximum size of a file.
const SIZE_LIMIT: u64 = 1 << 20;

/// A file that was read.
#[derive(Debug)]
pub(super) struct Read {
    /// The content.
    pub(super) content: Vec<u8>,
    /// The time of the last change, of content or metadata.
    pub(super) written: Option<Timestamp>,
}

/// The configuration file of the engine.
pub(super) async fn daemon_json(session: &Session) -> Vec<Artifact> {
    let path = match &session.options.daemon_json {
        Some(path) => path.clone(),
        None => flag(session, &["--config-file"]).await.unwrap_or_else(|| "/etc/docker/daemon.json".into()),
    };
    vec![keep(session, Need::DaemonJson, "files/daemon.json", &path).await]
}

/// The swarm state files of the engine.
pub(super) async fn swarm_state(session: &Session) -> Vec<Artifact> {
    let swarm = data_root(session).await.join("swarm");
    vec![
        keep(session, Need::SwarmState, "files/docker-state.json", &swarm.join("docker-state.json")).await,
        keep(session, Need::SwarmState, "files/state.json", &swarm.join("state.json")).await,
        raft::log_end(session).await,
    ]
}

/// The certificate of the node and of the swarm's root CA; never a key.
pub(super) async fn certificates(session: &Session) -> Vec<Artifact> {
    let certificates = data_root(session).await.join("swarm/certificates");
    let mut artifacts = Vec::new();
    for name in ["swarm-node.crt", "swarm-root-ca.crt"] {
        let path = certificates.join(name);
        let mut artifact = keep(session, Need::Certificates, &format!("files/{name}"), &path).await;
        artifact.content = artifact.content.map(without_keys);
        artifacts.push(artifact);
    }
    artifacts
}

/// The hosts file of the node.
pub(super) async fn hosts(session: &Session) -> Vec<Artifact> {
    vec![keep(session, Need::Hosts, "files/hosts", Path::new("/etc/hosts")).await]
}

/// The resolver configuration of the node.
pub(super) async fn resolv_conf(session: &Session) -> Vec<Artifact> {
    vec![keep(session, Need::ResolvConf, "files/resolv.conf", Path::new("/etc/resolv.conf")).await]
}

/// The operating system, the kernel and the name of the node.
pub(super) async fn os_release(session: &Session) -> Vec<Artifact> {
    let artifact = "host/os-release.json";
    let mut place = Place::new(Need::OsRelease, artifact, "/etc/os-release");
    let mut file = keep(session, Need::OsRelease, artifact, Path::new("/etc/os-release")).await;
    if file.entry.status == ArtifactStatus::Absent {
        file = keep(session, Need::OsRelease, artifact, Path::new("/usr/lib/os-release")).await;
    }
    // The kernel is that of the node even where the file is not.
    let hidden = hidden(session, Path::new("/etc/os-release")).is_some();
    if let (ArtifactStatus::Failed { .. }, false) = (&file.entry.status, hidden) {
        return vec![file];
    }
    place.origin = file.entry.origin;
    let text = String::from_utf8_lossy(file.content.as_deref().unwrap_or_default()).into_owned();
    vec![place.kept_as_json(&operating_system(&text, &session.options.root))]
}

/// The name of a host whose hostname is unknown.
pub(super) const UNKNOWN_HOSTNAME: &str = "unknown";

/// The hostname of the system with this root directory.
pub(super) fn hostname(root: &Path) -> String {
    if root == Path::new("/") {
        return nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    }
    let file = read_in(root, Path::new("/etc/hostname")).ok().flatten();
    let text = file.map(|read| String::from_utf8_lossy(&read.content).into_owned()).unwrap_or_default();
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .unwrap_or(UNKNOWN_HOSTNAME)
        .into()
}

/// The data root of the engine, from its process and files. The engine is not queried, because it may hang.
pub(super) async fn data_root(session: &Session) -> PathBuf {
    if let Some(path) = flag(session, &["--data-root", "--graph", "-g"]).await {
        return path;
    }
    let artifacts = session.artifacts(Need::DaemonJson).await;
    let content = artifacts.first().and_then(|artifact| artifact.content.as_deref()).unwrap_or_default();
    let daemon_json: Value = serde_json::from_slice(content).unwrap_or_default();
    let named = ["data-root", "graph"].iter().find_map(|key| daemon_json.get(key)?.as_str());
    PathBuf::from(named.filter(|path| !path.is_empty()).unwrap_or("/var/lib/docker"))
}

/// The value of the first of these flags in the arguments of the running engine.
pub(super) async fn flag(session: &Session, names: &[&str]) -> Option<PathBuf> {
    let artifact = session.artifacts(Need::EngineProcess).await.first()?;
    let seen: EngineProcess = serde_json::from_slice(artifact.content.as_deref()?).ok()?;
    let args = seen.process?.args;
    names.iter().find_map(|name| value(&args, name)).map(PathBuf::from)
}

/// The value of a flag as dockerd reads it: the last one wins.
fn value<'a>(args: &'a [String], name: &str) -> Option<&'a str> {
    let mut values =
        args.iter().enumerate().skip(1).rev().filter_map(|(at, arg)| match arg.strip_prefix(name)? {
            "" => args.get(at + 1).map(String::as_str),
            rest => match rest.strip_prefix('=') {
                Some(value) => Some(value),
                // A short flag needs no separator.
                None => (!name.starts_with("--")).then_some(rest),
            },
        });
    values.next().filter(|value| !value.is_empty())
}

/// Why a file of the node cannot be read here: in a container only what is mounted from the node is a file of the node.
pub(super) fn hidden(session: &Session, path: &Path) -> Option<Why> {
    if !session.foreign().files() {
        return None;
    }
    let mounts = read(Path::new("/proc/self/mountinfo")).ok().flatten()?;
    let mounts = String::from_utf8_lossy(&mounts.content).into_owned();
    let mounted = Mount::of(&mounts, path).is_some_and(|mount| mount.point != "/" && !mount.of_container());
    let what = || format!("{} of the node is not mounted into this container", path.display());
    (!mounted).then(|| Why::Unreachable { what: what() })
}

/// A line of `/proc/PID/mountinfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mount<'a> {
    /// The directory of the file system that is mounted.
    pub(super) root: &'a str,
    /// Where it is mounted.
    pub(super) point: &'a str,
    /// The type of the file system.
    pub(super) kind: &'a str,
    /// Whether the file system itself is read-only, and not only this mount of it.
    pub(super) read_only: bool,
}

impl<'a> Mount<'a> {
    /// The mount that a path is on: of those with the longest mount point the last.
    pub(super) fn of(mountinfo: &'a str, path: &Path) -> Option<Self> {
        let mounts = mountinfo.lines().filter_map(Self::parsed);
        mounts.filter(|mount| path.starts_with(mount.point)).max_by_key(|mount| mount.point.len())
    }

    fn parsed(line: &'a str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let mut file_system = file_system.split(' ');
        Some(Self {
            root: mount.next()?,
            point: mount.next()?,
            kind: file_system.next()?,
            read_only: file_system.nth(1)?.split(',').any(|option| option == "ro"),
        })
    }

    /// Whether Docker made it for the container, as it does for hosts, hostname and resolv.conf.
    fn of_container(self) -> bool {
        self.root.contains("/containers/")
    }
}

/// One file of the host as an artifact.
async fn keep(session: &Session, need: Need, artifact: &str, path: &Path) -> Artifact {
    let place = Place::new(need, artifact, path.display().to_string());
    if let Some(why) = session.remote() {
        return place.missed(why);
    }
    if let Some(why) = hidden(session, path) {
        return place.missed(why);
    }
    let (root, path) = (session.options.root.clone(), path.to_owned());
    match apart(move || read_in(&root, &path)).await {
        Ok(Some(read)) => {
            let mut artifact = place.kept(read.content);
            artifact.entry.written = read.written;
            artifact
        }
        Ok(None) => place.absent(),
        Err(why) => place.missed(why),
    }
}

/// Reads a file under the root directory; `None` if it does not exist.
fn read_in(root: &Path, path: &Path) -> Result<Option<Read>, Why> {
    if root == Path::new("/") {
        return read(path);
    }
    let doing = format!("read {}", path.display());
    // Absolute symbolic links must stay under the root; otherwise they lead to files of this host.
    let directory = match File::open(root) {
        Ok(directory) => directory,
        Err(error) => return Err(why(&error, &format!("open {}", root.display()))),
    };
    let how = OpenHow::new().flags(flags()).resolve(ResolveFlag::RESOLVE_IN_ROOT);
    match openat2(&directory, path, how) {
        Ok(file) => content(file.into(), &doing).map(Some),
        // Kernels before 5.6 do not have openat2, and some sandboxes forbid it.
        Err(nix::Error::ENOSYS | nix::Error::EPERM) => {
            read(&root.join(path.strip_prefix("/").unwrap_or(path)))
        }
        Err(error) => opened(error, &doing),
    }
}

/// Reads a file; `None` if it does not exist.
pub(super) fn read(path: &Path) -> Result<Option<Read>, Why> {
    let doing = format!("read {}", path.display());
    match open(path, flags(), Mode::empty()) {
        Ok(file) => content(file.into(), &doing).map(Some),
        Err(error) => opened(error, &doing),
    }
}

/// With O_NONBLOCK, a FIFO without a writer and a device that is not ready are opened at once.
fn flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC
}

fn opened(error: nix::Error, doing: &str) -> Result<Option<Read>, Why> {
    match error {
        nix::Error::ENOENT | nix::Error::ENOTDIR => Ok(None),
        nix::Error::ENXIO => Err(Why::Malformed { line: 0, what: "it is a socket, not a file".into() }),
        error => Err(why(&error.into(), doing)),
    }
}

fn content(file: File, doing: &str) -> Result<Read, Why> {
    let irregular = |what: &str| Why::Malformed { line: 0, what: what.to_owned() };
    let metadata = file.metadata().map_err(|error| why(&error, doing))?;
    let kind = metadata.file_type();
    if kind.is_dir() {
        return Err(irregular("it is a directory, not a file"));
    }
    if kind.is_fifo() {
        return Err(irregular("it is a FIFO, not a file"));
    }
    // A link to /dev/null disables a file; other devices may return data without end.
    if !kind.is_file() && metadata.rdev() != libc::makedev(1, 3) {
        return Err(irregular("it is a device, not a file"));
    }
    let mut content = Vec::new();
    // The reported size is not used: files in /proc report none, and others may grow.
    file.take(SIZE_LIMIT + 1).read_to_end(&mut content).map_err(|error| why(&error, doing))?;
    if content.len() as u64 > SIZE_LIMIT {
        return Err(irregular("it is larger than 1 MiB"));
    }
    let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    let changed = Timestamp::new(metadata.ctime(), i32::try_from(metadata.ctime_nsec()).unwrap_or(0)).ok();
    let written = modified.max(changed);
    Ok(Read { content, written })
}

/// Removes everything but certificates from a PEM file that contains a key.
fn without_keys(pem: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&pem);
    if !text.contains("PRIVATE KEY") {
        return pem;
    }
    let mut inside = false;
    let mut kept = String::new();
    for line in text.lines() {
        inside |= line.starts_with("-----BEGIN CERTIFICATE-----");
        if inside {
            kept.push_str(line);
            kept.push('\n');
        }
        inside &= !line.starts_with("-----END");
    }
    kept.into_bytes()
}

fn operating_system(text: &str, root: &Path) -> OsRelease {
    let of = |key: &str| {
        let mut lines =
            text.lines().rev().filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
        lines.next().map(unquoted).unwrap_or_default()
    };
    let here = root == Path::new("/");
    let kernel = here.then(nix::sys::utsname::uname).and_then(Result::ok);
    OsRelease {
        hostname: hostname(root),
        pretty_name: of("PRETTY_NAME"),
        id: of("ID"),
        id_like: of("ID_LIKE").split_whitespace().map(str::to_owned).collect(),
        kernel: kernel.map(|uname| uname.release().to_string_lossy().into_owned()).unwrap_or_default(),
        in_container: in_container(),
        container: here.then(container).flatten(),
        kernel_replaced: here.then(|| kernel_replaced(Path::new("/"))).flatten(),
    }
}

/// Unquotes a value of os-release as a shell does.
fn unquoted(value: &str) -> String {
    let quote = value.chars().next().filter(|c| ['"', '\''].contains(c));
    let inner = quote.and_then(|quote| value.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(value);
    match quote {
        Some('\'') => inner.to_owned(),
        _ => {
            let mut chars = inner.chars();
            std::iter::from_fn(|| match chars.next()? {
                '\\' => chars.next(),
                other => Some(other),
            })
            .collect()
        }
    }
}

/// Whether this process is outside the initial pid namespace, which has a fixed inode number.
fn in_container() -> bool {
    const PROC_PID_INIT_INO: u32 = 0xEFFF_FFFC;
    let initial = format!("pid:[{PROC_PID_INIT_INO}]");
    std::fs::read_link("/proc/self/ns/pid").is_ok_and(|namespace| namespace != Path::new(&initial))
}

/// The container manager that started the system, such as `lxc`, as systemd and process 1 record it.
fn container() -> Option<String> {
    let recorded = std::fs::read_to_string("/run/systemd/container").ok();
    let environment = || {
        let environment = std::fs::read("/proc/1/environ").ok()?;
        let variable =
            environment.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(b"container="))?;
        Some(String::from_utf8_lossy(variable).into_owned())
    };
    let openvz = || {
        let inside = Path::new("/proc/vz").exists() && !Path::new("/proc/bc").exists();
        inside.then(|| "openvz".to_owned())
    };
    let name = recorded.map(|text| text.trim().to_owned()).filter(|name| !name.is_empty());
    name.or_else(environment).or_else(openvz).filter(|name| !name.is_empty())
}

/// Whether the modules of the running kernel were removed, as an update of the kernel package does; none where that says
/// nothing: the kernel loads no modules, or the system has none at all, as in a container.
fn kernel_replaced(root: &Path) -> Option<bool> {
    if !root.join("proc/modules").exists() {
        return None;
    }
    let release = std::fs::read_to_string(root.join("proc/sys/kernel/osrelease")).ok()?;
    let modules = root.join("lib/modules");
    let mut others =
        std::fs::read_dir(&modules).ok()?.flatten().filter(|entry| entry.path().join("modules.dep").exists());
    let own = modules.join(release.trim()).exists();
    (own || others.next().is_some()).then_some(!own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    fn args(args: &[&str]) -> Vec<String> {
        args.iter().map(|arg| (*arg).to_owned()).collect()
    }

    #[test]
    fn reads_flags_as_dockerd_does() {
        let args = args(&["dockerd", "-g/a", "--data-root", "/b", "--data-root=/c", "--config-files=/d"]);
        assert_eq!(value(&args, "--data-root"), Some("/c"));
        assert_eq!(value(&args, "-g"), Some("/a"));
        assert_eq!(value(&args, "--config-file"), None);
        assert_eq!(value(&args[..3], "--data-root"), None);
    }

    #[test]
    fn irregular_files_are_rejected_with_the_reason() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let what = |name: &str| match read(&path(name)) {
            Err(Why::Malformed { line: 0, what }) => what,
            other => panic!("{other:?}"),
        };
        std::fs::create_dir(path("directory")).unwrap();
        assert_eq!(what("directory"), "it is a directory, not a file");
        nix::unistd::mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
        assert_eq!(what("fifo"), "it is a FIFO, not a file");
        let _listener = UnixListener::bind(path("socket")).unwrap();
        assert_eq!(what("socket"), "it is a socket, not a file");
        File::create(path("large")).unwrap().set_len(SIZE_LIMIT + 1).unwrap();
        assert_eq!(what("large"), "it is larger than 1 MiB");
        symlink("/dev/zero", path("endless")).unwrap();
        assert_eq!(what("endless"), "it is a device, not a file");
        File::create(path("full")).unwrap().set_len(SIZE_LIMIT).unwrap();
        assert_eq!(read(&path("full")).unwrap().unwrap().content.len() as u64, SIZE_LIMIT);
        assert!(read(&path("none")).unwrap().is_none());
        assert!(read(&path("full/none")).unwrap().is_none());
        assert!(read(Path::new("/dev/null")).unwrap().unwrap().content.is_empty());
    }

    #[test]
    fn a_forbidden_file_is_not_an_absent_one() {
        if nix::unistd::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let closed = directory.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
        let denied = read(&closed.join("none")).unwrap_err();
        assert!(matches!(&denied, Why::Denied { what } if what.starts_with("read /")), "{denied}");
    }

    #[test]
    fn stays_below_another_root() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::create_dir_all(root.join("run")).unwrap();
        std::fs::write(root.join("run/resolv.conf"), "nameserver 192.0.2.1\n").unwrap();
        symlink("/run/resolv.conf", root.join("etc/resolv.conf")).unwrap();
        let read = read_in(root, Path::new("/etc/resolv.conf")).unwrap().unwrap();
        assert_eq!(read.content, b"nameserver 192.0.2.1\n");
        assert!(read.written.is_some());
        assert_eq!(hostname(root), "unknown");
        std::fs::write(root.join("etc/hostname"), "# a comment\nm1\n").unwrap();
        assert_eq!(hostname(root), "m1");
    }

    #[test]
    fn keys_are_removed_from_a_certificate_file() {
        let pem = "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n\
                   -----BEGIN EC PRIVATE KEY-----\nSECRET\n-----END EC PRIVATE KEY-----\n\
                   -----BEGIN CERTIFICATE-----\nB\n-----END CERTIFICATE-----\n";
        let kept = String::from_utf8(without_keys(pem.into())).unwrap();
        assert!(!kept.contains("KEY") && !kept.contains("SECRET"), "{kept}");
        assert_eq!(kept.matches("BEGIN CERTIFICATE").count(), 2);
        assert_eq!(without_keys(b"# chain\n".to_vec()), b"# chain\n");
    }

    #[test]
    fn a_path_is_on_the_mount_with_the_longest_mount_point() {
        let mounts = "22 1 0:20 / / rw - overlay overlay rw,lowerdir=/a\n\
                      23 22 8:1 /var/lib/docker /var/lib/docker ro,relatime master:1 - ext4 /dev/sda1 rw\n\
                      24 22 8:1 /var/lib/docker/containers/c1/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n\
                      25 23 8:2 / /var/lib/docker/swarm rw - xfs /dev/sdb1 ro\n";
        let of = |path: &str| Mount::of(mounts, Path::new(path)).unwrap();
        assert_eq!((of("/etc/os-release").point, of("/etc/os-release").kind), ("/", "overlay"));
        assert!(of("/etc/hosts").of_container() && !of("/var/lib/docker/x").of_container());
        assert!(!of("/var/lib/docker/x").read_only && of("/var/lib/docker/swarm/x").read_only);
        assert_eq!(of("/var/lib/dockerd").point, "/");
        assert_eq!(Mount::of("no mount", Path::new("/")), None);
    }

    #[test]
    fn a_kernel_without_its_module_directory_was_replaced() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("proc/sys/kernel/osrelease", "6.1.0-9-amd64\n");
        assert_eq!(kernel_replaced(root.path()), None);
        put("proc/modules", "");
        assert_eq!(kernel_replaced(root.path()), None);
        put("lib/modules/6.1.0-10-amd64/modules.dep", "");
        assert_eq!(kernel_replaced(root.path()), Some(true));
        put("lib/modules/6.1.0-9-amd64/modules.dep", "");
        assert_eq!(kernel_replaced(root.path()), Some(false));
    }

    #[test]
    fn reads_os_release() {
        let text =
            "NAME=x\nID=rocky\nID_LIKE=\"rhel centos fedora\"\nPRETTY_NAME='Rocky 9'\nBUILD_ID=\"a\\$b\"\n";
        let os = operating_system(text, Path::new("/"));
        assert_eq!((os.id.as_str(), os.pretty_name.as_str()), ("rocky", "Rocky 9"));
        assert_eq!(os.id_like, ["rhel", "centos", "fedora"]);
        assert!(!os.kernel.is_empty() && !os.hostname.is_empty());
        assert_eq!(unquoted("\"a\\$b\""), "a$b");
        assert_eq!(operating_system("", Path::new("/nonexistent")).kernel, "");
    }
}
