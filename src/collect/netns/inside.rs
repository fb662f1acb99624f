//! Examines one container from inside. The thread that does this must end afterwards: it stays in the namespace.

use super::{dns, vip_probe};
use crate::collect::{netlink, sockets, why};
use facts::Why;
use facts::container::{Container, Netns};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

/// The maximum size of a file in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The state inside one container. A file is `None` if the container has none.
pub(super) struct Inside {
    pub(super) netns: Result<Netns, Why>,
    pub(super) hosts: Result<Option<Vec<u8>>, Why>,
    pub(super) resolv_conf: Result<Option<Vec<u8>>, Why>,
}

/// Examines a container. This thread stays in the network namespace of the container.
pub(super) fn examine(container: &Container, probe_vips: bool) -> Inside {
    let process = match Process::open(container) {
        Ok(process) => process,
        Err(why) => {
            return Inside { netns: Err(why.clone()), hosts: Err(why.clone()), resolv_conf: Err(why) };
        }
    };
    let hosts = process.file("etc/hosts");
    let resolv_conf = process.file("etc/resolv.conf");
    // A container with the host's network uses the DNS servers of the node, which do not know service names.
    let has_embedded_dns = match &resolv_conf {
        Ok(Some(text)) => String::from_utf8_lossy(text).contains(&dns::EMBEDDED.to_string()),
        _ => true,
    };
    let mut names = if has_embedded_dns { names(container) } else { Vec::new() };
    if let (true, Ok(Some(text))) = (has_embedded_dns, &hosts) {
        names.extend(names_in_hosts(&String::from_utf8_lossy(text), &names));
    }
    let netns = process.enter().and_then(|()| {
        let collect = || -> io::Result<Netns> {
            let interfaces = netlink::links()?;
            let listeners = sockets::listeners_of(container.pid)?;
            let mut answers = if names.is_empty() { Vec::new() } else { dns::ask(&names)? };
            // One timeout is common on a busy node; two in a row are not.
            if !names.is_empty() && answers.iter().all(|answer| answer.result.is_err()) {
                answers = dns::ask(&names)?;
            }
            let servers = if has_embedded_dns { dns::probe_servers(&container.dns)? } else { Vec::new() };
            let resolver = if has_embedded_dns { Some(dns::connect_embedded()?) } else { None };
            let mut netns = Netns { interfaces, listeners, answers, resolver, connects: Vec::new(), servers };
            if probe_vips {
                netns.connects = vip_probe::connect_all(vip_probe::targets(&netns, &container.service_name))?;
            }
            Ok(netns)
        };
        let netns = collect().map_err(|error| why(&error, "examine the network namespace"))?;
        // The engine takes the DNS server down with the container, and this thread outlives both in the namespace.
        if process.has_ended() {
            return Err(Why::NotApplicable { reason: "the container stopped while it was examined".into() });
        }
        Ok(netns)
    });
    Inside { netns, hosts, resolv_conf }
}

