//! One step of a remedy on one node.

use crate::remedies::rejoin::join_command;
use crate::remedy::shell_quote;
use crate::{FirewallChange, JsonRepair, ServiceChange, Target};
use facts::NodeName;
use std::net::{IpAddr, SocketAddr};

/// The file for the kernel settings of a swarm.
pub const SYSCTL_FILE: &str = "/etc/sysctl.d/90-swarm.conf";

/// One step of a remedy. The set is closed: each step can be displayed, backed up, applied, and either reverted or declared
/// irreversible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Set or remove a key of a JSON file.
    EditJson {
        /// The node on which it is applied.
        node: Target,
        /// The file.
        file: String,
        /// The key, as a JSON pointer.
        pointer: String,
        /// The new value as JSON, or none to remove the key.
        to: Option<String>,
    },
    /// Repair the syntax of a JSON file.
    RepairJson {
        /// The node on which it is applied.
        node: Target,
        /// The file.
        file: String,
        /// The syntax errors, each with only one possible repair.
        repairs: Vec<JsonRepair>,
    },
    /// Set a kernel parameter, now and at every boot.
    SetSysctl {
        /// The node on which it is applied.
        node: Target,
        /// Its dotted name.
        key: String,
        /// Its value.
        to: String,
    },
    /// Load a kernel module, now and at every boot.
    LoadModule {
        /// The node on which it is applied.
        node: Target,
        /// Its name.
        module: String,
    },
    /// Change firewall rules so that they accept the swarm's packets.
    ChangeFirewall {
        /// The node on which it is applied.
        node: Target,
        /// What the changes do, as an imperative.
        text: String,
        /// The changes, in order.
        changes: Vec<FirewallChange>,
    },
    /// Make dockerd reload its configuration (SIGHUP).
    ReloadEngine {
        /// The node on which it is applied.
        node: Target,
    },
    /// Start dockerd if it does not run.
    StartEngine {
        /// The node on which it is applied.
        node: Target,
    },
    /// Restart dockerd.
    RestartEngine {
        /// The node on which it is applied.
        node: Target,
    },
    /// Set the availability of a node to active.
    ActivateNode {
        /// The manager on which it is applied.
        node: Target,
        /// The node's name.
        name: NodeName,
        /// Its id.
        id: String,
    },
    /// Remove an entry from the node list.
    RemoveNode {
        /// The manager on which it is applied.
        node: Target,
        /// The node id of the entry.
        id: String,
        /// The entry is a manager and is demoted first.
        manager: bool,
    },
    /// Change the specification of a service.
    UpdateService {
        /// The manager on which it is applied.
        node: Target,
        /// The service's name.
        service: String,
        /// What the changes do, as an imperative.
        text: String,
        /// The changes, applied in one update.
        changes: Vec<ServiceChange>,
    },
    /// Create the ingress network.
    CreateIngress {
        /// The manager on which it is applied.
        node: Target,
    },
    /// Remove the ingress network and create it with another subnet.
    RecreateIngress {
        /// The manager on which it is applied.
        node: Target,
        /// The network's name.
        network: String,
        /// The new subnet.
        subnet: String,
        /// The services that publish ports through it, each with its published and target ports.
        published: Vec<(String, Vec<(u16, u16)>)>,
    },
    /// Unlock the manager; prompts for the unlock key.
    Unlock {
        /// The node on which it is applied.
        node: Target,
    },
    /// Re-create the cluster from the raft log of this manager (`--force-new-cluster`), without the other managers.
    ForceNewCluster {
        /// The manager on which it is applied.
        node: Target,
        /// The managers that are removed from the cluster, as displayed.
        lost: Vec<String>,
        /// The address and port flags that the engine recorded when it joined the swarm, each with a leading space.
        flags: String,
    },
    /// Renew the expired certificate of the only manager of a swarm.
    RenewCertificate {
        /// The manager.
        node: Target,
        /// The data root of its engine.
        root: String,
        /// The address and port flags that the engine recorded when the swarm was created, each with a leading space.
        flags: String,
    },
    /// Demote a manager to worker.
    DemoteManager {
        /// The manager on which it is applied.
        node: Target,
        /// The manager.
        name: NodeName,
        /// Its id, if known.
        id: Option<String>,
    },
    /// Leave the swarm.
    Leave {
        /// The node that leaves.
        node: Target,
        /// Needed for a manager, and for a node that no manager lists.
        force: bool,
    },
    /// Join the swarm again; prompts for the join token.
    Join {
        /// The node that joins.
        node: Target,
        /// The address to advertise; none keeps the previous one.
        advertise: Option<String>,
        /// Join as manager, not as worker.
        manager: bool,
        /// The manager through which it joins, if one is known.
        through: Option<SocketAddr>,
    },
    /// Create a swarm.
    Init {
        /// Its first manager.
        node: Target,
        /// The address to advertise.
        advertise: String,
    },
    /// Add an address to an interface.
    AddAddress {
        /// The node on which it is applied.
        node: Target,
        /// The interface.
        device: String,
        /// The address.
        addr: IpAddr,
        /// The length of its prefix.
        prefix: u8,
    },
    /// An instruction that only a person can carry out.
    Manual {
        /// The node on which it is applied.
        node: Target,
        /// The instruction.
        text: String,
        /// Commands for it, possibly none.
        commands: Vec<String>,
    },
}

