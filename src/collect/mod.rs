//! Collecting: everything the doctor asks the world, at once, each with a deadline.
//!
//! Each kind of artifact is collected at most once a run. One that rests on another awaits it through
//! [`Session::artifacts`], so there is no order to keep and nothing waits for what it does not need.
//! A failure is an artifact too: a gap with its reason.

mod apps;
mod clock;
mod clocks;
mod disk;
mod endpoint;
mod engine_api;
mod engine_log;
mod engine_process;
mod ethtool;
mod files;
mod firewall;
mod gossip_capture;
mod ip;
mod join;
mod kernel_stats;
mod manager_connections;
mod modules;
mod namespaces;
mod neighbour;
mod netlink;
mod netns;
mod overlay;
mod probe;
mod procfs;
mod raft;
mod sandboxes;
mod sockets;
mod stack;
mod tls;

use crate::redact::redacted;
use facts::bundle::{ArtifactStatus, Bundle, Entry, Manifest};
use facts::link::Peer;
use facts::{Need, NodeName, Timestamp, Why};
use futures_util::future::join_all;
use namespaces::{Foreign, Scope};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

pub(crate) use apps::demultiplexed;
pub use endpoint::{Endpoint, EndpointError};
pub(crate) use engine_api::Engine;
pub use join::{Secret, Target};
pub(crate) use join::{greet, with_port};
pub(crate) use neighbour::neighbour;
pub(crate) use raft::raft_log;
pub use stack::StackFile;

/// What to collect, and from where.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the engine is spoken to.
    pub endpoint: Endpoint,
    /// The engine was named by an option. The default engine is the one of this host.
    pub engine_named: bool,
    /// The directory that stands for `/` when files are read.
    pub root: PathBuf,
    /// The path of daemon.json, if given by the user; else the flag of the running dockerd or the default.
    pub daemon_json: Option<PathBuf>,
    /// How far back the engine's log is read.
    pub since: Duration,
    /// Timeout of one request to the engine.
    pub request_deadline: Duration,
    /// Timeout of one probe of another node.
    pub probe_deadline: Duration,
    /// Maximum duration of the packet capture.
    pub listen: Duration,
    /// Timeout of one kind of artifact, in addition to the packet capture.
    pub deadline: Duration,
    /// The swarm to join, for `preflight --join`.
    pub join: Option<Target>,
    /// The program that a service runs, by name of the service, if given by the user.
    pub apps: std::collections::BTreeMap<String, String>,
    /// The stack to deploy, for `preflight --stack`.
    pub stack: Option<StackFile>,
    /// The kinds to collect, with those they depend on; all others become a gap with the reason "not asked".
    pub needs: Vec<Need>,
}

/// One run of collecting.
pub struct Session {
    /// What to collect, and from where.
    pub options: Options,
    /// When the run began.
    pub taken: Timestamp,
    began: Instant,
    kept: Vec<OnceCell<Vec<Artifact>>>,
    engine: OnceCell<Result<engine_api::Engine, Why>>,
    foreign: OnceLock<Foreign>,
}

/// One thing that was looked for, and its content where it was found.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// The entry in the manifest.
    pub entry: Entry,
    /// The content, where [`Entry::look`] is [`Look::Kept`].
    pub content: Option<Vec<u8>>,
}

/// The place of one artifact: its kind, its path in the bundle and where it is looked for.
#[derive(Clone, Debug)]
pub struct Place {
    need: Need,
    artifact: String,
    origin: String,
    began: Instant,
}

impl Place {
    /// A place, from which on the time is counted.
    pub fn new(need: Need, artifact: impl Into<String>, origin: impl Into<String>) -> Self {
        Self { need, artifact: artifact.into(), origin: origin.into(), began: Instant::now() }
    }

    /// The thing was there. No secret in it goes any further.
    pub fn kept(self, content: Vec<u8>) -> Artifact {
        let content = redacted(&self.artifact, content);
        Artifact { entry: self.entry(ArtifactStatus::Collected), content: Some(content) }
    }

    /// The thing was there, and is kept as JSON.
    pub fn kept_as_json(self, value: &impl serde::Serialize) -> Artifact {
        match serde_json::to_vec_pretty(value) {
            Ok(content) => self.kept(content),
            Err(error) => self.missed(Why::Malformed { line: 0, what: error.to_string() }),
        }
    }

    /// The thing is not there, and that is a fact.
    pub fn absent(self) -> Artifact {
        Artifact { entry: self.entry(ArtifactStatus::Absent), content: None }
    }

    /// The thing could not be seen.
    pub fn missed(self, why: Why) -> Artifact {
        Artifact { entry: self.entry(ArtifactStatus::Failed { why }), content: None }
    }

    fn entry(self, status: ArtifactStatus) -> Entry {
        let took_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        Entry {
            need: self.need,
            artifact: self.artifact,
            origin: self.origin,
            status,
            written: None,
            took_us,
        }
    }
}

