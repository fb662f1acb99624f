//! All the facts of one examination.

use crate::app::Apps;
use crate::container::{Container, HostsFile, ResolvConf};
use crate::engine::{DaemonJson, EngineProcess, EngineService, Info, Ping, ServiceManager, Version};
use crate::firewall::Ruleset;
use crate::gossip_capture::GossipCapture;
use crate::host::{
    Clock, Disk, Interface, KernelStats, Listener, Memory, Modules, Neighbour, OsRelease, Route, Sandbox,
    Sysctls,
};
use crate::join::Join;
use crate::link::{PeerClock, Probe};
use crate::log::Log;
use crate::network::Network;
use crate::overlay::{EngineNamespaces, Overlay};
use crate::service::{Service, Task};
use crate::stack::Stack;
use crate::swarm::{Certificate, Cluster, LocalState, Node, RaftLog, RemoteManager, SwarmState};
use crate::{Fact, Gap, Need, NodeName};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// All the facts of one examination. Lists are facts too: no node list is a gap, not a swarm without nodes.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
pub struct Snapshot {
    /// When the facts were taken; "now" to every check.
    pub taken: Timestamp,
    /// The machines that were looked at: one for a run on one node.
    pub hosts: Vec<Host>,
    /// The cluster, from a manager.
    pub cluster: Fact<Cluster>,
    /// The node list, from a manager.
    pub nodes: Fact<Vec<Node>>,
    /// The services, from a manager.
    pub services: Fact<Vec<Service>>,
    /// The tasks, from a manager.
    pub tasks: Fact<Vec<Task>>,
    /// The stack that is about to be deployed, where one was named.
    #[schemars(skip)]
    pub stack: Fact<Stack>,
}

/// A machine that was looked at. `Option` inside a fact means that the thing is known not to exist.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
pub struct Host {
    /// Its hostname.
    pub name: NodeName,
    /// When its facts were collected.
    pub taken: Timestamp,
    /// The operating system.
    pub os: Fact<OsRelease>,
    /// Whether its engine answers.
    pub ping: Fact<Ping>,
    /// What its engine says of itself.
    pub info: Fact<Info>,
    /// Its engine's version.
    pub version: Fact<Version>,
    /// Its engine's configuration file.
    pub daemon_json: Fact<Option<DaemonJson>>,
    /// Its engine as the operating system sees it.
    pub engine: Fact<EngineProcess>,
    /// What it remembers of how it came into the swarm.
    pub swarm_state: Fact<Option<SwarmState>>,
    /// The managers it remembers.
    pub remembered_managers: Fact<Vec<RemoteManager>>,
    /// How far its raft log goes, where it is a manager.
    pub raft_log: Fact<Option<RaftLog>>,
    /// Its certificate.
    pub certificate: Fact<Option<Certificate>>,
    /// The certificate of the swarm's root.
    pub root_certificate: Fact<Option<Certificate>>,
    /// Its hosts file.
    pub hosts_file: Fact<HostsFile>,
    /// Its resolv.conf.
    pub resolv_conf: Fact<ResolvConf>,
    /// Its interfaces.
    pub interfaces: Fact<Vec<Interface>>,
    /// Its routes.
    pub routes: Fact<Vec<Route>>,
    /// Its listening sockets on the ports that matter to a swarm.
    pub listeners: Fact<Vec<Listener>>,
    /// The addresses with a connection to its manager port.
    pub manager_connections: Fact<BTreeSet<IpAddr>>,
    /// Its firewall rules.
    #[schemars(skip)]
    pub firewall: Fact<Ruleset>,
    /// Its kernel settings.
    pub sysctls: Fact<Sysctls>,
    /// Counters of its kernel.
    pub kernel_stats: Fact<KernelStats>,
    /// Its network namespaces for load balancing.
    pub sandboxes: Fact<Vec<Sandbox>>,
    /// Its kernel modules.
    pub modules: Fact<Modules>,
    /// Its clock.
    pub clock: Fact<Clock>,
    /// Room on its disks.
    pub disk: Fact<Disk>,
    /// Other file systems that the engine and the host write to.
    pub other_disks: Fact<Vec<Disk>>,
    /// Its memory.
    pub memory: Fact<Memory>,
    /// The log of its engine.
    #[schemars(skip)]
    pub log: Fact<Log>,
    /// Probes of the other nodes.
    pub probes: Fact<Vec<Probe>>,
    /// Other nodes and routers on directly connected networks.
    pub neighbours: Fact<Vec<Neighbour>>,
    /// The networks its engine lists.
    pub networks: Fact<Vec<Network>>,
    /// The containers on it that run tasks.
    pub containers: Fact<Vec<Container>>,
    /// The swarm that it would join, for `preflight --join`.
    #[schemars(skip)]
    pub join: Fact<Join>,
    /// Applications in containers that form clusters.
    pub apps: Fact<Apps>,
    /// The overlays it has an endpoint on.
    pub overlays: Fact<Vec<Overlay>>,
    /// Captured packets, with `--listen`.
    #[schemars(skip)]
    pub gossip_capture: Fact<GossipCapture>,
    /// The network namespaces of its engine. Absent in bundles of older versions.
    pub engine_namespaces: Fact<EngineNamespaces>,
    /// The clocks of the other nodes, for the matrix.
    pub clocks: Fact<Vec<PeerClock>>,
}

