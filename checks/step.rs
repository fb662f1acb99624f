//! One thing to do on one node.

use crate::remedies::rejoin::join_command;
use crate::remedy::shell_quote;
use crate::{JsonRepair, Opening, ServiceChange};
use facts::NodeName;
use std::net::{IpAddr, SocketAddr};

/// The file for the kernel settings of a swarm.
pub const SYSCTL_FILE: &str = "/etc/sysctl.d/90-swarm.conf";

/// One thing to do on one node. Closed on purpose: each can be shown, backed up, carried out, and undone or declared
/// final. What is shown of it and what is done come from the same values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Set or remove a key of a JSON file.
    EditJson {
        /// Where.
        node: NodeName,
        /// The file.
        file: String,
        /// The key, as a JSON pointer.
        pointer: String,
        /// The new value as JSON, or none to remove the key.
        to: Option<String>,
    },
    /// Make a text JSON again.
    RepairJson {
        /// Where.
        node: NodeName,
        /// The file.
        file: String,
        /// What is wrong with it, and allows one cure only.
        repairs: Vec<JsonRepair>,
    },
    /// Set a kernel setting, now and for every start.
    SetSysctl {
        /// Where.
        node: NodeName,
        /// Its dotted name.
        key: String,
        /// Its value.
        to: String,
    },
    /// Load a kernel module, now and at every start.
    LoadModule {
        /// Where.
        node: NodeName,
        /// Its name.
        module: String,
    },
    /// Let packets through the packet filter.
    OpenFilter {
        /// Where.
        node: NodeName,
        /// What is done, in words.
        text: String,
        /// How, in order.
        openings: Vec<Opening>,
    },
    /// Let the engine read its configuration again.
    ReloadEngine {
        /// Where.
        node: NodeName,
    },
    /// Start an engine that does not run.
    StartEngine {
        /// Where.
        node: NodeName,
    },
    /// Start the engine again.
    RestartEngine {
        /// Where.
        node: NodeName,
    },
    /// Let a node that was paused or drained take tasks again.
    ActivateNode {
        /// The manager where it is done.
        node: NodeName,
        /// The node's name.
        name: NodeName,
        /// Its id.
        id: String,
    },
    /// Take an entry out of the node list.
    RemoveNode {
        /// The manager where it is done.
        node: NodeName,
        /// The entry, by its id.
        id: String,
        /// It was a manager, and is demoted first.
        manager: bool,
    },
    /// Change what a service asks for.
    UpdateService {
        /// The manager where it is done.
        node: NodeName,
        /// The service's name.
        service: String,
        /// What is done, in words.
        text: String,
        /// The changes, which are made at once.
        changes: Vec<ServiceChange>,
    },
    /// Make the network that published ports live on.
    CreateIngress {
        /// The manager where it is done.
        node: NodeName,
    },
    /// Make the network that published ports live on anew, in another subnet.
    RemakeIngress {
        /// The manager where it is done.
        node: NodeName,
        /// The network's name.
        network: String,
        /// Its subnet from then on.
        subnet: String,
        /// The services that publish through it, each with its ports, outside and inside.
        published: Vec<(String, Vec<(u16, u16)>)>,
    },
    /// Unlock the manager with the key that is asked for.
    Unlock {
        /// Where.
        node: NodeName,
    },
    /// Found the swarm anew from what this manager knows, without the others.
    ForceNewCluster {
        /// The manager where it is done.
        node: NodeName,
        /// The managers that are given up, as they are shown.
        lost: Vec<String>,
        /// What its engine was told of addresses and ports when the swarm was made or joined, as flags.
        told: String,
    },
    /// Let the only manager of a swarm, whose certificate has run out, renew it.
    RenewCertificate {
        /// The manager.
        node: NodeName,
        /// The data root of its engine.
        root: String,
        /// What its engine was told of addresses and ports when the swarm was made, as flags.
        told: String,
    },
    /// Make a manager a worker.
    DemoteManager {
        /// The other manager where it is done.
        node: NodeName,
        /// The manager.
        name: NodeName,
        /// Its id, where it is known.
        id: Option<String>,
    },
    /// Leave the swarm.
    Leave {
        /// Who leaves.
        node: NodeName,
        /// Although it is a manager, or no manager knows of it.
        force: bool,
    },
    /// Join the swarm that is remembered, with the token that is asked for.
    Join {
        /// Who joins.
        node: NodeName,
        /// The address to advertise, where it is another one than before.
        advertise: Option<String>,
        /// As a manager.
        manager: bool,
        /// The manager through which it joins, where one is known.
        through: Option<SocketAddr>,
    },
    /// Make a swarm.
    Init {
        /// Its first manager.
        node: NodeName,
        /// The address to advertise.
        advertise: String,
    },
    /// Give an interface one more address.
    AddAddress {
        /// Where.
        node: NodeName,
        /// The interface.
        device: String,
        /// The address.
        addr: IpAddr,
        /// The length of its prefix.
        prefix: u8,
    },
    /// Something to be done by a person.
    Manual {
        /// Where.
        node: NodeName,
        /// What.
        text: String,
        /// The commands, where there are any.
        commands: Vec<String>,
    },
}

