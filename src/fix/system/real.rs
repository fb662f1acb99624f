//! This host and its engine.

use super::{Answer, Identity, NeighbourStatus, ServiceManager, System, copy, file, program};
use crate::collect::{self, Engine, Options, Session};
use crate::fix::error::{FixError, Result};
use facts::join::Greeting;
use facts::log::Log;
use facts::swarm::RaftLog;
use facts::{NodeName, Timestamp};
use hyper::Method;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// The time limit of one request: a manager gives the others 20 s.
const REQUEST: Duration = Duration::from_secs(40);
/// Directories that a process on the host of the engine shares with it.
const SHARED: [&str; 2] = ["/etc", "/var/lib"];

/// This host, and the engine that the command line names.
pub struct RealSystem {
    options: Option<Options>,
    began: Instant,
}

impl RealSystem {
    pub(crate) fn new(options: Options) -> Self {
        Self { options: Some(options), began: Instant::now() }
    }

    /// This host without an engine.
    pub(crate) fn of_files() -> Self {
        Self { options: None, began: Instant::now() }
    }

    /// The name of this host.
    pub(crate) fn hostname(&self) -> NodeName {
        let name = nix::unistd::gethostname().unwrap_or_default();
        NodeName(name.to_string_lossy().into_owned())
    }

    async fn engine(&self) -> Result<Engine> {
        let none = || FixError::Refused("no engine is named".into());
        Engine::connect(self.options.as_ref().ok_or_else(none)?).await.map_err(FixError::NoEngine)
    }
}

/// Makes the names in a directory permanent.
fn sync_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(FixError::io("write", parent))
}

impl System for RealSystem {
    fn config(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        file::content(path)
    }