impl Step {
    /// The node on which it is applied.
    pub fn target(&self) -> &Target {
        match self {
            Self::EditJson { node, .. }
            | Self::RepairJson { node, .. }
            | Self::SetSysctl { node, .. }
            | Self::LoadModule { node, .. }
            | Self::ChangeFirewall { node, .. }
            | Self::ReloadEngine { node }
            | Self::StartEngine { node }
            | Self::RestartEngine { node }
            | Self::ActivateNode { node, .. }
            | Self::RemoveNode { node, .. }
            | Self::UpdateService { node, .. }
            | Self::CreateIngress { node }
            | Self::RecreateIngress { node, .. }
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

    /// Its kind in JSON reports.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::EditJson { .. } => "edit-json",
            Self::RepairJson { .. } => "repair-json",
            Self::SetSysctl { .. } => "set-sysctl",
            Self::LoadModule { .. } => "load-module",
            Self::ChangeFirewall { .. } => "change-firewall",
            Self::ReloadEngine { .. } => "reload-engine",
            Self::StartEngine { .. } => "start-engine",
            Self::RestartEngine { .. } => "restart-engine",
            Self::ActivateNode { .. } => "activate-node",
            Self::RemoveNode { .. } => "remove-node",
            Self::UpdateService { .. } => "update-service",
            Self::CreateIngress { .. } => "create-ingress",
            Self::RecreateIngress { .. } => "recreate-ingress",
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

    /// What it does, as an imperative.
    pub fn text(&self) -> String {
        match self {
            Self::EditJson { file, pointer, to: Some(value), .. } => {
                format!("in {file}, set {} to {value}", json_key(pointer))
            }
            Self::EditJson { file, pointer, to: None, .. } => {
                format!("in {file}, remove {}", json_key(pointer))
            }
            Self::RepairJson { file, repairs, .. } => {
                let repairs: Vec<_> = repairs.iter().map(JsonRepair::to_string).collect();
                format!("in {file}, {}", repairs.join(", then "))
            }
            Self::SetSysctl { key, to, .. } => format!("set {key} to {to}, now and at every boot"),
            Self::LoadModule { module, .. } => {
                format!("load the kernel module {module}, now and at every boot")
            }
            Self::ChangeFirewall { text, .. }
            | Self::UpdateService { text, .. }
            | Self::Manual { text, .. } => text.clone(),
            Self::ReloadEngine { .. } => "reload the configuration of dockerd; nothing restarts".to_owned(),
            Self::StartEngine { .. } => "start dockerd if it does not run".to_owned(),
            Self::RestartEngine { .. } => "restart dockerd".to_owned(),
            Self::ActivateNode { name, .. } => format!("set the availability of {name} to active"),
            Self::RemoveNode { id, manager: true, .. } => {
                format!("demote node {id} and remove it from the node list")
            }
            Self::RemoveNode { id, manager: false, .. } => format!("remove node {id} from the node list"),
            Self::CreateIngress { .. } => "create the ingress network".to_owned(),
            Self::RecreateIngress { network, subnet, published, .. } => {
                let services: Vec<_> = published.iter().map(|(service, _)| service.as_str()).collect();
                let recreate = format!("remove the network {network} and create it with the subnet {subnet}");
                if services.is_empty() {
                    recreate
                } else {
                    let services = services.join(", ");
                    format!("unpublish the ports of {services}; {recreate}; publish the ports again")
                }
            }
            Self::Unlock { .. } => "unlock the manager with its unlock key".to_owned(),
            Self::ForceNewCluster { lost, .. } => {
                let lost = if lost.is_empty() {
                    "the other managers are".to_owned()
                } else {
                    format!("{} {} ", lost.join(", "), if lost.len() == 1 { "is" } else { "are" })
                        .trim_end()
                        .to_owned()
                };
                format!(
                    "only if {lost} permanently lost: back up <data-root>/swarm with dockerd stopped, then re-create the \
                     cluster on this manager alone. A lost manager that returns forms a second swarm with the same tasks"
                )
            }
            Self::RenewCertificate { .. } => {
                "back up the swarm state, start dockerd without it, then re-create the cluster \
                                              from it, which accepts the expired certificate and renews it"
                    .to_owned()
            }
            Self::DemoteManager { name, .. } => format!("demote {name} to worker"),
            Self::Leave { .. } => "leave the swarm".to_owned(),
            Self::Join { manager, .. } => {
                let role = if *manager { "manager" } else { "worker" };
                format!(
                    "join the swarm with the token that `docker swarm join-token -q {role}` prints on a manager"
                )
            }
            Self::Init { advertise, .. } => format!("create a swarm that advertises {advertise}"),
            Self::AddAddress { device, addr, prefix, .. } => {
                format!("add the address {addr}/{prefix} to the interface {device}")
            }
        }
    }

    /// The equivalent commands, on a host with systemd.
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
            Self::ChangeFirewall { changes, .. } => changes.iter().map(FirewallChange::command).collect(),
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
            Self::RecreateIngress { network, subnet, published, .. } => {
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
            Self::ForceNewCluster { flags, .. } => {
                vec![format!("docker swarm init --force-new-cluster{flags}")]
            }
            Self::RenewCertificate { root, flags, .. } => {
                let state = shell_quote(&format!("{root}/swarm"));
                vec![
                    "systemctl stop docker docker.socket".to_owned(),
                    format!("cp -a {state} {state}.before"),
                    format!("rm {state}/docker-state.json"),
                    "systemctl start docker".to_owned(),
                    format!("docker swarm init --force-new-cluster{flags}"),
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

/// A JSON pointer in readable form: `/log-opts/max-size` is `"log-opts" > "max-size"`.
fn json_key(pointer: &str) -> String {
    let name = |name: &str| format!("{:?}", name.replace("~1", "/").replace("~0", "~"));
    pointer.split('/').skip(1).map(name).collect::<Vec<_>>().join(" > ")
}

#[cfg(test)]
mod tests {
    use super::json_key;

    #[test]
    fn a_json_pointer_is_shown_as_keys() {
        assert_eq!(json_key("/live-restore"), r#""live-restore""#);
        assert_eq!(json_key("/log-opts/a~1b"), r#""log-opts" > "a/b""#);
    }
}
