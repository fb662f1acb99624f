//! The engine as the operating system reports it: its process, its socket, its program and its service.

use super::namespaces::Scope;
use super::{Artifact, Place, Session, files};
use facts::engine::{EngineProcess, EngineService, Process, ServiceManager, SocketFile};
use facts::{Need, Timestamp};
use nix::unistd::{AccessFlags, eaccess};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where packages install dockerd.
const PROGRAMS: [&str; 5] = [
    "/usr/bin/dockerd",
    "/usr/sbin/dockerd",
    "/usr/local/bin/dockerd",
    "/usr/local/sbin/dockerd",
    "/snap/bin/dockerd",
];

/// The running dockerd, without its API.
pub(super) async fn engine_process(session: &Session) -> Vec<Artifact> {
    let endpoint = session.options.endpoint.clone();
    let place = Place::new(Need::EngineProcess, "host/engine-process.json", format!("/proc and {endpoint}"));
    let look = move || {
        let process = dockerd(Path::new("/proc"), Path::new("/run/docker.pid"));
        Ok(EngineProcess {
            socket: endpoint.local_socket().and_then(socket),
            endpoint: endpoint.to_string(),
            containerd: Some(containerds(Path::new("/proc"), process.as_ref().map(|process| process.pid))),
            service: Some(service(Path::new("/"), process.as_ref().map(|process| process.pid))),
            process,
            program: PROGRAMS.iter().find(|path| Path::new(path).exists()).map(|path| (*path).to_owned()),
        })
    };
    session.read_in(Scope::Processes, place, look).await
}

/// The dockerd that runs on this host now.
pub(super) fn running() -> Option<Process> {
    let process = dockerd(Path::new("/proc"), Path::new("/run/docker.pid"));
    process.filter(|process| !matches!(process.state, 'Z' | 'X'))
}

fn socket(path: &Path) -> Option<SocketFile> {
    let metadata = path.metadata().ok().filter(|metadata| metadata.file_type().is_socket())?;
    Some(SocketFile {
        path: path.display().to_string(),
        mode: metadata.permissions().mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        writable: eaccess(path, AccessFlags::W_OK).is_ok(),
    })
}

/// The dockerd that its pid file names, otherwise the one with the lowest pid in this pid namespace: an engine inside a
/// container has a separate one. A zombie is the last choice.
fn dockerd(proc: &Path, pid_file: &Path) -> Option<Process> {
    let named = files::read(pid_file).ok().flatten();
    let named = named.and_then(|read| String::from_utf8_lossy(&read.content).trim().parse().ok());
    let named = named.and_then(|pid| process(proc, pid)).filter(|process| process.state != 'Z');
    if named.is_some() {
        return named;
    }
    let pids =
        std::fs::read_dir(proc).ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| !elsewhere(proc, *pid))
        .filter_map(|pid| process(proc, pid))
        .min_by_key(|process| (process.state == 'Z', process.pid))
}

/// The containerd that the dockerd with this pid started, otherwise all that run in this pid namespace.
fn containerds(proc: &Path, dockerd: Option<u32>) -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir(proc) else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<(Option<u32>, Process)> = pids
        .filter(|pid| !elsewhere(proc, *pid))
        .filter_map(|pid| {
            let comm = std::fs::read_to_string(proc.join(pid.to_string()).join("comm")).ok()?;
            // The name until 18.06, truncated by the kernel.
            if !matches!(comm.trim_end(), "containerd" | "docker-containe") {
                return None;
            }
            let (process, stat) = described(proc, pid)?;
            let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok();
            (!matches!(process.state, 'Z' | 'X')).then_some((parent, process))
        })
        .collect();
    if dockerd.is_some() && found.iter().any(|(parent, _)| *parent == dockerd) {
        found.retain(|(parent, _)| *parent == dockerd);
    }
    found.into_iter().map(|(_, process)| process).collect()
}

