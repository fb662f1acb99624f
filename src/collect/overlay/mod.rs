//! The data plane: whether overlay packets get from this node to the others, of what size, and with what loss.
//!
//! In the namespace of an overlay the kernel has a neighbour entry and a forwarding entry for each endpoint on another node,
//! which the engine added from gossip. The tables list the endpoints to probe, and an echo from an endpoint of this node to
//! an endpoint of another node takes the path of the packets of tasks. The kernel of the other node answers it; no engine
//! takes part and nothing is logged. No entry is added to the tables: the entries of the engine are permanent. As for any
//! packet, the probing namespace keeps the neighbour entry for some seconds.

mod burst;
mod capture;
mod echo;
mod tables;
mod vxlan;

use super::{Artifact, Place, Session, apart, netlink, netns, why};
use facts::container::Container;
use facts::network::Network;
use facts::overlay::{DataPlane, Overlay};
use facts::{Fact, Host, Need, Why};
use futures_util::future::join_all;
use nix::sched::{CloneFlags, setns};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use tables::Endpoint;

/// The artifacts that list the overlays and their namespaces.
const NEEDS: [Need; 4] = [Need::Networks, Need::Containers, Need::EngineProcess, Need::DaemonJson];
/// The default of `--exec-root`, under which dockerd keeps its namespaces.
const EXEC_ROOT: &str = "/run/docker";
/// The maximum number of probed overlays. All take the same path between the nodes.
const MAX_OVERLAYS: usize = 8;
/// The maximum number of probed nodes on the ingress network, and on each other overlay. The sum is below the size of the
/// kernel's neighbour table.
const MAX_NODES: [usize; 2] = [256, 32];

pub(super) async fn overlays(session: &Session) -> Vec<Artifact> {
    let place =
        Place::new(Need::Overlays, "overlays.json", "netlink and ICMP echoes in the overlays' namespaces");
    if let Some(why) = session.elsewhere() {
        return vec![place.missed(why)];
    }
    let devices = Place::new(
        Need::Overlays,
        "host/engine-namespaces.json",
        "netlink: RTM_GETLINK in the network namespaces of the engine",
    );
    let bundle = session.partial(&NEEDS).await;
    let Some(host) = facts::parse::snapshot(&bundle).hosts.pop() else { return Vec::new() };
    let networks = match &host.networks {
        Fact::Seen(networks) => here(&networks.value),
        Fact::Unseen(gap) => return vec![place.missed(gap.why.clone())],
    };
    let namespaces = exec_root(&host).join("netns");
    let (names, devices) = match apart(move || names(&namespaces)).await {
        Ok(names) => {
            let all = names.clone();
            let devices = match apart(move || vxlan::read_all(&all)).await {
                Ok(found) => devices.kept_as_json(&found),
                Err(why) => devices.missed(why),
            };
            (names, devices)
        }
        Err(why) if networks.is_empty() => (BTreeMap::new(), devices.missed(why)),
        Err(why) => return vec![place.missed(why.clone()), devices.missed(why)],
    };
    let containers = host.containers.get().map(|containers| containers.value.clone()).unwrap_or_default();
    let probes = networks.into_iter().enumerate().map(|(at, network)| {
        let paths = Paths::of(&network, &names, &containers);
        async move {
            let data_plane = match paths {
                _ if at >= MAX_OVERLAYS => {
                    Err(Why::NotAsked { reason: format!("only {MAX_OVERLAYS} overlays are probed") })
                }
                Ok(paths) => {
                    let (most, encrypted) = (MAX_NODES[usize::from(!network.ingress)], network.encrypted);
                    // The first overlay is enough to measure the path.
                    apart(move || paths.probe(most, encrypted, at == 0)).await
                }
                Err(why) => Err(why),
            };
            let Network { id, name, ingress, encrypted, .. } = network;
            Overlay { id, name, ingress, encrypted, data_plane }
        }
    });
    vec![place.kept_as_json(&join_all(probes).await), devices]
}

/// The overlays on which this node has an endpoint: the ingress network first, then encrypted ones.
fn here(networks: &[Network]) -> Vec<Network> {
    let of_swarm = |network: &&Network| network.driver == "overlay" && network.scope == "swarm";
    let mut here: Vec<_> =
        networks.iter().filter(of_swarm).filter(|network| !network.endpoints.is_empty()).cloned().collect();
    here.sort_by_key(|network| (!network.ingress, !network.encrypted));
    here
}

