//! Into one container and out again. The thread that does this has to end afterwards: it stays in there.

use super::{dns, knock};
use crate::collect::{netlink, sockets, why};
use facts::Why;
use facts::container::{Container, Netns};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

/// The most that is read of one file.
const MOST: u64 = 1 << 20;

/// What was seen of one container. A file is `None` where the container has none.
pub(super) struct Inside {
    pub(super) netns: Result<Netns, Why>,
    pub(super) hosts: Result<Option<Vec<u8>>, Why>,
    pub(super) resolv_conf: Result<Option<Vec<u8>>, Why>,
}

/// Looks into a container. This thread stays in the container's network namespace.
pub(super) fn look(container: &Container, knocks: bool) -> Inside {
    let process = match Process::open(container) {
        Ok(process) => process,
        Err(why) => {
            return Inside { netns: Err(why.clone()), hosts: Err(why.clone()), resolv_conf: Err(why) };
        }
    };
    let hosts = process.file("etc/hosts");
    let resolv_conf = process.file("etc/resolv.conf");
    // A container without networks of its own has the node's name servers, and they know no names of the swarm.
    let served = match &resolv_conf {
        Ok(Some(text)) => String::from_utf8_lossy(text).contains(&dns::SERVER.to_string()),
        _ => true,
    };
    let mut names = if served { names(container) } else { Vec::new() };
    if let (true, Ok(Some(text))) = (served, &hosts) {
        names.extend(pinned(&String::from_utf8_lossy(text), &names));
    }
    let netns = process.enter().and_then(|()| {
        let seen = || -> io::Result<Netns> {
            let interfaces = netlink::links()?;
            let listeners = sockets::listeners_of(container.pid)?;
            let mut answers = if names.is_empty() { Vec::new() } else { dns::ask(&names)? };
            // On a busy node an answer may be late; nobody at all is late twice.
            if !names.is_empty() && answers.iter().all(|answer| answer.result.is_err()) {
                answers = dns::ask(&names)?;
            }
            let servers = if served { dns::servers(&container.dns)? } else { Vec::new() };
            let mut seen = Netns { interfaces, listeners, answers, connects: Vec::new(), servers };
            if knocks {
                seen.connects = knock::knock(knock::doors(&seen, &container.service_name))?;
            }
            Ok(seen)
        };
        seen().map_err(|error| why(&error, "look around in the network namespace"))
    });
    Inside { netns, hosts, resolv_conf }
}

/// The names that a task should be able to resolve, each once.
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

/// The most names of a hosts file that are asked for.
const MOST_PINNED: usize = 4;

/// Names that somebody put into the hosts file and that may be services', with their tasks.
fn pinned(hosts: &str, known: &[String]) -> Vec<String> {
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    let entries = lines.flat_map(|line| line.split_whitespace().skip(1));
    let mut names: Vec<&str> = Vec::new();
    for name in entries {
        // The engine passes on a name with a dot, and those of the machine itself are in every such file.
        let common = name.contains('.') || name.starts_with("ip6-") || name == "localhost";
        if !common && known.iter().all(|it| it != name) && !names.contains(&name) && names.len() < MOST_PINNED
        {
            names.push(name);
        }
    }
    names.into_iter().flat_map(|name| [name.to_owned(), format!("tasks.{name}")]).collect()
}

/// A process by its directory in `/proc`. Held open, that directory goes on to mean this process: when it
/// ends, reading fails, and never tells of another one that got the same pid.
pub(in crate::collect) struct Process {
    pid: u32,
    directory: OwnedFd,
}

impl Process {
    /// The first process of a container, if it still is that.
    pub(in crate::collect) fn open(container: &Container) -> Result<Self, Why> {
        let pid = container.pid;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = open(format!("/proc/{pid}").as_str(), flags, Mode::empty())
            .map_err(|errno| why(&errno.into(), &format!("open /proc/{pid}")))?;
        let process = Self { pid, directory };
        // Without control groups of their own, containers still have their hosts file mounted from a
        // directory with their id.
        for source in ["cgroup", "mountinfo"] {
            let text = process.read(source, OFlag::O_RDONLY)?;
            if String::from_utf8_lossy(&text).contains(container.id.as_str()) {
                return Ok(process);
            }
        }
        Err(Why::Unreachable { what: format!("process {pid} is not, or no longer, that of the container") })
    }