/// Units of the engine in the order in which they are looked for, and of the socket that they need.
const UNITS: [&str; 3] = ["docker.service", "snap.docker.dockerd.service", "docker-ce.service"];
/// Where systemd reads units; the first directory takes precedence.
const UNIT_DIRECTORIES: [&str; 4] =
    ["etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];

/// The service that starts the engine: the one of its control group, otherwise the one that is installed.
fn service(root: &Path, dockerd: Option<u32>) -> EngineService {
    let of =
        |manager, name: &str| EngineService { manager, name: name.to_owned(), ..EngineService::default() };
    if root.join("run/systemd/system").is_dir() {
        let installed = |unit: &str| unit_file(root, unit).is_some();
        let unit = dockerd.and_then(|pid| control_group_unit(root, pid));
        let unit = unit.or_else(|| UNITS.iter().find(|unit| installed(unit)).map(|unit| (*unit).to_owned()));
        let unit = unit.unwrap_or_else(|| "docker.service".to_owned());
        if let Some(app) = unit.strip_prefix("snap.").and_then(|unit| unit.strip_suffix(".service")) {
            return of(ServiceManager::Snap, app);
        }
        let masked = [unit.as_str(), "docker.socket", "containerd.service"]
            .into_iter()
            .filter(|unit| is_masked(root, unit))
            .map(str::to_owned);
        return EngineService {
            masked: masked.collect(),
            drop_ins: drop_ins(root, &unit),
            ..of(ServiceManager::Systemd, &unit)
        };
    }
    if root.join("run/openrc").is_dir() {
        return of(ServiceManager::Openrc, "docker");
    }
    if root.join("etc/init.d/docker").is_file() {
        return of(ServiceManager::InitScript, "docker");
    }
    of(ServiceManager::Unknown, "")
}

/// The systemd unit in whose control group a process is.
fn control_group_unit(root: &Path, pid: u32) -> Option<String> {
    let groups = std::fs::read_to_string(root.join("proc").join(pid.to_string()).join("cgroup")).ok()?;
    groups.lines().find_map(|line| {
        let name = line.rsplit('/').next()?;
        name.ends_with(".service").then(|| name.to_owned())
    })
}

fn unit_file(root: &Path, unit: &str) -> Option<PathBuf> {
    let paths = UNIT_DIRECTORIES.iter().map(|directory| root.join(directory).join(unit));
    paths.into_iter().find(|path| path.symlink_metadata().is_ok())
}

/// A masked unit is a symbolic link to `/dev/null`, or an empty file.
fn is_masked(root: &Path, unit: &str) -> bool {
    unit_file(root, unit).is_some_and(|path| match path.read_link() {
        Ok(target) => target == Path::new("/dev/null"),
        Err(_) => path.metadata().is_ok_and(|metadata| metadata.len() == 0),
    })
}

/// The drop-in files of a unit, by their paths on the host.
fn drop_ins(root: &Path, unit: &str) -> Vec<String> {
    let directories = UNIT_DIRECTORIES.iter().map(|directory| format!("/{directory}/{unit}.d"));
    let mut found: Vec<String> = directories
        .filter_map(|directory| {
            let entries = std::fs::read_dir(root.join(directory.trim_start_matches('/'))).ok()?;
            let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            let confs = names.filter(|name| name.ends_with(".conf"));
            Some(confs.map(|name| format!("{directory}/{name}")).collect::<Vec<_>>())
        })
        .flatten()
        .collect();
    found.sort();
    found
}

/// Whether a process is in another pid namespace than this one. Without the right to compare the namespaces, a process
/// that has a pid in a nested namespace is in that one (`NSpid` of its status, which every user may read).
fn elsewhere(proc: &Path, pid: u32) -> bool {
    let namespace = |of: PathBuf| std::fs::read_link(proc.join(of).join("ns/pid")).ok();
    match namespace(pid.to_string().into()) {
        Some(theirs) => Some(theirs) != namespace("self".into()),
        None => {
            let status = std::fs::read_to_string(proc.join(pid.to_string()).join("status"));
            status.is_ok_and(|status| {
                let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
                pids.is_some_and(|pids| pids.split_whitespace().count() > 1)
            })
        }
    }
}

/// The process with this pid, if it is a dockerd.
fn process(proc: &Path, pid: u32) -> Option<Process> {
    let directory = proc.join(pid.to_string());
    let comm = std::fs::read_to_string(directory.join("comm")).ok()?;
    if !comm.starts_with("docker") {
        return None;
    }
    let (process, _) = described(proc, pid)?;
    is_dockerd(comm.trim_end(), &process.args).then_some(process)
}

/// A process with the text of its stat file.
fn described(proc: &Path, pid: u32) -> Option<(Process, String)> {
    let directory = proc.join(pid.to_string());
    let cmdline = std::fs::read(directory.join("cmdline")).unwrap_or_default();
    let mut args: Vec<_> =
        cmdline.split(|byte| *byte == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
    // Each argument ends with a zero byte, so that splitting leaves an empty one at the end.
    args.pop();
    let stat = std::fs::read(directory.join("stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat).into_owned();
    let limits = std::fs::read_to_string(directory.join("limits")).unwrap_or_default();
    let started = started(proc, &stat);
    let open_files = std::fs::read_dir(directory.join("fd")).ok().map(|entries| entries.count() as u64);
    let process = Process {
        pid,
        args,
        state: state(&stat)?,
        started,
        max_open_files: open_file_limit(&limits),
        open_files,
    };
    Some((process, stat))
}

/// The soft limit of `Max open files` in `/proc/PID/limits`; `None` for `unlimited`.
fn open_file_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The names of the engine: Docker's, those of distributions, and the old command that was client and daemon.
fn is_dockerd(comm: &str, args: &[String]) -> bool {
    match comm {
        "dockerd" | "dockerd-current" | "dockerd-ce" | "dockerd-ee" => true,
        "docker" | "docker-current" => args.iter().skip(1).any(|arg| arg == "daemon"),
        _ => false,
    }
}

/// The state in `/proc/PID/stat`: it follows the name, which is in parentheses and may contain some.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// When a process started: `starttime`, field 22 of its stat, counts clock ticks since boot.
fn started(proc: &Path, stat: &str) -> Option<Timestamp> {
    let ticks: i64 = stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()?;
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??;
    let of_machine = std::fs::read_to_string(proc.join("stat")).ok()?;
    let boot: i64 = of_machine.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Timestamp::from_second(boot.checked_add(ticks.checked_div(per_second)?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    fn put(proc: &Path, pid: u32, comm: &str, cmdline: &str, state: char, namespace: &str) {
        let directory = proc.join(pid.to_string());
        std::fs::create_dir_all(directory.join("ns")).unwrap();
        std::fs::write(directory.join("comm"), format!("{comm}\n")).unwrap();
        std::fs::write(directory.join("cmdline"), cmdline).unwrap();
        std::fs::write(directory.join("stat"), format!("{pid} ({comm}) {state} 1 1 1 0")).unwrap();
        symlink(namespace, directory.join("ns/pid")).unwrap();
    }

    fn proc() -> tempfile::TempDir {
        let proc = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(proc.path().join("self/ns")).unwrap();
        symlink("pid:[1]", proc.path().join("self/ns/pid")).unwrap();
        put(proc.path(), 50, "dockerd", "/usr/bin/dockerd\0-H\0fd://\0", 'S', "pid:[2]");
        put(proc.path(), 70, "docker", "docker\0ps\0", 'S', "pid:[1]");
        put(proc.path(), 80, "dockerd-rootles", "sh\0", 'S', "pid:[1]");
        put(proc.path(), 90, "dockerd", "", 'Z', "pid:[1]");
        put(proc.path(), 900, "dockerd", "dockerd\0--debug\0", 'T', "pid:[1]");
        put(proc.path(), 1000, "dockerd", "dockerd\0\0", 'S', "pid:[1]");
        proc
    }

    #[test]
    fn finds_the_engine_of_this_host() {
        let proc = proc();
        let found = dockerd(proc.path(), Path::new("/nonexistent")).unwrap();
        assert_eq!((found.pid, found.state), (900, 'T'));
        assert_eq!(found.args, ["dockerd", "--debug"]);
    }

    #[test]
    fn an_unreadable_process_in_a_nested_namespace_is_not_the_engine_of_this_host() {
        let proc = tempfile::tempdir().unwrap();
        put(proc.path(), 300, "dockerd", "dockerd\0", 'S', "pid:[2]");
        put(proc.path(), 400, "dockerd", "dockerd\0--debug\0", 'S', "pid:[1]");
        for (pid, pids) in [(300, "300\t18"), (400, "400")] {
            let directory = proc.path().join(pid.to_string());
            std::fs::remove_file(directory.join("ns/pid")).unwrap();
            std::fs::write(directory.join("status"), format!("Name:\tdockerd\nNSpid:\t{pids}\n")).unwrap();
        }
        assert_eq!(dockerd(proc.path(), Path::new("/nonexistent")).unwrap().pid, 400);
    }

    #[test]
    fn uses_a_pid_file_only_for_a_dockerd() {
        let proc = proc();
        let pid_file = proc.path().join("docker.pid");
        std::fs::write(&pid_file, "1000").unwrap();
        let found = dockerd(proc.path(), &pid_file).unwrap();
        assert_eq!(found.args, ["dockerd", ""]);
        for other in ["70\n", "90\n", "5\n", "-\n"] {
            std::fs::write(&pid_file, other).unwrap();
            assert_eq!(dockerd(proc.path(), &pid_file).unwrap().pid, 900);
        }
    }

    #[test]
    fn prefers_the_containerd_that_the_engine_started() {
        let proc = proc();
        put(proc.path(), 910, "containerd", "containerd\0", 'T', "pid:[1]");
        put(proc.path(), 40, "containerd", "/usr/bin/containerd\0", 'S', "pid:[1]");
        put(proc.path(), 41, "containerd-shim", "containerd-shim\0", 'S', "pid:[1]");
        std::fs::write(proc.path().join("910/stat"), "910 (containerd) T 900 1 1 0").unwrap();
        let pids = |dockerd| {
            let mut pids: Vec<_> = containerds(proc.path(), dockerd).iter().map(|one| one.pid).collect();
            pids.sort_unstable();
            pids
        };
        assert_eq!(pids(Some(900)), [910]);
        assert_eq!(pids(Some(1000)), [40, 910]);
    }

    #[test]
    fn reads_the_limit_of_open_files() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n";
        assert_eq!(open_file_limit(limits), Some(1024));
        assert_eq!(open_file_limit("Max open files  unlimited  unlimited  files"), None);
    }

    #[test]
    fn recognises_an_engine_by_its_names() {
        let args = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(is_dockerd("docker", &args("docker daemon --debug")));
        assert!(is_dockerd("dockerd-current", &args("dockerd-current")));
        assert!(!is_dockerd("docker", &args("docker ps")));
        assert!(!is_dockerd("docker-proxy", &args("docker-proxy")));
    }

    #[test]
    fn finds_the_service_of_the_engine() {
        let root = tempfile::tempdir().unwrap();
        let path = |path: &str| root.path().join(path);
        let found = |pid| service(root.path(), pid);
        assert_eq!(found(None).manager, ServiceManager::Unknown);
        std::fs::create_dir_all(path("etc/init.d")).unwrap();
        std::fs::write(path("etc/init.d/docker"), "").unwrap();
        assert_eq!(found(None).command("start"), "/etc/init.d/docker start");
        std::fs::create_dir_all(path("run/systemd/system")).unwrap();
        std::fs::create_dir_all(path("etc/systemd/system/docker.service.d")).unwrap();
        std::fs::write(path("etc/systemd/system/docker.service.d/proxy.conf"), "").unwrap();
        symlink("/dev/null", path("etc/systemd/system/docker.socket")).unwrap();
        let systemd = found(None);
        assert_eq!((systemd.manager, systemd.name.as_str()), (ServiceManager::Systemd, "docker.service"));
        assert_eq!(systemd.masked, ["docker.socket"]);
        assert_eq!(systemd.drop_ins, ["/etc/systemd/system/docker.service.d/proxy.conf"]);
        std::fs::create_dir_all(path("proc/7")).unwrap();
        std::fs::write(path("proc/7/cgroup"), "0::/system.slice/snap.docker.dockerd.service\n").unwrap();
        assert_eq!(found(Some(7)).command("restart"), "snap restart docker.dockerd");
    }

    #[test]
    fn reads_a_state_after_any_name() {
        assert_eq!(state("7 (dockerd) S 1 7 7"), Some('S'));
        assert_eq!(state("7 (a) R (b) D 1 7 7"), Some('D'));
        assert_eq!(state("7"), None);
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert!(matches!(state(&own), Some('R' | 'S')));
    }

    #[test]
    fn describes_a_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("docker.sock");
        assert_eq!(socket(&path), None);
        let _listener = UnixListener::bind(&path).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o660)).unwrap();
        let seen = socket(&path).unwrap();
        assert_eq!((seen.mode, seen.writable), (0o660, true));
        std::fs::write(directory.path().join("file"), "").unwrap();
        assert_eq!(socket(&directory.path().join("file")), None);
    }
}