/// `--exec-root` of the process, otherwise of daemon.json, otherwise the default.
fn exec_root(host: &Host) -> PathBuf {
    let engine = host.engine.get().ok();
    let flag = engine.and_then(|engine| engine.running()?.flag("exec-root").map(str::to_owned));
    let daemon_json = host.daemon_json.get().ok().and_then(|file| file.value.as_ref());
    let configured = daemon_json.and_then(|file| file.key("exec-root")?.as_str());
    PathBuf::from(flag.or(configured.map(str::to_owned)).unwrap_or(EXEC_ROOT.into()))
}

/// The network namespaces of the engine by name.
fn names(directory: &Path) -> Result<BTreeMap<String, PathBuf>, Why> {
    let doing = format!("read {}", directory.display());
    let entries = std::fs::read_dir(directory).map_err(|error| why(&error, &doing))?;
    let named = |entry: io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        Some((entry.file_name().into_string().ok()?, entry.path()))
    };
    Ok(entries.filter_map(named).collect())
}

/// The namespaces of one overlay.
struct Paths {
    /// The namespace with its bridge and VXLAN device.
    overlay: PathBuf,
    /// The namespace of an endpoint on it, from which probes are sent.
    inside: Inside,
    /// On the ingress network the addresses of the nodes' load balancers; `None` on any other network. A task on the ingress
    /// network drops TCP to every port that it does not publish, and its load balancer does not.
    balancers: Option<BTreeSet<IpAddr>>,
}

enum Inside {
    /// The namespace of the engine's load balancer.
    Sandbox(PathBuf),
    /// The namespace of a task.
    Task(Box<Container>),
}

impl Paths {
    fn of(
        network: &Network,
        names: &BTreeMap<String, PathBuf>,
        containers: &[Container],
    ) -> Result<Self, Why> {
        let id = network.id.as_str();
        // `1-` and the first characters of the id; the number grows each time the engine creates the namespace.
        let generation = |name: &str| {
            let (number, start) = name.split_once('-')?;
            (start.len() >= 8 && id.starts_with(start)).then(|| number.parse::<u64>().ok())?
        };
        let overlay = names.iter().filter_map(|(name, path)| Some((generation(name)?, path))).max();
        let missing =
            |what: &str| Why::Unreachable { what: format!("{what} of {} has no namespace", network.name) };
        let overlay = overlay.ok_or_else(|| missing("the bridge"))?.1.clone();
        let balancer = |name: &str| {
            if network.ingress {
                return name == "ingress_sbox";
            }
            name.strip_prefix("lb_").is_some_and(|start| start.len() >= 8 && id.starts_with(start))
        };
        let on_it = |container: &&Container| {
            container.pid != 0 && container.attachments.iter().any(|at| at.network == network.id)
        };
        let inside = match names.iter().find(|(name, _)| balancer(name)) {
            Some((_, path)) => Inside::Sandbox(path.clone()),
            None => match containers.iter().find(on_it) {
                Some(container) => Inside::Task(Box::new(container.clone())),
                None => return Err(missing("an endpoint")),
            },
        };
        let records = network.records.iter().flatten();
        let of_nodes =
            records.filter(|record| record.service.is_empty() && record.name == "ingress-endpoint");
        let balancers = network.ingress.then(|| of_nodes.map(|record| record.addr).collect());
        Ok(Self { overlay, inside, balancers })
    }

    /// Whether an endpoint answers a SYN to a closed port with a reset.
    fn answers_tcp(&self, addr: IpAddr) -> bool {
        self.balancers.as_ref().is_none_or(|balancers| balancers.contains(&addr))
    }

