//! A host and an engine in memory. Each durable act can fail or be the last before a crash, so that tests see what a fix
//! leaves behind at every point.

use super::{Answer, Identity, NeighbourStatus, ServiceManager, System};
use crate::fix::error::{CommandFailure, FixError, Result};
use crate::fix::signals::{Interrupts, Signal};
use checks::{FirewallChange, ServiceChange, Step};
use facts::join::{Greeting, RootCa, TlsAnswer};
use facts::log::Log;
use facts::swarm::RaftLog;
use facts::{Timestamp, Why};
use hyper::Method;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the engine keeps its swarm state.
const STATE: &str = "/var/lib/docker/swarm";
const DOCKER_STATE: &str = "/var/lib/docker/swarm/docker-state.json";
const CERTIFICATE: &str = "/var/lib/docker/swarm/certificates/swarm-node.crt";
/// The certificate of a manager of the cluster `cluster1`.
const PEM: &str = "-----BEGIN CERTIFICATE-----\n\
MIIB0TCCAXegAwIBAgIUIQ2J540eOWMM1wx8W9b0M6tcRGgwCgYIKoZIzj0EAwIw\n\
PTERMA8GA1UECgwIY2x1c3RlcjExFjAUBgNVBAsMDXN3YXJtLW1hbmFnZXIxEDAO\n\
BgNVBAMMB25vZGUxaWQwIBcNMjYxMjAxMTMzODExWhgPMjEyNjExMDcxMzM4MTFa\n\
MD0xETAPBgNVBAoMCGNsdXN0ZXIxMRYwFAYDVQQLDA1zd2FybS1tYW5hZ2VyMRAw\n\
DgYDVQQDDAdub2RlMWlkMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZ3Hu/LZ5\n\
RmK5zxS2kFhWZqAGgu2w0T19hWDLKWZxCknAp0/Xs5J8h+Q55sZY2hGIeo/wQgSo\n\
u/MkPwoKdPAvP6NTMFEwHQYDVR0OBBYEFHOw9EdPxhn7+FBLhY5PvL70pUe3MB8G\n\
A1UdIwQYMBaAFHOw9EdPxhn7+FBLhY5PvL70pUe3MA8GA1UdEwEB/wQFMAMBAf8w\n\
CgYIKoZIzj0EAwIDSAAwRQIhALUGxSsshy4rsIrbLh/vb+1h8D610OQJPw6kglwh\n\
/X9yAiAMkroN5Z5yFX3IVCiYvPaGJNR8CA1o+79gmt3wd+F6gQ==\n\
-----END CERTIFICATE-----\n\
";
/// The node that the fake is.
const NODE: &str = "node1id";
const TOKEN: &str = "SWMTKN-1-3pu6hszjas19xyp7ghgosyx9k8atbfcr8p2is99znpy26u2lkl-1awxwuwd3z9j1z3puu7rcgdbx";

/// How a durable act goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The system refuses it.
    Error(ErrorKind),
    /// It takes effect, and an error is reported all the same.
    ErrorAfter(ErrorKind),
    /// The process ends before it.
    CrashBefore,
    /// The process ends right after it.
    CrashAfter,
    /// A signal comes with it.
    Signal(Signal),
}

/// What survives the end of a process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    files: BTreeMap<PathBuf, Vec<u8>>,
    directories: BTreeSet<PathBuf>,
    sysctls: BTreeMap<String, String>,
    modules: BTreeMap<String, u64>,
    addresses: BTreeSet<IpAddr>,
    /// The rules of each chain of iptables and nft, with their handles.
    chains: BTreeMap<String, Vec<(String, u64)>>,
    firewalld: BTreeSet<String>,
    ufw: BTreeSet<String>,
    engine_runs: bool,
    locked: bool,
    no_leader: bool,
    nodes: BTreeMap<String, Value>,
    services: BTreeMap<String, Value>,
    networks: BTreeMap<String, Value>,
}

/// A host in memory.
pub struct FakeSystem {
    state: RefCell<State>,
    clock: Cell<Duration>,
    acts: Cell<usize>,
    failure: Cell<Option<(usize, Failure)>>,
    crashed: Cell<bool>,
    interrupts: RefCell<Interrupts>,
}