    fn open_at(&self, path: &str, flags: OFlag) -> Result<OwnedFd, Why> {
        openat(&self.directory, path, flags | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(|errno| why(&errno.into(), &format!("open /proc/{}/{path}", self.pid)))
    }

    fn read(&self, path: &str, flags: OFlag) -> Result<Vec<u8>, Why> {
        let mut content = Vec::new();
        File::from(self.open_at(path, flags)?)
            .take(MOST)
            .read_to_end(&mut content)
            .map_err(|error| why(&error, &format!("read /proc/{}/{path}", self.pid)))?;
        Ok(content)
    }

    /// Takes this thread into the process's network namespace.
    pub(in crate::collect) fn enter(&self) -> Result<(), Why> {
        let namespace = self.open_at("ns/net", OFlag::O_RDONLY)?;
        setns(namespace, CloneFlags::CLONE_NEWNET).map_err(|errno| {
            why(&errno.into(), &format!("enter the network namespace of process {}", self.pid))
        })
    }

    /// The files that are mounted into the container one by one, and look like settings.
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

    /// A file of the container. Its links are followed as the container would, never to files of the node.
    pub(in crate::collect) fn file(&self, path: &str) -> Result<Option<Vec<u8>>, Why> {
        let doing = format!("read /{path} below /proc/{}/root", self.pid);
        let root = self.open_at("root", OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        // What stands there may be anything: without O_NONBLOCK a FIFO would hold us for ever.
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let file = match openat2(root, path, how) {
            Ok(file) => File::from(file),
            Err(nix::Error::ENOENT | nix::Error::ENOTDIR) => return Ok(None),
            // Kernels before 5.6 have no way to open a file as the container would; the engine has.
            Err(nix::Error::ENOSYS) => return Err(Why::Denied { what: doing }),
            Err(errno) => return Err(why(&errno.into(), &doing)),
        };
        let metadata = file.metadata().map_err(|error| why(&error, &doing))?;
        if !metadata.is_file() || metadata.len() > MOST {
            let what = format!("/{path} is no file of at most {MOST} bytes");
            return Err(Why::Malformed { line: 0, what });
        }
        let mut content = Vec::new();
        file.take(MOST).read_to_end(&mut content).map_err(|error| why(&error, &doing))?;
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
    fn a_fifo_or_a_directory_in_place_of_a_file_holds_nobody_up() {
        let proc = tempfile::tempdir().unwrap();
        let etc = proc.path().join("root/etc");
        fs::create_dir_all(etc.join("hosts")).unwrap();
        nix::unistd::mkfifo(&etc.join("resolv.conf"), Mode::S_IRWXU).unwrap();
        let process = process(proc.path());
        assert!(matches!(process.file("etc/hosts"), Err(Why::Malformed { .. })));
        assert!(matches!(process.file("etc/resolv.conf"), Err(Why::Malformed { .. })));
    }

    #[test]
    fn a_process_that_is_not_the_containers_is_left_alone() {
        let strange = look(&container(&"0".repeat(64), std::process::id()), true);
        assert!(matches!(strange.netns, Err(Why::Unreachable { .. })), "{:?}", strange.netns);
        assert!(strange.hosts.is_err());
        let gone = look(&container(&"0".repeat(64), 4_194_305), true);
        assert!(gone.netns.is_err());
    }

    #[test]
    fn only_names_that_may_be_services_are_asked_for() {
        let hosts = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n10.9.9.9 db db.example.com # old\n10.0.1.3 own\n";
        assert_eq!(pinned(hosts, &["own".into()]), ["db", "tasks.db"]);
    }

    #[test]
    fn each_name_is_asked_once() {
        assert_eq!(names(&container("", 0)), ["web", "tasks.web"]);
    }
}