    /// Reads the tables of the overlay and probes the other nodes. This thread stays in a namespace of the overlay.
    fn probe(&self, most: usize, encrypted: bool, burst: bool) -> Result<DataPlane, Why> {
        let overlay = open(&self.overlay)?;
        let enter_inside: Box<dyn Fn() -> Result<(), Why>> = match &self.inside {
            Inside::Sandbox(path) => {
                let sandbox = open(path)?;
                Box::new(move || enter(&sandbox))
            }
            Inside::Task(container) => {
                let task = netns::Process::open(container)?;
                Box::new(move || task.enter())
            }
        };
        let sending = |error: io::Error| why(&error, "send ICMP echoes");
        let mut underlay = echo::Underlay::here().map_err(sending)?;
        enter(&overlay)?;
        let read = || tables::read().map_err(|error| why(&error, "read the overlay's tables over netlink"));
        let (device, endpoints) = read()?;
        enter_inside()?;
        let links = netlink::links().map_err(|error| why(&error, "read the interfaces of the overlay"))?;
        let on_overlay = |endpoint: &Endpoint| {
            let covers = |link: &&facts::host::Interface| {
                link.addresses.iter().any(|own| own.prefix < 32 && own.covers(endpoint.addr.into()))
            };
            links.iter().find(covers).map(|link| link.mtu)
        };
        let mtu = endpoints.iter().filter_map(on_overlay).min().unwrap_or_default();
        let mut nodes: BTreeMap<IpAddr, Vec<Endpoint>> = BTreeMap::new();
        for endpoint in endpoints.iter().filter(|endpoint| on_overlay(endpoint).is_some()) {
            nodes.entry(endpoint.node).or_default().push(endpoint.clone());
        }
        // The load balancer of a node answers everything, so it is probed first.
        for endpoints in nodes.values_mut() {
            endpoints.sort_by_key(|endpoint| !self.answers_tcp(endpoint.addr.into()));
        }
        let not_probed = nodes.len().saturating_sub(most);
        let nodes: Vec<_> = nodes.into_values().take(most).collect();
        let encapsulation = if encrypted {
            capture::Encapsulation::Esp
        } else {
            capture::Encapsulation::Vxlan { port: device.port, vni: device.vni }
        };
        let mut peers = echo::probe(&nodes, mtu, encapsulation, &mut underlay).map_err(sending)?;
        if peers.iter().any(|peer| !peer.small.answered()) {
            // An endpoint that was removed meanwhile does not count.
            enter(&overlay)?;
            let (_, now) = read()?;
            peers.retain(|peer| {
                now.iter().any(|endpoint| endpoint.addr == peer.endpoint && endpoint.node == peer.node)
            });
        }
        if burst {
            enter_inside()?;
            burst::measure(&mut peers, |addr| self.answers_tcp(addr.into())).map_err(sending)?;
        }
        Ok(DataPlane { vni: device.vni, port: device.port, mtu, peers, not_probed })
    }
}

fn open(path: &Path) -> Result<File, Why> {
    File::open(path).map_err(|error| why(&error, &format!("open {}", path.display())))
}

fn enter(namespace: &File) -> Result<(), Why> {
    setns(namespace, CloneFlags::CLONE_NEWNET)
        .map_err(|errno| why(&errno.into(), "enter a network namespace of the overlay"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(id: &str, ingress: bool) -> Network {
        Network { id: id.into(), name: "app".into(), ingress, ..Network::default() }
    }

    fn named(names: &[&str]) -> BTreeMap<String, PathBuf> {
        names.iter().map(|name| ((*name).to_owned(), PathBuf::from(name))).collect()
    }

    #[test]
    fn finds_the_newest_namespace_of_an_overlay_and_an_endpoint_on_it() {
        let names = named(&["1-n0cy2s4t6b", "10-n0cy2s4t6", "9-n0cy2s4t6b", "2618fe4e0258", "lb_n0cy2s4t6"]);
        let paths = Paths::of(&network("n0cy2s4t6bzrciq8pjw8jwqh6", false), &names, &[]).unwrap();
        assert_eq!(paths.overlay, Path::new("10-n0cy2s4t6"));
        assert!(matches!(paths.inside, Inside::Sandbox(path) if path == Path::new("lb_n0cy2s4t6")));
    }

    #[test]
    fn reports_what_has_no_namespace() {
        let of = |names: &[&str], ingress| {
            Paths::of(&network("n0cy2s4t6bzrciq8pjw8jwqh6", ingress), &named(names), &[])
                .err()
                .unwrap()
                .to_string()
        };
        assert_eq!(of(&["ingress_sbox"], true), "unreachable: the bridge of app has no namespace");
        assert_eq!(
            of(&["1-n0cy2s4t6b", "ingress_sbox"], false),
            "unreachable: an endpoint of app has no namespace"
        );
    }
}