fn crashed() -> FixError {
    FixError::Failed("the process has ended".into())
}

fn program_failed(argv: &[String], status: i32) -> FixError {
    let failure = CommandFailure::Exit { status: Some(status), output: String::new() };
    FixError::Command { command: argv.join(" "), failure }
}

impl FakeSystem {
    /// A host on which these steps have something to do. The configuration files are those that were examined.
    pub fn for_steps(steps: &[Step], files: Vec<(PathBuf, Vec<u8>)>) -> Self {
        let mut state = State { engine_runs: true, ..State::default() };
        state.files.extend(files);
        state.files.insert(CERTIFICATE.into(), PEM.into());
        state.files.insert(format!("{STATE}/state.json").into(), b"[]".to_vec());
        state.files.insert(DOCKER_STATE.into(), br#"{"ListenAddr":"0.0.0.0:2377"}"#.to_vec());
        state.files.insert(format!("{STATE}/raft/wal-v3/0.wal").into(), b"raft".to_vec());
        let node = |id: &str, role: &str, status: &str| {
            json!({
                "ID": id, "Version": {"Index": 1},
                "Spec": {"Role": role, "Availability": "drain"}, "Status": {"State": status},
            })
        };
        state.nodes.insert(NODE.into(), node(NODE, "manager", "ready"));
        for step in steps {
            state.prepare(step, &node);
        }
        Self {
            state: RefCell::new(state),
            clock: Cell::default(),
            acts: Cell::default(),
            failure: Cell::default(),
            crashed: Cell::default(),
            interrupts: RefCell::default(),
        }
    }

    /// A join token that the fake managers accept.
    pub fn token() -> &'static str {
        TOKEN
    }

    /// What is there now, without the receipts below a directory.
    pub fn state(&self, receipts: &Path) -> State {
        let mut state = self.state.borrow().clone();
        state.files.retain(|path, _| !path.starts_with(receipts));
        state.directories.retain(|path| !path.starts_with(receipts));
        for value in state.nodes.values_mut().chain(state.services.values_mut()) {
            value["Version"]["Index"] = 0.into();
            // What the engine adds by itself.
            value.as_object_mut().and_then(|value| value.remove("UpdateStatus"));
        }
        state.chains.retain(|_, rules| !rules.is_empty());
        // Handles and ids are assigned again.
        for rules in state.chains.values_mut() {
            rules.iter_mut().for_each(|(_, handle)| *handle = 0);
        }
        for network in state.networks.values_mut() {
            network["Id"] = Value::Null;
        }
        state.networks =
            state.networks.into_values().map(|network| (network["Name"].to_string(), network)).collect();
        state
    }

    /// Whether dockerd runs.
    pub fn engine_runs(&self) -> bool {
        self.state.borrow().engine_runs
    }

    /// How many durable acts there were.
    pub fn acts(&self) -> usize {
        self.acts.get()
    }

    /// Lets the durable act with this number, from 1, go wrong.
    pub fn fail_at(&self, number: usize, failure: Failure, interrupts: Interrupts) {
        self.failure.set(Some((number, failure)));
        self.interrupts.replace(interrupts);
    }

    /// The next process on the same host.
    pub fn next_process(&self) {
        self.crashed.set(false);
        self.failure.set(None);
    }