    fn replace(&self, path: &Path, before: Option<&[u8]>, after: Option<&[u8]>) -> Result<()> {
        file::replace(path, before, after)
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        match fs::read(path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FixError::io("read", path)(error)),
        }
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        fs::remove_file(path).map_err(FixError::io("remove", path))?;
        sync_parent(path)
    }

    fn create_directory(&self, path: &Path) -> Result<bool> {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => sync_parent(path).map(|()| true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(FixError::io("create", path)(error)),
        }
    }

    fn create(&self, path: &Path, content: &[u8]) -> Result<()> {
        let mut open = OpenOptions::new();
        let open = open.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let written = open.open(path).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        });
        written.map_err(FixError::io("write", path))?;
        sync_parent(path)
    }

    fn append(&self, path: &Path, content: &[u8]) -> Result<()> {
        let file = OpenOptions::new().append(true).custom_flags(libc::O_NOFOLLOW).open(path);
        let mut file = file.map_err(FixError::io("write", path))?;
        let length = file.metadata().map_err(FixError::io("write", path))?.len();
        let written = file.write_all(content).and_then(|()| file.sync_data());
        written.map_err(|error| {
            // What was written of it must not stay, or the next record would follow a torn one. Where that fails as well, the
            // checksum shows it.
            drop(file.set_len(length));
            FixError::io("write", path)(error)
        })
    }

    fn truncate(&self, path: &Path, length: u64) -> Result<()> {
        let file = OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(path);
        let truncated = file.and_then(|file| {
            file.set_len(length)?;
            file.sync_all()
        });
        truncated.map_err(FixError::io("write", path))
    }

    fn list(&self, directory: &Path) -> Result<Vec<String>> {
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(FixError::io("read", directory))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(FixError::io("read", directory))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn copy_tree(&self, from: &Path, to: &Path, except: Option<&str>) -> Result<()> {
        copy::copy(from, to, except)
    }

    fn install_tree(&self, copy: &Path, place: &Path) -> Result<()> {
        copy::install(copy, place)
    }

    fn sysctl(&self, key: &str) -> Result<String> {
        let path = sysctl_path(key)?;
        let text = fs::read_to_string(&path).map_err(FixError::io("read", path))?;
        Ok(text.trim().to_owned())
    }

    fn set_sysctl(&self, key: &str, to: &str) -> Result<()> {
        let path = sysctl_path(key)?;
        fs::write(&path, format!("{to}\n")).map_err(FixError::io("write", path))
    }

    fn module_users(&self, name: &str) -> Option<u64> {
        let module = Path::new("/sys/module").join(name);
        if !module.exists() {
            return None;
        }
        let users = fs::read_to_string(module.join("refcnt")).ok().and_then(|text| text.trim().parse().ok());
        // A module that is part of the kernel has no count and stays.
        Some(users.unwrap_or(1))
    }

    fn run(&self, argv: &[String], limit: Duration) -> Result<String> {
        program::run(argv, limit)
    }

    fn holds(&self, addr: IpAddr) -> bool {
        UdpSocket::bind((addr, 0)).is_ok()
    }

    fn neighbour(&self, addr: IpAddr) -> io::Result<Option<NeighbourStatus>> {
        let entry = collect::neighbour(addr)?;
        Ok(entry.map(|entry| NeighbourStatus { failed: entry.failed, confirmed: entry.confirmed }))
    }

    fn can_bind(&self, port: u16) -> io::Result<()> {
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).map(drop)
    }

    fn engine_pid(&self) -> Option<u32> {
        collect::dockerd().map(|process| process.pid)
    }

    fn service_manager(&self) -> Option<ServiceManager> {
        if Path::new("/run/systemd/system").is_dir() {
            return Some(ServiceManager::Systemd { unit: unit(self.engine_pid()) });
        }
        let script = Path::new("/etc/init.d/docker");
        script.is_file().then(|| ServiceManager::InitScript(script.to_owned()))
    }

    fn reload_engine(&self, pid: u32) -> Result<()> {
        let failed = |why: String| FixError::Failed(format!("failed to send SIGHUP to dockerd: {why}"));
        let pid = i32::try_from(pid).map_err(|error| failed(error.to_string()))?;
        kill(Pid::from_raw(pid), Signal::SIGHUP).map_err(|error| failed(error.to_string()))
    }

    fn identity(&self) -> Answer<'_, Identity> {
        Box::pin(async {
            let line = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
            let info = match &self.options {
                Some(_) => self.api(Method::GET, "/info", &Value::Null).await.ok(),
                None => None,
            };
            let id = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            Identity {
                node_id: info.as_ref().map(|info| id(&info["Swarm"]["NodeID"])),
                cluster_id: info.as_ref().map(|info| id(&info["Swarm"]["Cluster"]["ID"])),
                machine_id: line("/etc/machine-id"),
                boot_id: line("/proc/sys/kernel/random/boot_id"),
            }
        })
    }

    fn foreign(&self) -> Option<String> {
        let options = self.options.as_ref()?;
        if options.root != Path::new("/") {
            return Some(format!("the facts come from --root {}", options.root.display()));
        }
        let Some(socket) = options.endpoint.local_socket() else {
            return Some(format!("{} may lead to another host", options.endpoint));
        };
        let pid = match peer(socket) {
            Some(0) => return Some(format!("{} is served from another PID namespace", socket.display())),
            Some(peer) => match fs::read_to_string(format!("/proc/{peer}/comm")).unwrap_or_default().trim() {
                "dockerd" => Some(peer),
                // With socket activation the service manager listens.
                "systemd" | "init" if peer == 1 => self.engine_pid(),
                name => {
                    return Some(format!(
                        "{} is served by {name} (pid {peer}) and not by dockerd: it may be forwarded from another host",
                        socket.display()
                    ));
                }
            },
            // Nothing listens: there may be a dockerd that hangs or is stopped.
            None => self.engine_pid(),
        };
        pid.and_then(other_host)
    }

    fn api<'a>(&'a self, method: Method, path: &'a str, body: &'a Value) -> Answer<'a, Result<Value>> {
        Box::pin(async move {
            let engine = self.engine().await?;
            let request = format!("{method} {path}");
            let answer = engine.change(method, path, body, REQUEST).await;
            let answer = answer.map_err(|why| FixError::Api { request: request.clone(), why })?;
            if answer.trim_ascii().is_empty() {
                return Ok(Value::Null);
            }
            // A join answers with text, which is not used.
            Ok(serde_json::from_slice(&answer).unwrap_or(Value::Null))
        })
    }

    fn ping(&self) -> Answer<'_, Result<()>> {
        Box::pin(async { self.engine().await.map(drop) })
    }

    fn connect(&self, addr: SocketAddr, limit: Duration) -> Answer<'_, io::Result<()>> {
        Box::pin(async move {
            match tokio::time::timeout(limit, TcpStream::connect(addr)).await {
                Ok(connected) => connected.map(drop),
                Err(_) => Err(ErrorKind::TimedOut.into()),
            }
        })
    }

    fn greet(&self, addr: SocketAddr, limit: Duration) -> Answer<'_, Greeting> {
        Box::pin(collect::greet(addr, limit))
    }

    fn raft_log(&self, state: &Path) -> Result<Option<RaftLog>> {
        collect::raft_log(state).map_err(FixError::io("read the raft log in", state))
    }

    fn engine_log(&self) -> Answer<'_, Option<Log>> {
        Box::pin(async {
            let session = Session::new(self.options.clone()?);
            let snapshot = facts::parse::snapshot(&session.partial(&[facts::Need::EngineLog]).await);
            let log = snapshot.hosts.into_iter().next()?.log;
            log.get().ok().map(|log| log.value.clone())
        })
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn uptime(&self) -> Duration {
        self.began.elapsed()
    }

    fn sleep(&self, time: Duration) -> Answer<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}

