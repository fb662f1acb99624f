//! The facts of a node as single values that can be compared over time. Values that change by themselves are left
//! out: times, counters, ids, tasks, and whatever comes and goes with a container.

use super::PRESENT;
use facts::bundle::Bundle;
use facts::firewall::Chain;
use facts::host::Interface;
use facts::{Fact, Need, NodeName, Snapshot, Timestamp};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a fact is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// The engine and the operating system.
    Engine,
    /// daemon.json.
    DaemonJson,
    /// The node's membership of the swarm.
    Swarm,
    /// The nodes, as a manager lists them.
    Nodes,
    /// The specs of the services.
    Services,
    /// The networks.
    Networks,
    /// Interfaces and addresses.
    Interfaces,
    /// Routes.
    Routes,
    /// Firewall rules.
    Firewall,
    /// Listening sockets on the swarm's ports.
    Sockets,
    /// Kernel settings.
    Sysctls,
    /// Kernel modules.
    Modules,
    /// The paths to other nodes.
    Paths,
    /// Files of /etc.
    Files,
    /// The clock.
    Clock,
}

impl Area {
    /// What it is called in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::DaemonJson => "daemon.json",
            Self::Swarm => "swarm membership",
            Self::Nodes => "nodes",
            Self::Services => "services",
            Self::Networks => "networks",
            Self::Interfaces => "interfaces",
            Self::Routes => "routes",
            Self::Firewall => "firewall",
            Self::Sockets => "listening sockets",
            Self::Sysctls => "kernel settings",
            Self::Modules => "kernel modules",
            Self::Paths => "paths",
            Self::Files => "files of /etc",
            Self::Clock => "clock",
        }
    }

    /// Whether it is about the swarm and not about one node.
    pub(super) fn of_cluster(self) -> bool {
        matches!(self, Self::Nodes | Self::Services)
    }
}

/// The facts of one node.
#[derive(Clone, Debug)]
pub struct Portrait {
    /// The node.
    pub host: NodeName,
    /// When they were collected.
    pub taken: Timestamp,
    pub(super) facts: BTreeMap<(Area, String), String>,
    /// Areas without facts, and why.
    pub(super) unseen: BTreeMap<Area, String>,
}

impl Portrait {
    /// The facts of a bundle, which was parsed into this snapshot.
    pub fn of(bundle: &Bundle, snapshot: &Snapshot) -> Self {
        let mut portrait = Self {
            host: bundle.manifest.host.clone(),
            taken: bundle.manifest.taken,
            facts: BTreeMap::new(),
            unseen: BTreeMap::new(),
        };
        portrait.cluster(bundle, snapshot);
        if let Some(host) = snapshot.hosts.first() {
            portrait.engine(host);
            portrait.network(host);
            portrait.kernel(host);
        }
        portrait
    }

    fn put(&mut self, area: Area, key: impl Into<String>, value: impl ToString) {
        self.facts.insert((area, key.into()), value.to_string());
    }