    /// Another swarm is joined, outside of swarm-doctor.
    pub fn joins_another_swarm(&self) {
        let mut state = self.state.borrow_mut();
        state.files.insert(DOCKER_STATE.into(), br#"{"ListenAddr":"other"}"#.to_vec());
        state.files.insert(CERTIFICATE.into(), b"another certificate".to_vec());
    }

    /// Damages a file.
    pub fn flip_a_bit_of(&self, path: &Path) {
        if let Some(byte) =
            self.state.borrow_mut().files.get_mut(path).and_then(|content| content.get_mut(30))
        {
            *byte ^= 1;
        }
    }

    fn see<T>(&self, look: impl FnOnce(&State) -> T) -> Result<T> {
        if self.crashed.get() {
            return Err(crashed());
        }
        Ok(look(&self.state.borrow()))
    }

    fn act<T>(&self, path: &str, effect: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        if self.crashed.get() {
            return Err(crashed());
        }
        self.acts.set(self.acts.get() + 1);
        let failure = self.failure.get().filter(|(at, _)| *at == self.acts.get()).map(|(_, failure)| failure);
        match failure {
            None => effect(&mut self.state.borrow_mut()),
            Some(Failure::Error(kind)) => Err(FixError::io("change", path)(kind.into())),
            Some(Failure::ErrorAfter(kind)) => {
                effect(&mut self.state.borrow_mut())?;
                Err(FixError::io("change", path)(kind.into()))
            }
            Some(Failure::CrashBefore) => {
                self.crashed.set(true);
                Err(crashed())
            }
            Some(Failure::CrashAfter) => {
                drop(effect(&mut self.state.borrow_mut()));
                self.crashed.set(true);
                Err(crashed())
            }
            Some(Failure::Signal(signal)) => {
                self.interrupts.borrow().raise(signal);
                effect(&mut self.state.borrow_mut())
            }
        }
    }
}

impl State {
    /// Whether dockerd runs.
    pub fn engine_runs(&self) -> bool {
        self.engine_runs
    }

    /// Takes over whether dockerd runs.
    pub fn keep_engine_of(&mut self, other: &Self) {
        self.engine_runs = other.engine_runs;
    }

    fn in_swarm(&self) -> bool {
        self.files.contains_key(Path::new(DOCKER_STATE))
    }

    fn node_id(&self) -> String {
        match self.files.get(Path::new(CERTIFICATE)) {
            Some(pem) if self.in_swarm() && pem.starts_with(PEM.as_bytes()) => NODE.to_owned(),
            Some(other) if self.in_swarm() => format!("other{}", other.len()),
            _ => String::new(),
        }
    }

    /// Makes room for a step: what it changes exists in the old form.
    fn prepare(&mut self, step: &Step, node: &dyn Fn(&str, &str, &str) -> Value) {
        match step {
            Step::EditJson { file, pointer, .. } => {
                let names: Vec<&str> = pointer.split('/').skip(1).collect();
                let parents = names.iter().rev().skip(1);
                let text = parents.fold("{}".to_owned(), |inner, name| format!("{{\"{name}\": {inner}}}"));
                self.files.entry(file.into()).or_insert(text.into_bytes());
            }
            Step::SetSysctl { key, .. } => drop(self.sysctls.insert(key.clone(), "0".into())),
            Step::ChangeFirewall { changes, .. } => {
                changes.iter().for_each(|change| self.prepare_rule(change))
            }
            Step::ActivateNode { id, .. } => drop(self.nodes.insert(id.clone(), node(id, "worker", "ready"))),
            Step::RemoveNode { id, manager, .. } => {
                let role = if *manager { "manager" } else { "worker" };
                self.nodes.insert(id.clone(), node(id, role, "down"));
                if let Some(own) = self.nodes.get_mut(NODE) {
                    own["ManagerStatus"] = json!({"Reachability": "reachable"});
                }
            }
            Step::DemoteManager { id: Some(id), .. } => {
                for (id, role) in [(id.as_str(), "manager"), ("spare1", "manager"), ("spare2", "manager")] {
                    let mut node = node(id, role, "ready");
                    node["ManagerStatus"] = json!({"Reachability": "reachable"});
                    self.nodes.insert(id.into(), node);
                }
                self.nodes.insert(NODE.into(), node(NODE, "manager", "ready"));
            }
            Step::StartEngine { .. } => self.engine_runs = false,
            Step::UpdateService { service, changes, .. } => self.prepare_service(service, changes),
            Step::RecreateIngress { network, .. } => {
                let ingress = json!({
                    "Id": "net1", "Name": network, "Driver": "overlay", "Ingress": true,
                    "IPAM": {"Driver": "default", "Config": [{"Subnet": "10.0.0.0/24"}]},
                });
                self.networks.insert("net1".into(), ingress);
                let published = json!({"PublishedPort": 80, "TargetPort": 8080, "PublishMode": "ingress"});
                self.prepare_service("web", &[]);
                if let Some(web) = self.services.get_mut("web") {
                    web["Spec"]["EndpointSpec"]["Ports"] = json!([published]);
                }
            }
            Step::Unlock { .. } => self.locked = true,
            Step::RenewCertificate { .. } => {
                let expired = [PEM.as_bytes(), b"expired"].concat();
                self.files.insert(CERTIFICATE.into(), expired);
            }
            Step::ForceNewCluster { .. } => self.no_leader = true,
            Step::Join { advertise: Some(addr), .. } | Step::Init { advertise: addr, .. } => {
                self.addresses.extend(addr.parse::<IpAddr>());
            }
            _ => {}
        }
    }