impl Session {
    /// A run that has not begun to collect.
    pub fn new(options: Options) -> Self {
        let kept = Need::ALL.iter().map(|_| OnceCell::new()).collect();
        Self {
            options,
            taken: Timestamp::now(),
            began: Instant::now(),
            kept,
            engine: OnceCell::new(),
            foreign: OnceLock::new(),
        }
    }

    /// The artifacts of one kind, collected at the first call.
    pub async fn artifacts(&self, need: Need) -> &[Artifact] {
        let cell = Need::ALL.iter().position(|other| *other == need).and_then(|at| self.kept.get(at));
        let Some(cell) = cell else { return &[] };
        cell.get_or_init(|| async {
            let place = unseen(need);
            let deadline = match need {
                Need::GossipCapture => self.options.deadline.saturating_add(self.options.listen),
                _ => self.options.deadline,
            };
            match tokio::time::timeout(deadline, Box::pin(collect(need, self))).await {
                Ok(artifacts) => artifacts,
                Err(_) => vec![place.missed(Why::TimedOut { after_ms: millis(deadline) })],
            }
        })
        .await
    }

    /// A bundle with only these kinds in it, for what rests on them.
    pub async fn partial(&self, needs: &[Need]) -> Bundle {
        let mut bundle = self.empty();
        for artifacts in join_all(needs.iter().map(|need| self.artifacts(*need))).await {
            for artifact in artifacts {
                bundle.put(artifact.entry.clone(), artifact.content.clone());
            }
        }
        bundle
    }

    /// The other nodes that are known here.
    async fn peers(&self) -> Vec<Peer> {
        let needs =
            [Need::Info, Need::Nodes, Need::Networks, Need::SwarmState, Need::Certificates, Need::Interfaces];
        facts::parse::peers(&self.partial(&needs).await)
    }

    /// Their addresses.
    async fn peer_addresses(&self) -> Vec<IpAddr> {
        self.peers().await.into_iter().map(|peer| peer.addr).collect()
    }

    /// Collects all needs and those they depend on. The result does not depend on the order in which they complete.
    pub async fn bundle(&self) -> Bundle {
        let mut bundle = self.empty();
        join_all(self.options.needs.iter().map(|need| self.artifacts(*need))).await;
        for (need, kept) in Need::ALL.into_iter().zip(&self.kept) {
            let not_asked =
                || vec![unseen(need).missed(Why::NotAsked { reason: "not part of this run".into() })];
            for artifact in kept.get().cloned().unwrap_or_else(not_asked) {
                bundle.put(artifact.entry, artifact.content);
            }
        }
        bundle.manifest.took_ms = millis(self.began.elapsed());
        // The hostname of a container is not that of the node.
        if self.foreign().files()
            && let Some(name) = engine_hostname(&bundle)
        {
            bundle.manifest.host = NodeName(name);
        }
        if bundle.manifest.host.0 == files::UNKNOWN_HOSTNAME
            && let Some(name) = engine_log::host(&bundle)
        {
            bundle.manifest.host = NodeName(name);
        }
        bundle
    }