impl Step {
    /// The node on which it is done.
    pub fn node(&self) -> &NodeName {
        match self {
            Self::EditJson { node, .. }
            | Self::RepairJson { node, .. }
            | Self::SetSysctl { node, .. }
            | Self::LoadModule { node, .. }
            | Self::OpenFilter { node, .. }
            | Self::ReloadEngine { node }
            | Self::StartEngine { node }
            | Self::RestartEngine { node }
            | Self::ActivateNode { node, .. }
            | Self::RemoveNode { node, .. }
            | Self::UpdateService { node, .. }
            | Self::CreateIngress { node }
            | Self::RemakeIngress { node, .. }
            | Self::Unlock { node }
            | Self::ForceNewCluster { node, .. }
            | Self::RenewCertificate { node, .. }
            | Self::DemoteManager { node, .. }
            | Self::Leave { node, .. }
            | Self::Join { node, .. }
            | Self::Init { node, .. }
            | Self::AddAddress { node, .. }
            | Self::Manual { node, .. } => node,
        }
    }

    /// The word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::EditJson { .. } => "edit-json",
            Self::RepairJson { .. } => "mend-json",
            Self::SetSysctl { .. } => "set-sysctl",
            Self::LoadModule { .. } => "load-module",
            Self::OpenFilter { .. } => "open-filter",
            Self::ReloadEngine { .. } => "reload-engine",
            Self::StartEngine { .. } => "start-engine",
            Self::RestartEngine { .. } => "restart-engine",
            Self::ActivateNode { .. } => "activate-node",
            Self::RemoveNode { .. } => "remove-node",
            Self::UpdateService { .. } => "update-service",
            Self::CreateIngress { .. } => "create-ingress",
            Self::RemakeIngress { .. } => "remake-ingress",
            Self::Unlock { .. } => "unlock",
            Self::ForceNewCluster { .. } => "force-new-cluster",
            Self::RenewCertificate { .. } => "renew-certificate",
            Self::DemoteManager { .. } => "demote-manager",
            Self::Leave { .. } => "leave",
            Self::Join { .. } => "join",
            Self::Init { .. } => "init",
            Self::AddAddress { .. } => "add-address",
            Self::Manual { .. } => "manual",
        }
    }

    /// What is done, in words.
    pub fn text(&self) -> String {
        match self {
            Self::EditJson { file, pointer, to: Some(value), .. } => {
                format!("in {file} set {pointer} to {value}")
            }
            Self::EditJson { file, pointer, to: None, .. } => format!("in {file} remove {pointer}"),
            Self::RepairJson { file, repairs, .. } => {
                let repairs: Vec<_> = repairs.iter().map(JsonRepair::to_string).collect();
                format!("in {file} {}", repairs.join(", then "))
            }
            Self::SetSysctl { key, to, .. } => format!("set {key} to {to}, now and at every start"),
            Self::LoadModule { module, .. } => {
                format!("load the kernel module {module}, now and at every start")
            }
            Self::OpenFilter { text, .. } | Self::UpdateService { text, .. } | Self::Manual { text, .. } => {
                text.clone()
            }
            Self::ReloadEngine { .. } => {
                "let the engine read its configuration again; nothing restarts".to_owned()
            }
            Self::StartEngine { .. } => "start the engine, if it does not run".to_owned(),
            Self::RestartEngine { .. } => "restart the engine".to_owned(),
            Self::ActivateNode { name, .. } => format!("let {name} take tasks again"),
            Self::RemoveNode { .. } => "remove it by its id".to_owned(),
            Self::CreateIngress { .. } => {
                "create it on a manager; choose a subnet that no other network of yours has".to_owned()
            }
            Self::RemakeIngress { network, subnet, published, .. } => {
                let services: Vec<_> = published.iter().map(|(service, _)| service.as_str()).collect();
                let first = match services.is_empty() {
                    true => String::new(),
                    false => format!("take the published ports off {}, ", services.join(", ")),
                };
                let last = if services.is_empty() { "" } else { ", and publish them again" };
                format!("{first}remove {network}, make it anew with {subnet}{last}")
            }
            Self::Unlock { .. } => "give the key".to_owned(),
            Self::ForceNewCluster { .. } => {
                "only if those managers are gone for good, for one that comes back would found a second swarm with the \
                 same tasks; on this one node alone, after a copy of <data-root>/swarm was taken with the engine stopped"
                    .to_owned()
            }
            Self::RenewCertificate { .. } => {
                "keep what it knows of the swarm, let the engine start as if it were in none, for one that knows itself to be \
                 in it refuses what comes last, and found the swarm anew from that, which takes the old certificate and \
                 renews it"
                    .to_owned()
            }
            Self::DemoteManager { .. } => "demote the node, from a manager that answers".to_owned(),
            Self::Leave { .. } => "leave the swarm".to_owned(),
            Self::Join { manager, .. } => {
                let role = if *manager { "manager" } else { "worker" };
                format!("join with the token that `docker swarm join-token -q {role}` prints on a manager")
            }
            Self::Init { .. } => "make a swarm anew".to_owned(),
            Self::AddAddress { device, addr, .. } => format!("add {addr} to {device}"),
        }
    }

    /// The commands a person would type for it.
    pub fn commands(&self) -> Vec<String> {
        let one = |command: &str| vec![command.to_owned()];
        match self {
            Self::EditJson { .. } => Vec::new(),
            Self::RepairJson { .. } => one("dockerd --validate"),
            Self::SetSysctl { key, to, .. } => {
                vec![format!("sysctl -w {key}={to}"), format!("echo '{key} = {to}' >> {SYSCTL_FILE}")]
            }
            Self::LoadModule { module, .. } => {
                vec![
                    format!("modprobe {module}"),
                    format!("echo {module} > /etc/modules-load.d/{module}.conf"),
                ]
            }
            Self::OpenFilter { openings, .. } => openings.iter().map(Opening::command).collect(),
            Self::ReloadEngine { .. } => one("systemctl reload docker"),
            Self::StartEngine { .. } => one("systemctl start docker"),
            Self::RestartEngine { .. } => one("systemctl restart docker"),
            Self::ActivateNode { name, .. } => {
                vec![format!("docker node update --availability active {}", shell_quote(name.as_str()))]
            }
            Self::RemoveNode { id, manager, .. } => {
                let demote = manager.then(|| format!("docker node demote {}", shell_quote(id)));
                demote.into_iter().chain([format!("docker node rm {}", shell_quote(id))]).collect()
            }
            Self::UpdateService { service, changes, .. } => {
                let flags: Vec<_> = changes.iter().map(ServiceChange::flag).collect();
                vec![format!("docker service update {} {}", flags.join(" "), shell_quote(service))]
            }
            Self::CreateIngress { .. } => one("docker network create --driver overlay --ingress ingress"),
            Self::RemakeIngress { network, subnet, published, .. } => {
                let update = |(service, ports): &(String, Vec<(u16, u16)>),
                              flag: fn(&(u16, u16)) -> String| {
                    let flags: Vec<_> = ports.iter().map(flag).collect();
                    format!("docker service update {} {}", flags.join(" "), shell_quote(service))
                };
                let off =
                    published.iter().map(|one| update(one, |(_, inside)| format!("--publish-rm {inside}")));
                let on = published
                    .iter()
                    .map(|one| update(one, |(outside, inside)| format!("--publish-add {outside}:{inside}")));
                let network = shell_quote(network);
                let make =
                    format!("docker network create --driver overlay --ingress --subnet {subnet} {network}");
                off.chain([format!("docker network rm {network}"), make]).chain(on).collect()
            }
            Self::Unlock { .. } => one("docker swarm unlock"),
            Self::ForceNewCluster { told, .. } => {
                vec![format!("docker swarm init --force-new-cluster{told}")]
            }
            Self::RenewCertificate { root, told, .. } => {
                let state = shell_quote(&format!("{root}/swarm"));
                vec![
                    "systemctl stop docker docker.socket".to_owned(),
                    format!("cp -a {state} {state}.before"),
                    format!("rm {state}/docker-state.json"),
                    "systemctl start docker".to_owned(),
                    format!("docker swarm init --force-new-cluster{told}"),
                ]
            }
            Self::DemoteManager { name, .. } => {
                vec![format!("docker node demote {}", shell_quote(name.as_str()))]
            }
            Self::Leave { force: true, .. } => one("docker swarm leave --force"),
            Self::Leave { force: false, .. } => one("docker swarm leave"),
            Self::Join { advertise, through, .. } => vec![join_command(advertise.as_deref(), *through)],
            Self::Init { advertise, .. } => vec![format!("docker swarm init --advertise-addr {advertise}")],
            Self::AddAddress { device, addr, prefix, .. } => {
                vec![format!("ip addr add {addr}/{prefix} dev {}", shell_quote(device))]
            }
            Self::Manual { commands, .. } => commands.clone(),
        }
    }
}