    fn prepare_rule(&mut self, change: &FirewallChange) {
        match change {
            FirewallChange::IptablesDelete { program, table, chain, rule, number } => {
                let rules = self.chains.entry(format!("{program} {table} {chain}")).or_default();
                while rules.len() + 1 < *number {
                    rules.push(("-j OTHER".into(), 0));
                }
                rules.push((rule.join(" "), 0));
            }
            FirewallChange::NftDelete { chain, handle } => {
                let rules = self.chains.entry(format!("nft {}", chain.join(" "))).or_default();
                rules.push((format!("tcp dport {handle} drop"), *handle));
                rules.push(("counter".into(), handle + 1000));
            }
            FirewallChange::NftInsert { chain, .. } => {
                self.chains.entry(format!("nft {}", chain.join(" "))).or_default();
            }
            FirewallChange::FirewalldRichRule { permanent, .. } => {
                let rule = change.argv().join(" ").replace("--remove-rich-rule=", "--add-rich-rule=");
                self.firewalld.insert(rule);
                let _ = permanent;
            }
            FirewallChange::UfwDelete { .. } => {
                let rule: Vec<_> = change.argv().into_iter().filter(|word| word != "delete").collect();
                self.ufw.insert(rule.join(" "));
            }
            _ => {}
        }
    }

    fn prepare_service(&mut self, name: &str, changes: &[ServiceChange]) {
        let mut spec = json!({
            "Name": name,
            "TaskTemplate": {"ContainerSpec": {"Image": "image"}},
            "EndpointSpec": {"Mode": "vip"},
        });
        for change in changes {
            match change {
                ServiceChange::HostEntryGone { name, addr } => {
                    spec["TaskTemplate"]["ContainerSpec"]["Hosts"] = json!([format!("{addr} {name}")]);
                }
                ServiceChange::Port { published, from, .. } => {
                    spec["EndpointSpec"]["Ports"] =
                        json!([{"PublishedPort": published, "TargetPort": from, "PublishMode": "ingress"}]);
                }
                ServiceChange::Hostname(_) | ServiceChange::Environment { .. } => {}
            }
        }
        let service = json!({"ID": name, "Version": {"Index": 1}, "Spec": spec});
        self.services.insert(name.into(), service);
    }

    fn copy(&mut self, from: &Path, to: &Path, except: Option<&str>) {
        self.remove(to);
        let inside: Vec<_> = self
            .files
            .iter()
            .filter_map(|(path, content)| {
                let rest = path.strip_prefix(from).ok()?;
                (except.map(Path::new) != Some(rest)).then(|| (to.join(rest), content.clone()))
            })
            .collect();
        self.files.extend(inside);
    }

    fn remove(&mut self, directory: &Path) {
        self.files.retain(|path, _| !path.starts_with(directory));
    }

    fn join(&mut self, request: &Value, certificate: &[u8]) {
        self.files.insert(DOCKER_STATE.into(), request.to_string().into_bytes());
        self.files.insert(CERTIFICATE.into(), certificate.to_vec());
    }