/// Is shown facts of different types.
pub trait FactVisitor {
    /// A fact and the name of its field.
    fn fact<T: Serialize>(&mut self, name: &'static str, fact: &Fact<T>);
}

/// Lists fields that are facts, each with the kind of artifact it comes from.
macro_rules! visited {
    ($owner:ident: $($field:ident: $need:ident),+ $(,)?) => {
        impl $owner {
            /// The names of the facts that [`Self::visit`] shows, each with the kind of artifact it comes from.
            pub const FACTS: &'static [(&'static str, Need)] = &[$((stringify!($field), Need::$need)),+];

            /// Shows the facts, without those that only a preflight or a capture collects, the log and the firewall rules.
            pub fn visit(&self, visitor: &mut impl FactVisitor) {
                $(visitor.fact(stringify!($field), &self.$field);)+
            }
        }
    };
}

visited! { Snapshot:
    cluster: Swarm,
    nodes: Nodes,
    services: Services,
    tasks: Tasks,
}

visited! { Host:
    os: OsRelease,
    ping: Ping,
    info: Info,
    version: Version,
    daemon_json: DaemonJson,
    engine: EngineProcess,
    swarm_state: SwarmState,
    remembered_managers: SwarmState,
    raft_log: SwarmState,
    certificate: Certificates,
    root_certificate: Certificates,
    hosts_file: Hosts,
    resolv_conf: ResolvConf,
    interfaces: Interfaces,
    routes: Routes,
    listeners: Sockets,
    manager_connections: Sockets,
    sysctls: Sysctls,
    kernel_stats: Sysctls,
    sandboxes: Sysctls,
    modules: Modules,
    clock: Clock,
    disk: Disk,
    other_disks: Disk,
    memory: Memory,
    probes: Probes,
    neighbours: Neighbours,
    networks: Networks,
    containers: Containers,
    apps: Apps,
    overlays: Overlays,
    engine_namespaces: Overlays,
    clocks: Clocks,
}

impl Host {
    /// Whether the node's certificate is that of a manager; known also if the engine does not answer.
    pub fn certified_manager(&self) -> Result<bool, Gap> {
        let certificate = self.certificate.get()?;
        Ok(certificate.value.as_ref().is_some_and(|certificate| certificate.unit == "swarm-manager"))
    }

    /// Whether the node is a manager: by its engine's word while it is a member, for one that was just demoted or
    /// promoted still holds its old certificate; else by its certificate.
    pub fn is_manager(&self) -> Result<bool, Gap> {
        match self.info.get() {
            Ok(info) if info.swarm.state == LocalState::Active => Ok(info.swarm.control_available),
            _ => self.certified_manager(),
        }
    }

    /// The service that starts its engine; systemd's where that is not known.
    pub fn engine_service(&self) -> EngineService {
        // Only commands in remedies depend on it, so it is not one of the facts that a check needs.
        match &self.engine {
            Fact::Seen(engine) => engine.service.clone().unwrap_or_default(),
            Fact::Unseen(_) => EngineService::default(),
        }
    }

    /// The path of its daemon.json.
    pub fn daemon_json_path(&self) -> String {
        let found = match &self.daemon_json {
            Fact::Seen(file) => file.value.as_ref().map(|file| file.path.clone()),
            Fact::Unseen(_) => None,
        };
        let snap = self.engine_service().manager == ServiceManager::Snap;
        let default =
            if snap { "/var/snap/docker/current/config/daemon.json" } else { "/etc/docker/daemon.json" };
        found.unwrap_or_else(|| default.to_owned())
    }

    /// The UDP port of the overlays' packets: the one the kernel has, else the one that was written down. A node
    /// writes it down only when it makes a swarm, and not when it joins one.
    pub fn data_path_port(&self) -> u16 {
        let overlays = self.overlays.get().map(|overlays| overlays.value.as_slice()).unwrap_or_default();
        let in_use = overlays.iter().find_map(|overlay| Some(overlay.data_plane.as_ref().ok()?.port));
        let state = self.swarm_state.get().ok().and_then(|state| state.value.as_ref());
        in_use.or(state.map(|state| state.data_path_port)).filter(|port| *port != 0).unwrap_or(4789)
    }
}

/// The JSON Schema of the facts that rules read: a [`Snapshot`] without what only a preflight collects.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Snapshot).to_value()
}