    fn seen<'a, T>(&mut self, area: Area, fact: &'a Fact<T>) -> Option<&'a T> {
        match fact.get() {
            Ok(seen) => Some(&seen.value),
            Err(gap) => {
                self.unseen.insert(area, gap.why.to_string());
                None
            }
        }
    }

    fn engine(&mut self, host: &facts::Host) {
        if let Some(version) = self.seen(Area::Engine, &host.version) {
            self.put(Area::Engine, "version", &version.engine);
            self.put(Area::Engine, "API", &version.api);
        }
        if let Ok(os) = host.os.get() {
            self.put(Area::Engine, "operating system", &os.pretty_name);
            self.put(Area::Engine, "kernel", &os.kernel);
        }
        if let Ok(info) = host.info.get() {
            self.put(Area::Engine, "data root", &info.data_root);
            self.put(Area::Engine, "live restore", info.live_restore);
            for warning in &info.warnings {
                self.put(Area::Engine, format!("warning {warning:?}"), PRESENT);
            }
        }
        if let Ok(engine) = host.engine.get() {
            let args = engine.process.as_ref().map(|process| process.args.join(" "));
            self.put(Area::Engine, "process", args.unwrap_or_else(|| "not running".into()));
        }
        if let Some(file) = self.seen(Area::DaemonJson, &host.daemon_json) {
            match file.as_ref().map(|file| &file.parsed) {
                Some(Ok(keys)) => flatten(&Value::Object(keys.clone()), String::new(), &mut |key, value| {
                    self.put(Area::DaemonJson, key, value);
                }),
                Some(Err(fault)) => self.put(Area::DaemonJson, "malformed", &fault.what),
                None => {}
            }
        }
        if let Some(info) = self.seen(Area::Swarm, &host.info) {
            let swarm = &info.swarm;
            self.put(Area::Swarm, "state", swarm.state.as_str());
            self.put(Area::Swarm, "role", if swarm.control_available { "manager" } else { "worker" });
            self.put(Area::Swarm, "node", &swarm.node_id);
            self.put(
                Area::Swarm,
                "address",
                swarm.node_addr.map(|addr| addr.to_string()).unwrap_or_default(),
            );
            self.put(Area::Swarm, "cluster", swarm.cluster_id.clone().unwrap_or_default());
            let managers: BTreeSet<String> = swarm.managers.iter().map(|it| it.addr.to_string()).collect();
            self.put(Area::Swarm, "known managers", managers.into_iter().collect::<Vec<_>>().join(", "));
            if !swarm.error.is_empty() {
                self.put(Area::Swarm, "error", &swarm.error);
            }
        }
        if let Ok(state) = host.swarm_state.get()
            && let Some(state) = &state.value
        {
            self.put(Area::Swarm, "advertises (docker-state.json)", &state.advertise_addr);
            self.put(Area::Swarm, "data path port (docker-state.json)", state.data_path_port);
        }
    }

    fn network(&mut self, host: &facts::Host) {
        if let Some(interfaces) = self.seen(Area::Interfaces, &host.interfaces) {
            for interface in interfaces.iter().filter(|interface| lasts(interface)) {
                let state = if interface.up { "up" } else { "down" };
                let addresses: BTreeSet<String> =
                    interface.addresses.iter().map(|it| format!("{}/{}", it.addr, it.prefix)).collect();
                let name = &interface.name;
                self.put(
                    Area::Interfaces,
                    format!("{name} state"),
                    format!("{state}, MTU {}", interface.mtu),
                );
                for address in addresses {
                    self.put(Area::Interfaces, format!("{name} {address}"), PRESENT);
                }
            }
        }
        let fleeting = |name: &str| name.starts_with("veth");
        if let Some(routes) = self.seen(Area::Routes, &host.routes) {
            for route in routes.iter().filter(|it| !it.interface.as_deref().is_some_and(fleeting)) {
                let by = [("via", route.gateway.map(|it| it.to_string())), ("dev", route.interface.clone())];
                let by: Vec<_> =
                    by.into_iter().filter_map(|(word, it)| Some(format!("{word} {}", it?))).collect();
                let key = format!("{}/{} {}", route.network, route.prefix, by.join(" "));
                self.put(Area::Routes, key, PRESENT);
            }
        }
        if let Some(ruleset) = self.seen(Area::Firewall, &host.firewall) {
            for table in &ruleset.tables {
                for chain in &table.chains {
                    let name = format!("{} {} {}", table.family, table.name, chain.name);
                    if let Some(policy) = policy(chain) {
                        self.put(Area::Firewall, format!("{name} policy"), policy);
                    }
                    let mut times: BTreeMap<String, usize> = BTreeMap::new();
                    for rule in &chain.rules {
                        *times.entry(rule.as_nft(table)).or_default() += 1;
                    }
                    for (rule, times) in times {
                        let value = if times == 1 { PRESENT.to_owned() } else { format!("{times} times") };
                        self.put(Area::Firewall, format!("{name}: {rule}"), value);
                    }
                }
            }
        }
        if let Some(listeners) = self.seen(Area::Sockets, &host.listeners) {
            for it in listeners {
                let owner = match &it.owner {
                    facts::host::Owner::Process { name, .. } => name.as_str(),
                    facts::host::Owner::Kernel => "the kernel",
                    facts::host::Owner::Unknown => "unknown",
                };
                self.put(Area::Sockets, format!("{}/{} on {}", it.port, it.protocol, it.addr), owner);
            }
        }
        if let Some(probes) = self.seen(Area::Paths, &host.probes) {
            for probe in probes {
                self.put(Area::Paths, format!("{} {}", probe.peer.label(), probe.attempt), &probe.outcome);
            }
        }
        for overlay in host.overlays.get().iter().flat_map(|overlays| overlays.iter()) {
            for peer in overlay.data_plane.iter().flat_map(|plane| &plane.peers) {
                let answer = if peer.small.answered() { "answers" } else { "lost" };
                self.put(Area::Paths, format!("{} over {}", peer.node, overlay.name), answer);
            }
        }
    }

    fn kernel(&mut self, host: &facts::Host) {
        if let Some(sysctls) = self.seen(Area::Sysctls, &host.sysctls) {
            for (key, value) in sysctls.0.iter().filter(|(key, _)| !key.ends_with("_count")) {
                self.put(Area::Sysctls, key, value.trim());
            }
        }
        if let Some(modules) = self.seen(Area::Modules, &host.modules) {
            for (name, module) in &modules.0 {
                self.put(Area::Modules, name, format!("{:?}", module.state).to_lowercase());
            }
        }
        if let Some(clock) = self.seen(Area::Clock, &host.clock) {
            self.put(Area::Clock, "synchronised", clock.synchronised);
            self.put(Area::Clock, "service", clock.service.as_deref().unwrap_or("none"));
        }
        if let Some(hosts) = self.seen(Area::Files, &host.hosts_file) {
            for line in &hosts.0 {
                self.put(Area::Files, format!("/etc/hosts: {}", line.text.trim()), PRESENT);
            }
        }
    }

    fn cluster(&mut self, bundle: &Bundle, snapshot: &Snapshot) {
        if let Some(nodes) = self.seen(Area::Nodes, &snapshot.nodes) {
            for node in nodes {
                // Of two nodes with one name, one would hide the other.
                let twice = nodes.iter().filter(|other| other.name == node.name).count() > 1;
                let name = if twice { format!("{} {}", node.name, node.id) } else { node.name.to_string() };
                let mut put =
                    |what: &str, value: String| self.put(Area::Nodes, format!("{name} {what}"), value);
                put("state", node.state.as_str().to_owned());
                put("availability", node.availability.clone());
                put("address", node.addr.map(|addr| addr.to_string()).unwrap_or_default());
                put("engine", node.engine.clone());
                let manager = node.manager.as_ref().map(|it| match (it.leader, it.reachable) {
                    (true, _) => "leader",
                    (false, true) => "manager",
                    (false, false) => "unreachable manager",
                });
                put("role", manager.unwrap_or("worker").to_owned());
                for (key, value) in node.labels.iter().chain(&node.engine_labels) {
                    put(&format!("label {key}"), value.clone());
                }
            }
        }
        if let Some(_services) = self.seen(Area::Services, &snapshot.services) {
            for service in list(bundle, "engine/services.json") {
                let name = service["Spec"]["Name"].as_str().unwrap_or_default().to_owned();
                flatten(&service["Spec"], name, &mut |key, value| self.put(Area::Services, key, value));
            }
        }
        if bundle.entries(Need::Networks).all(|entry| !bundle.artifacts.contains_key(&entry.artifact)) {
            self.unseen.insert(Area::Networks, "not in the bundle".into());
        }
        let all = snapshot.nodes.get().is_ok();
        for network in list(bundle, "engine/networks.json") {
            let name = network["Name"].as_str().unwrap_or_default().to_owned();
            // On a worker an overlay comes and goes with the tasks that are on it.
            if !all && network["Scope"] == "swarm" {
                continue;
            }
            for key in [
                "Driver",
                "Scope",
                "EnableIPv6",
                "Internal",
                "Attachable",
                "Ingress",
                "IPAM",
                "Options",
                "Labels",
            ] {
                let mut put = |key, value| self.put(Area::Networks, key, value);
                flatten(&network[key], format!("{name} {key}"), &mut put);
            }
        }
    }
}