    fn run(&mut self, argv: &[String]) -> Result<String> {
        let words: Vec<&str> = argv.iter().map(String::as_str).collect();
        let no = || Err(program_failed(argv, 1));
        match words.as_slice() {
            ["systemctl", verb, _] => self.engine_runs = *verb != "stop",
            ["modprobe", "-r", name] => drop(self.modules.remove(*name)),
            ["modprobe", name] => drop(self.modules.insert((*name).into(), 0)),
            ["ip", "addr", verb, addr, "dev", _] => {
                let addr = addr.split('/').next().unwrap_or_default().parse::<IpAddr>();
                let addr = addr.map_err(|_| program_failed(argv, 2))?;
                if *verb == "add" {
                    self.addresses.insert(addr)
                } else {
                    self.addresses.remove(&addr)
                };
            }
            ["nft", rest @ ..] => return self.nft(argv, rest),
            ["firewall-cmd", ..] => return self.firewall_cmd(argv),
            ["ufw", "show", "added"] => {
                return Ok(self.ufw.iter().fold(String::new(), |all, rule| all + rule + "\n"));
            }
            ["ufw", ..] => {
                let rule =
                    argv.iter().filter(|word| !["delete", "insert", "1", "prepend"].contains(&word.as_str()));
                let rule = rule.cloned().collect::<Vec<_>>().join(" ");
                if words.contains(&"delete") {
                    self.ufw.remove(&rule)
                } else {
                    self.ufw.insert(rule)
                };
            }
            [program, ..] if program.contains("tables") => return self.iptables(argv),
            _ => return no(),
        }
        Ok(String::new())
    }

    fn iptables(&mut self, argv: &[String]) -> Result<String> {
        let table = argv.iter().position(|word| word == "-t").and_then(|at| argv.get(at + 1));
        let table = table.map_or("filter", String::as_str);
        let at = argv.iter().position(|word| ["-C", "-I", "-D", "-S"].contains(&word.as_str()));
        let at = at.ok_or_else(|| program_failed(argv, 2))?;
        let (verb, chain, rest) = (argv[at].as_str(), &argv[at + 1], &argv[at + 2..]);
        let rules = self.chains.entry(format!("{} {table} {chain}", argv[0])).or_default();
        let (number, rule) = match rest.first().and_then(|word| word.parse::<usize>().ok()) {
            Some(number) => (number, &rest[1..]),
            None => (1, rest),
        };
        let rule = rule.join(" ");
        let found = rules.iter().position(|(other, _)| *other == rule);
        match (verb, found) {
            ("-S", _) => {
                let listed = rules.get(number - 1).map(|(rule, _)| format!("-A {chain} {rule}"));
                return listed.ok_or_else(|| program_failed(argv, 1));
            }
            ("-C", Some(_)) => {}
            ("-D", Some(at)) => drop(rules.remove(at)),
            ("-I", _) => rules.insert((number - 1).min(rules.len()), (rule, 0)),
            _ => return Err(program_failed(argv, 1)),
        }
        Ok(String::new())
    }

    fn nft(&mut self, argv: &[String], words: &[&str]) -> Result<String> {
        let chain = |family: &str, table: &str, chain: &str| format!("nft {family} {table} {chain}");
        match words {
            ["--handle", "--stateless", "list", "chain", family, table, name] => {
                let rules = self.chains.get(&chain(family, table, name));
                let rules = rules.ok_or_else(|| program_failed(argv, 1))?;
                Ok(rules
                    .iter()
                    .fold(String::new(), |all, (rule, handle)| all + &format!("{rule} # handle {handle}\n")))
            }
            ["delete", "rule", family, table, name, "handle", handle] => {
                let rules = self.chains.entry(chain(family, table, name)).or_default();
                rules.retain(|(_, other)| other.to_string() != *handle);
                Ok(String::new())
            }
            ["insert" | "add", "rule", family, table, name, rule @ ..] => {
                let rules = self.chains.entry(chain(family, table, name)).or_default();
                let (next, rule) = match rule {
                    ["handle", handle, rule @ ..] => (Some(*handle), rule),
                    rule => (None, rule),
                };
                let at = rules.iter().position(|(_, handle)| Some(handle.to_string().as_str()) == next);
                let at = at.unwrap_or(if words[0] == "add" { rules.len() } else { 0 });
                let handle = 5000 + rules.len() as u64;
                rules.insert(at, (rule.join(" "), handle));
                Ok(String::new())
            }
            _ => Err(program_failed(argv, 1)),
        }
    }