/// The names of the service and of the task, without duplicates.
fn names(container: &Container) -> Vec<String> {
    let service = &container.service_name;
    let mut names = Vec::new();
    for name in [service.clone(), format!("tasks.{service}"), container.hostname.clone()] {
        let known = !service.is_empty() || name == container.hostname;
        if known && !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The maximum number of names from a hosts file.
const MAX_HOSTS_NAMES: usize = 4;

/// Names in the hosts file that may be services, each with its `tasks.NAME`.
fn names_in_hosts(hosts: &str, known: &[String]) -> Vec<String> {
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    let entries = lines.flat_map(|line| line.split_whitespace().skip(1));
    let mut names: Vec<&str> = Vec::new();
    for name in entries {
        // A name with a dot is forwarded, and the names of the node itself are in every hosts file.
        let common = name.contains('.') || name.starts_with("ip6-") || name == "localhost";
        if !common
            && known.iter().all(|it| it != name)
            && !names.contains(&name)
            && names.len() < MAX_HOSTS_NAMES
        {
            names.push(name);
        }
    }
    names.into_iter().flat_map(|name| [name.to_owned(), format!("tasks.{name}")]).collect()
}

/// A process by its directory in `/proc`. The open directory stays bound to this process: after its end reading
/// fails, even if another process gets the same pid.
pub(in crate::collect) struct Process {
    pid: u32,
    directory: OwnedFd,
}

impl Process {
    /// The first process of a container, if the pid still belongs to it.
    pub(in crate::collect) fn open(container: &Container) -> Result<Self, Why> {
        let pid = container.pid;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = open(format!("/proc/{pid}").as_str(), flags, Mode::empty())
            .map_err(|errno| why(&errno.into(), &format!("open /proc/{pid}")))?;
        let process = Self { pid, directory };
        // A container without a separate cgroup still has its hosts file mounted from a directory with its id.
        for file in ["cgroup", "mountinfo"] {
            let text = process.read(file, OFlag::O_RDONLY)?;
            if String::from_utf8_lossy(&text).contains(container.id.as_str()) {
                return Ok(process);
            }
        }
        Err(Why::Unreachable { what: format!("process {pid} does not belong to the container (any more)") })
    }

    fn open_at(&self, path: &str, flags: OFlag) -> Result<OwnedFd, Why> {
        openat(&self.directory, path, flags | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(|errno| why(&errno.into(), &format!("open /proc/{}/{path}", self.pid)))
    }

    fn read(&self, path: &str, flags: OFlag) -> Result<Vec<u8>, Why> {
        let mut content = Vec::new();
        File::from(self.open_at(path, flags)?)
            .take(MAX_BYTES)
            .read_to_end(&mut content)
            .map_err(|error| why(&error, &format!("read /proc/{}/{path}", self.pid)))?;
        Ok(content)
    }

    /// Moves this thread into the network namespace of the process.
    pub(in crate::collect) fn enter(&self) -> Result<(), Why> {
        let namespace = self.open_at("ns/net", OFlag::O_RDONLY)?;
        setns(namespace, CloneFlags::CLONE_NEWNET).map_err(|errno| {
            why(&errno.into(), &format!("enter the network namespace of process {}", self.pid))
        })
    }

    /// Whether the process is gone or a zombie, which has no namespaces.
    fn has_ended(&self) -> bool {
        self.open_at("ns/net", OFlag::O_RDONLY).is_err()
    }

    /// Files mounted into the container that have the extension of a configuration file.
    pub(in crate::collect) fn mounted_settings(&self) -> Vec<String> {
        const ENDS: &[&str] =
            &["properties", "conf", "cfg", "cnf", "ini", "yml", "yaml", "json", "xml", "hcl"];
        let table = self.read("mountinfo", OFlag::O_RDONLY).unwrap_or_default();
        let table = String::from_utf8_lossy(&table).into_owned();
        let points = table.lines().filter_map(|line| line.split(' ').nth(4));
        let is_settings = |path: &&str| {
            path.rsplit_once('.').is_some_and(|(_, end)| ENDS.contains(&end)) && *path != "/etc/resolv.conf"
        };
        points.filter(is_settings).map(str::to_owned).collect()
    }

    /// A file of the container. Symbolic links are resolved inside the container, never to files of the node.
    pub(in crate::collect) fn file(&self, path: &str) -> Result<Option<Vec<u8>>, Why> {
        let doing = format!("read /{path} below /proc/{}/root", self.pid);
        let root = self.open_at("root", OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        // The path may be a FIFO: without O_NONBLOCK opening it would block permanently.
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let file = match openat2(root, path, how) {
            Ok(file) => File::from(file),
            Err(nix::Error::ENOENT | nix::Error::ENOTDIR) => return Ok(None),
            // Kernels before 5.6 have no openat2; the engine can read the file instead.
            Err(nix::Error::ENOSYS) => return Err(Why::Denied { what: doing }),
            Err(errno) => return Err(why(&errno.into(), &doing)),
        };
        let metadata = file.metadata().map_err(|error| why(&error, &doing))?;
        if !metadata.is_file() || metadata.len() > MAX_BYTES {
            let what = format!("/{path} is not a regular file of at most {MAX_BYTES} bytes");
            return Err(Why::Malformed { line: 0, what });
        }
        let mut content = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut content).map_err(|error| why(&error, &doing))?;
        Ok(Some(content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use facts::{Fact, Gap, Need, Source};
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn container(id: &str, pid: u32) -> Container {
        let source = Source { need: Need::TaskNetns, artifact: String::new(), origin: String::new() };
        let gap = Gap { source, why: Why::NotAsked { reason: String::new() } };
        Container {
            id: id.into(),
            name: String::new(),
            task: "".into(),
            service: "".into(),
            service_name: "web".into(),
            image: String::new(),
            hostname: "web".into(),
            pid,
            created: None,
            attachments: Vec::new(),
            dns: Vec::new(),
            netns: Fact::Unseen(gap.clone()),
            hosts: Fact::Unseen(gap.clone()),
            resolv_conf: Fact::Unseen(gap),
        }
    }

    fn process(directory: &Path) -> Process {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        Process { pid: 0, directory: open(directory, flags, Mode::empty()).unwrap() }
    }

    #[test]
    fn links_of_a_container_do_not_lead_out_of_it() {
        let proc = tempfile::tempdir().unwrap();
        let root = proc.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        let process = process(proc.path());
        assert_eq!(process.file("etc/hosts"), Ok(None));
        for outside in ["/etc/hostname", "../../../../../../../etc/hostname", "/proc/self/root/etc/hostname"]
        {
            drop(fs::remove_file(root.join("etc/hosts")));
            symlink(outside, root.join("etc/hosts")).unwrap();
            assert_eq!(process.file("etc/hosts"), Ok(None), "{outside}");
        }
        fs::write(root.join("etc/own"), "127.0.0.1 localhost\n").unwrap();
        fs::remove_file(root.join("etc/hosts")).unwrap();
        symlink("/etc/own", root.join("etc/hosts")).unwrap();
        assert_eq!(process.file("etc/hosts"), Ok(Some(b"127.0.0.1 localhost\n".to_vec())));
    }

    #[test]
    fn a_fifo_or_a_directory_instead_of_a_file_does_not_block() {
        let proc = tempfile::tempdir().unwrap();
        let etc = proc.path().join("root/etc");
        fs::create_dir_all(etc.join("hosts")).unwrap();
        nix::unistd::mkfifo(&etc.join("resolv.conf"), Mode::S_IRWXU).unwrap();
        let process = process(proc.path());
        assert!(matches!(process.file("etc/hosts"), Err(Why::Malformed { .. })));
        assert!(matches!(process.file("etc/resolv.conf"), Err(Why::Malformed { .. })));
    }

    #[test]
    fn a_process_of_another_container_is_not_examined() {
        let other = examine(&container(&"0".repeat(64), std::process::id()), true);
        assert!(matches!(other.netns, Err(Why::Unreachable { .. })), "{:?}", other.netns);
        assert!(other.hosts.is_err());
        let gone = examine(&container(&"0".repeat(64), 4_194_305), true);
        assert!(gone.netns.is_err());
    }

    #[test]
    fn only_names_that_may_be_services_are_asked_for() {
        let hosts = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n10.9.9.9 db db.example.com # old\n10.0.1.3 own\n";
        assert_eq!(names_in_hosts(hosts, &["own".into()]), ["db", "tasks.db"]);
    }

    #[test]
    fn each_name_is_asked_once() {
        assert_eq!(names(&container("", 0)), ["web", "tasks.web"]);
    }
}