/// The pid of what listens on a unix socket, as this PID namespace sees it; none where nothing listens.
fn peer(socket: &Path) -> Option<u32> {
    let stream = UnixStream::connect(socket).ok()?;
    let peer = nix::sys::socket::getsockopt(&stream, nix::sys::socket::sockopt::PeerCredentials).ok()?;
    u32::try_from(peer.pid()).ok()
}

/// Why this process is not on the host of dockerd, where it is not: it has another network or other files.
fn other_host(pid: u32) -> Option<String> {
    let network = |of: &str| fs::read_link(format!("/proc/{of}/ns/net")).ok();
    let theirs = network(&pid.to_string());
    if theirs.is_some() && theirs != network("self") {
        return Some(format!("dockerd (pid {pid}) runs in another network namespace"));
    }
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let place = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    for shared in SHARED {
        let theirs = place(&root.join(shared.trim_start_matches('/')));
        if theirs.is_some() && theirs != place(Path::new(shared)) {
            return Some(format!("{shared} here is not the {shared} of dockerd (pid {pid})"));
        }
    }
    None
}

/// The systemd unit of the running dockerd: that of snap has another name.
fn unit(pid: Option<u32>) -> String {
    let group = pid.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/cgroup")).ok());
    let unit = group.as_deref().unwrap_or_default().lines().find_map(|line| {
        let name = line.rsplit('/').next()?;
        name.ends_with(".service").then(|| name.to_owned())
    });
    unit.unwrap_or_else(|| "docker.service".to_owned())
}

/// The file of a kernel parameter: no name leads out of `/proc/sys`.
fn sysctl_path(key: &str) -> Result<PathBuf> {
    let plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    };
    if !key.split('.').all(plain) {
        return Err(FixError::Refused(format!("{key:?} is not a kernel parameter")));
    }
    Ok(PathBuf::from("/proc/sys").join(key.replace('.', "/")))
}

#[cfg(test)]
mod tests {
    use super::{RealSystem, peer, sysctl_path};
    use crate::cli::Source;
    use crate::examine::{Asked, options};
    use crate::fix::system::System as _;
    use clap::Parser;
    use std::os::unix::net::UnixListener;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        source: Source,
    }

    fn foreign(arguments: &[&str]) -> Option<String> {
        let line = Line::parse_from(std::iter::once("x").chain(arguments.iter().copied()));
        RealSystem::new(options(&line.source, Asked::default()).unwrap()).foreign()
    }

    #[test]
    fn no_name_leads_out_of_the_kernel_parameters() {
        assert!(sysctl_path("net.ipv4.ip_forward").unwrap().ends_with("net/ipv4/ip_forward"));
        for key in ["", "..", "net/../x", "net..x", "net.ipv4/../../x"] {
            assert!(sysctl_path(key).is_err(), "{key}");
        }
    }

    #[test]
    fn an_engine_that_may_be_on_another_host_is_refused() {
        assert!(foreign(&["-H", "tcp://127.0.0.1:2375"]).unwrap().contains("another host"));
        let directory = tempfile::tempdir().unwrap();
        assert!(foreign(&["--root", directory.path().to_str().unwrap()]).unwrap().contains("--root"));
        // A forwarded socket is served by ssh, here by this test.
        let socket = directory.path().join("docker.sock");
        let _listener = UnixListener::bind(&socket).unwrap();
        assert_eq!(peer(&socket), Some(std::process::id()));
        let why = foreign(&["-H", &format!("unix://{}", socket.display())]).unwrap();
        assert!(why.contains("not by dockerd"), "{why}");
    }
}