    fn firewall_cmd(&mut self, argv: &[String]) -> Result<String> {
        let line = argv.join(" ");
        if line.contains("--get-default-zone") {
            return Ok("public\n".into());
        }
        if line.contains("--get-zone-of-interface=") {
            return Err(program_failed(argv, 2));
        }
        if line.contains("--list-all") {
            return Ok(self.firewalld.iter().filter(|rule| rule.contains("--permanent")).cloned().collect());
        }
        let as_added = ["query", "remove", "change"].iter().fold(line.clone(), |line, verb| {
            ["port", "rich-rule", "interface"].iter().fold(line, |line, what| {
                line.replace(&format!("--{verb}-{what}="), &format!("--add-{what}="))
            })
        });
        if line.contains("--query-") {
            return if self.firewalld.contains(&as_added) {
                Ok("yes\n".into())
            } else {
                Err(program_failed(argv, 1))
            };
        }
        if line.contains("--remove-") {
            self.firewalld.remove(&as_added)
        } else {
            self.firewalld.insert(as_added)
        };
        Ok("success\n".into())
    }

    fn read_api(&self, path: &str) -> std::result::Result<Value, Why> {
        let absent = || Why::Refused { status: 404, what: format!("{path} not found") };
        let list = |all: &BTreeMap<String, Value>| Value::from(all.values().cloned().collect::<Vec<_>>());
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        if self.no_leader && path != "/info" {
            return Err(Why::Refused { status: 500, what: "the swarm does not have a leader".into() });
        }
        match segments.as_slice() {
            ["info"] => {
                let certificate = self.files.get(Path::new(CERTIFICATE));
                let expired = certificate.is_some_and(|pem| pem.ends_with(b"expired"));
                let managers = json!([{"NodeID": "manager2", "Addr": "192.0.2.2:2377"}]);
                let state = match (self.in_swarm(), self.locked) {
                    (true, false) if expired => "error",
                    (_, true) => "locked",
                    (true, false) => "active",
                    (false, false) => "inactive",
                };
                let control = state == "active" && self.node_id() == NODE;
                let cluster = if control { json!({"ID": "cluster1"}) } else { Value::Null };
                Ok(json!({
                    "DockerRootDir": "/var/lib/docker",
                    "Swarm": {
                        "NodeID": self.node_id(), "LocalNodeState": state, "ControlAvailable": control,
                        "Cluster": cluster, "NodeAddr": "192.0.2.1",
                        "RemoteManagers": if expired { json!([]) } else { managers },
                    },
                }))
            }
            ["nodes"] => Ok(list(&self.nodes)),
            ["nodes", id] => self.nodes.get(*id).cloned().ok_or_else(absent),
            ["services"] => Ok(list(&self.services)),
            ["services", id] => self.services.get(*id).cloned().ok_or_else(absent),
            ["networks"] => Ok(list(&self.networks)),
            _ => Err(absent()),
        }
    }