/// Whether an interface belongs to the host, and not to a container.
fn lasts(interface: &Interface) -> bool {
    !interface.name.starts_with("veth") && interface.kind != "vxlan"
}

fn policy(chain: &Chain) -> Option<&'static str> {
    chain.base.as_ref().map(|base| if base.drops { "drop" } else { "accept" })
}

fn list(bundle: &Bundle, artifact: &str) -> Vec<Value> {
    let content = bundle.artifacts.get(artifact);
    content.and_then(|content| serde_json::from_slice(content).ok()).unwrap_or_default()
}

/// Every single value in it, with the way that leads to it. What is empty says nothing.
fn flatten(value: &Value, path: String, put: &mut impl FnMut(String, String)) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Null => {}
        Value::Object(map) => map.iter().for_each(|(key, value)| flatten(value, below(key), put)),
        Value::Array(list) => {
            for (at, value) in list.iter().enumerate() {
                // An environment is a map that is written as a list.
                match value.as_str().and_then(|text| text.split_once('=')) {
                    Some((name, value)) if !name.contains(char::is_whitespace) => {
                        put(below(name), value.to_owned());
                    }
                    _ => flatten(value, below(&at.to_string()), put),
                }
            }
        }
        Value::String(text) => put(path, text.clone()),
        other => put(path, other.to_string()),
    }
}