    /// The engine, once it answered.
    async fn engine(&self) -> Result<&engine_api::Engine, Why> {
        if self.is_elsewhere() && !self.options.engine_named {
            let root = self.options.root.display();
            let reason = format!("the engine here is not that of {root}; -H names one");
            return Err(Why::NotApplicable { reason });
        }
        self.engine
            .get_or_init(|| engine_api::Engine::connect(&self.options))
            .await
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Whether the files are those of a machine that does not run here.
    fn is_elsewhere(&self) -> bool {
        self.options.root != Path::new("/")
    }

    /// The path of a host file below the given root.
    fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.options.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Why the files of this machine are not those of the engine, where they are not.
    fn remote(&self) -> Option<Why> {
        let endpoint = &self.options.endpoint;
        let reason = || format!("the engine at {endpoint} is on another machine");
        (!endpoint.is_local()).then(|| Why::NotApplicable { reason: reason() })
    }

    /// Why the local kernel is not that of the examined host; `None` if it is.
    fn elsewhere(&self) -> Option<Why> {
        self.elsewhere_in(Scope::Network)
    }

    /// Why this host is not the one that is examined, if it is not.
    fn other_host(&self) -> Option<Why> {
        let reason = || format!("the kernel here is not that of {}", self.options.root.display());
        self.remote().or_else(|| self.is_elsewhere().then(|| Why::NotApplicable { reason: reason() }))
    }

    /// The namespaces of the engine that this process is not in.
    fn foreign(&self) -> Foreign {
        if self.is_elsewhere() {
            return Foreign::default();
        }
        *self.foreign.get_or_init(|| Foreign::of(&self.options.endpoint))
    }

    /// Why what is read here does not belong to the node that is examined, if it does not.
    fn elsewhere_in(&self, scope: Scope) -> Option<Why> {
        self.other_host().or_else(|| self.foreign().why(scope))
    }

    /// One artifact from the local kernel.
    async fn of_this_machine<T, R>(&self, place: Place, read: R) -> Vec<Artifact>
    where
        T: serde::Serialize + Send + 'static,
        R: FnOnce() -> Result<T, Why> + Send + 'static,
    {
        self.read_in(Scope::Network, place, read).await
    }

    /// One artifact that this host's kernel reports, and that belongs to a namespace of this scope.
    async fn read_in<T, R>(&self, scope: Scope, place: Place, read: R) -> Vec<Artifact>
    where
        T: serde::Serialize + Send + 'static,
        R: FnOnce() -> Result<T, Why> + Send + 'static,
    {
        let read = match self.elsewhere_in(scope) {
            Some(why) => Err(why),
            None => apart(read).await,
        };
        match read {
            Ok(value) => vec![place.kept_as_json(&value)],
            Err(why) => vec![place.missed(why)],
        }
    }

    fn empty(&self) -> Bundle {
        let manifest = Manifest {
            schema: facts::bundle::SCHEMA.into(),
            tool: env!("CARGO_PKG_VERSION").into(),
            host: NodeName(files::hostname(&self.options.root)),
            taken: self.taken,
            took_ms: 0,
            utc_offset_seconds: jiff::tz::TimeZone::system().to_offset(self.taken).seconds(),
            unprivileged: !nix::unistd::geteuid().is_root(),
            root: self.is_elsewhere().then(|| self.options.root.display().to_string()),
            entries: Vec::new(),
        };
        Bundle { manifest, artifacts: Default::default() }
    }
}

/// The hostname in `GET /info`.
fn engine_hostname(bundle: &Bundle) -> Option<String> {
    let info: serde_json::Value = serde_json::from_slice(bundle.artifacts.get("engine/info.json")?).ok()?;
    info.get("Name")?.as_str().filter(|name| !name.is_empty()).map(str::to_owned)
}

/// The slot of an artifact that was not collected.
fn unseen(need: Need) -> Place {
    Place::new(need, format!("unseen/{}", need.name()), need.name())
}

/// Collects one kind of artifact. A need without a collector does not compile.
async fn collect(need: Need, session: &Session) -> Vec<Artifact> {
    match need {
        Need::Ping => engine_api::ping(session).await,
        Need::Info => engine_api::info(session).await,
        Need::Version => engine_api::version(session).await,
        Need::Swarm => engine_api::swarm(session).await,
        Need::Nodes => engine_api::nodes(session).await,
        Need::Services => engine_api::services(session).await,
        Need::Tasks => engine_api::tasks(session).await,
        Need::Networks => engine_api::networks(session).await,
        Need::Containers => engine_api::containers(session).await,
        Need::DaemonJson => files::daemon_json(session).await,
        Need::EngineProcess => engine_process::engine_process(session).await,
        Need::SwarmState => files::swarm_state(session).await,
        Need::Certificates => files::certificates(session).await,
        Need::Hosts => files::hosts(session).await,
        Need::ResolvConf => files::resolv_conf(session).await,
        Need::OsRelease => files::os_release(session).await,
        Need::Interfaces => netlink::interfaces(session).await,
        Need::Routes => netlink::routes(session).await,
        Need::Sockets => {
            let (listeners, callers) =
                tokio::join!(sockets::listeners(session), manager_connections::manager_connections(session));
            [listeners, callers].concat()
        }
        Need::Firewall => firewall::firewall(session).await,
        Need::Sysctls => {
            let (sysctls, stats, sandboxes) = tokio::join!(
                procfs::sysctls(session),
                kernel_stats::kernel_stats(session),
                sandboxes::sandboxes(session)
            );
            [sysctls, stats, sandboxes].concat()
        }
        Need::Modules => modules::modules(session).await,
        Need::Clock => clock::clock(session).await,
        Need::Disk => disk::disk(session).await,
        Need::Memory => procfs::memory(session).await,
        Need::EngineLog => engine_log::engine_log(session).await,
        Need::Probes => probe::probes(session).await,
        Need::Neighbours => neighbour::neighbours(session).await,
        Need::TaskNetns => netns::task_namespaces(session).await,
        Need::Join => join::join(session).await,
        Need::Apps => apps::apps(session).await,
        Need::Overlays => overlay::overlays(session).await,
        Need::GossipCapture => gossip_capture::gossip_capture(session).await,
        Need::Clocks => clocks::clocks(session).await,
        Need::Stack => stack::stack(session).await,
    }
}

/// The dockerd that runs on this machine now.
pub(crate) fn dockerd() -> Option<facts::engine::Process> {
    engine_process::running()
}

/// Runs blocking work on a separate thread, so that a hanging read, for example from a dead NFS server, delays neither other
/// work nor the exit of the program.
async fn apart<T, R>(read: R) -> Result<T, Why>
where
    T: Send + 'static,
    R: FnOnce() -> Result<T, Why> + Send + 'static,
{
    let (send, received) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().spawn(move || drop(send.send(read())));
    thread.map_err(|error| why(&error, "start a thread"))?;
    received.await.unwrap_or_else(|_| Err(Why::Unreachable { what: "the thread that read it died".into() }))
}

/// A gap in words for an error of the operating system.
fn why(error: &std::io::Error, doing: &str) -> Why {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => Why::Denied { what: doing.to_owned() },
        _ => Why::Unreachable { what: format!("{doing}: {error}") },
    }
}

/// A duration in whole milliseconds.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