    fn change_api(&mut self, method: &Method, path: &str, body: &Value) -> std::result::Result<Value, Why> {
        let refused = |what: &str| Why::Refused { status: 400, what: what.to_owned() };
        let path = path.split('?').next().unwrap_or_default();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match (method.as_str(), segments.as_slice()) {
            ("POST", ["nodes", id, "update"]) => {
                let node = self.nodes.get_mut(*id).ok_or_else(|| refused("no such node"))?;
                node["Spec"] = body.clone();
            }
            ("DELETE", ["nodes", id]) => {
                if self.nodes.get(*id).is_some_and(|node| node["Spec"]["Role"] == "manager") {
                    return Err(refused("it is a manager"));
                }
                self.nodes.remove(*id).ok_or_else(|| refused("no such node"))?;
            }
            ("POST", ["services", id, "update"]) => {
                let service = self.services.get_mut(*id).ok_or_else(|| refused("no such service"))?;
                service["Spec"] = body.clone();
                service["UpdateStatus"] = json!({"State": "completed"});
            }
            ("POST", ["networks", "create"]) => {
                let mut network = body.clone();
                network["Id"] = format!("net{}", self.networks.len() + 10).into();
                if let Some(map) = network.as_object_mut() {
                    map.remove("CheckDuplicate");
                    map.retain(|_, value| !value.is_null() && *value != json!({}));
                }
                self.networks.insert(network["Id"].as_str().unwrap_or_default().into(), network);
            }
            ("DELETE", ["networks", id]) => drop(self.networks.remove(*id)),
            ("POST", ["swarm", "leave"]) => self.remove(Path::new(STATE)),
            ("POST", ["swarm", "join"]) => {
                if self.in_swarm() {
                    return Err(refused("this node is already part of a swarm"));
                }
                self.join(body, b"joined");
            }
            ("POST", ["swarm", "init"]) => {
                self.no_leader = false;
                self.join(body, PEM.as_bytes());
            }
            ("POST", ["swarm", "unlock"]) => self.locked = false,
            _ => return Err(refused("unknown request")),
        }
        Ok(Value::Null)
    }
}

impl System for FakeSystem {
    fn config(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        self.see(|state| state.files.get(path).cloned())
    }

    fn replace(&self, path: &Path, before: Option<&[u8]>, after: Option<&[u8]>) -> Result<()> {
        self.act("a file", |state| {
            if state.files.get(path).map(Vec::as_slice) != before {
                return Err(FixError::Changed { what: path.display().to_string() });
            }
            match after {
                Some(after) => drop(state.files.insert(path.into(), after.to_vec())),
                None => drop(state.files.remove(path)),
            }
            Ok(())
        })
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        self.config(path)
    }

    fn is_directory(&self, path: &Path) -> bool {
        let state = self.state.borrow();
        state.directories.contains(path)
            || state.files.keys().any(|file| file != path && file.starts_with(path))
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.act("a file", |state| {
            let removed = state.files.remove(path);
            removed.map(drop).ok_or_else(|| FixError::io("remove", path)(ErrorKind::NotFound.into()))
        })
    }

    fn create_directory(&self, path: &Path) -> Result<bool> {
        self.act("a directory", |state| Ok(state.directories.insert(path.into())))
    }

    fn create(&self, path: &Path, content: &[u8]) -> Result<()> {
        self.act("a file", |state| {
            state.files.insert(path.into(), content.to_vec());
            Ok(())
        })
    }

    fn append(&self, path: &Path, content: &[u8]) -> Result<()> {
        self.act("a file", |state| {
            state.files.entry(path.into()).or_default().extend(content);
            Ok(())
        })
    }

    fn truncate(&self, path: &Path, length: u64) -> Result<()> {
        self.act("a file", |state| {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            state.files.entry(path.into()).or_default().truncate(length);
            Ok(())
        })
    }

    fn list(&self, directory: &Path) -> Result<Vec<String>> {
        self.see(|state| {
            let all = state.files.keys().chain(&state.directories);
            let names: BTreeSet<String> = all
                .filter_map(|path| path.strip_prefix(directory).ok()?.components().next())
                .map(|name| name.as_os_str().to_string_lossy().into_owned())
                .collect();
            names.into_iter().collect()
        })
    }

    fn copy_tree(&self, from: &Path, to: &Path, except: Option<&str>) -> Result<()> {
        self.act("a directory", |state| {
            state.copy(from, to, except);
            Ok(())
        })
    }

    fn install_tree(&self, copy: &Path, place: &Path) -> Result<()> {
        self.act("a directory", |state| {
            state.copy(copy, place, None);
            Ok(())
        })
    }

    fn sysctl(&self, key: &str) -> Result<String> {
        self.see(|state| state.sysctls.get(key).cloned().unwrap_or_default())
    }

    fn set_sysctl(&self, key: &str, to: &str) -> Result<()> {
        self.act("a kernel parameter", |state| {
            state.sysctls.insert(key.into(), to.into());
            Ok(())
        })
    }

    fn module_users(&self, name: &str) -> Option<u64> {
        self.state.borrow().modules.get(name).copied()
    }

    fn run(&self, argv: &[String], _limit: Duration) -> Result<String> {
        let asks = ["--query-", "--list-all", "--get-", "-C", "-S", "--stateless", "show"];
        let only_asks = argv.iter().any(|word| asks.iter().any(|ask| word.starts_with(ask)));
        if only_asks {
            return self.see(|state| state.clone().run(argv))?;
        }
        self.act("a program", |state| state.run(argv))
    }

    fn holds(&self, addr: IpAddr) -> bool {
        self.state.borrow().addresses.contains(&addr)
    }

    fn neighbour(&self, _addr: IpAddr) -> io::Result<Option<NeighbourStatus>> {
        Ok(None)
    }

    fn can_bind(&self, _port: u16) -> io::Result<()> {
        Ok(())
    }

    fn engine_pid(&self) -> Option<u32> {
        self.state.borrow().engine_runs.then_some(1)
    }

    fn service_manager(&self) -> Option<ServiceManager> {
        Some(ServiceManager::Systemd { unit: "docker.service".into() })
    }

    fn reload_engine(&self, _pid: u32) -> Result<()> {
        self.act("dockerd", |_| Ok(()))
    }

    fn identity(&self) -> Answer<'_, Identity> {
        let state = self.state.borrow();
        let node_id = state.engine_runs.then(|| state.node_id());
        let cluster_id =
            node_id.as_ref().map(|id| if id == NODE { "cluster1".to_owned() } else { String::new() });
        let identity = Identity { node_id, cluster_id, machine_id: "host".into(), boot_id: "boot".into() };
        Box::pin(std::future::ready(identity))
    }

    fn foreign(&self) -> Option<String> {
        None
    }

    fn api<'a>(&'a self, method: Method, path: &'a str, body: &'a Value) -> Answer<'a, Result<Value>> {
        let answer = || {
            if !self.see(|state| state.engine_runs)? {
                return Err(FixError::NoEngine(Why::Unreachable { what: "connection refused".into() }));
            }
            let failed = |why| FixError::Api { request: format!("{method} {path}"), why };
            if method == Method::GET {
                return self.state.borrow().read_api(path).map_err(failed);
            }
            self.act(path, |state| state.change_api(&method, path, body).map_err(failed))
        };
        Box::pin(std::future::ready(answer()))
    }

    fn ping(&self) -> Answer<'_, Result<()>> {
        let answer = match self.see(|state| state.engine_runs) {
            Ok(true) => Ok(()),
            Ok(false) => Err(FixError::NoEngine(Why::Unreachable { what: "connection refused".into() })),
            Err(error) => Err(error),
        };
        Box::pin(std::future::ready(answer))
    }

    fn connect(&self, _addr: SocketAddr, _limit: Duration) -> Answer<'_, io::Result<()>> {
        Box::pin(std::future::ready(Err(ErrorKind::TimedOut.into())))
    }

    fn greet(&self, _addr: SocketAddr, _limit: Duration) -> Answer<'_, Greeting> {
        let digest = match facts::parse::token(TOKEN) {
            facts::join::Token::Valid { root_ca, .. } => root_ca,
            facts::join::Token::Malformed { .. } => String::new(),
        };
        let root_ca = RootCa::Returned { certificate: None, digest };
        let answer = TlsAnswer { protocol: None, certificate: None, root_ca };
        Box::pin(std::future::ready(Greeting::Tls(Box::new(answer))))
    }

    fn raft_log(&self, _state: &Path) -> Result<Option<RaftLog>> {
        self.see(|_| Some(RaftLog { term: 1, index: 1 }))
    }

    fn engine_log(&self) -> Answer<'_, Option<Log>> {
        Box::pin(std::future::ready(None))
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn uptime(&self) -> Duration {
        self.clock.get()
    }

    fn sleep(&self, time: Duration) -> Answer<'_, ()> {
        self.clock.set(self.clock.get() + time);
        Box::pin(std::future::ready(()))
    }
}
