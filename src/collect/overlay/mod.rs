//! The data plane: whether packets of the overlays get from this node to the others, and of what size.
//!
//! In the namespace of an overlay the kernel has, for each endpoint on another node, a neighbour and a forwarding entry
//! to that node, which the engine put there from gossip. So the tables tell whom to ask, and an echo from a place on the
//! overlay, to an endpoint of another node, takes the way of the tasks' packets there and back. The other node's
//! kernel answers it; no engine, and no log, has part in it. Nothing is put into the tables: the engine's entries are
//! permanent. As with any packet, the place that asks holds the neighbour it asked for some seconds.

mod ear;
mod echo;
mod tables;

use super::{Artifact, Place, Session, apart, netlink, netns, why};
use facts::container::Container;
use facts::network::Network;
use facts::overlay::{DataPlane, Overlay};
use facts::{Fact, Host, Need, Why};
use futures_util::future::join_all;
use nix::sched::{CloneFlags, setns};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use tables::Endpoint;

/// What tells which overlays there are, and where their namespaces.
const NEEDS: [Need; 4] = [Need::Networks, Need::Containers, Need::EngineProcess, Need::DaemonJson];
/// Where dockerd keeps its namespaces unless it is told otherwise.
const EXEC_ROOT: &str = "/run/docker";
/// How many overlays are looked at. All take the same way between the nodes.
const MOST_OVERLAYS: usize = 8;
/// How many nodes are asked over the routing mesh's network, and over each other one. All together are fewer than
/// the neighbours that a kernel holds.
const MOST_NODES: [usize; 2] = [256, 32];

pub(super) async fn overlays(session: &Session) -> Vec<Artifact> {
    let place =
        Place::new(Need::Overlays, "overlays.json", "netlink and ICMP echoes in the overlays' namespaces");
    if let Some(why) = session.elsewhere() {
        return vec![place.missed(why)];
    }
    let bundle = session.partial(&NEEDS).await;
    let Some(host) = facts::parse::snapshot(&bundle).hosts.pop() else { return Vec::new() };
    let networks = match &host.networks {
        Fact::Seen(networks) => here(&networks.value),
        Fact::Unseen(gap) => return vec![place.missed(gap.why.clone())],
    };
    let namespaces = exec_root(&host).join("netns");
    let names = match apart(move || names(&namespaces)).await {
        Ok(names) => names,
        Err(_) if networks.is_empty() => BTreeMap::new(),
        Err(why) => return vec![place.missed(why)],
    };
    let containers = host.containers.get().map(|containers| containers.value.clone()).unwrap_or_default();
    let looks = networks.into_iter().enumerate().map(|(at, network)| {
        let paths = Paths::of(&network, &names, &containers);
        async move {
            let data_plane = match paths {
                _ if at >= MOST_OVERLAYS => {
                    Err(Why::NotAsked { reason: format!("{MOST_OVERLAYS} overlays were looked at") })
                }
                Ok(paths) => {
                    let (most, encrypted) = (MOST_NODES[usize::from(!network.ingress)], network.encrypted);
                    apart(move || paths.look(most, encrypted)).await
                }
                Err(why) => Err(why),
            };
            let Network { id, name, ingress, encrypted, .. } = network;
            Overlay { id, name, ingress, encrypted, data_plane }
        }
    });
    vec![place.kept_as_json(&join_all(looks).await)]
}

/// The overlays that this node has an endpoint on: the routing mesh's first, then those that are encrypted.
fn here(networks: &[Network]) -> Vec<Network> {
    let of_swarm = |network: &&Network| network.driver == "overlay" && network.scope == "swarm";
    let mut here: Vec<_> =
        networks.iter().filter(of_swarm).filter(|network| !network.endpoints.is_empty()).cloned().collect();
    here.sort_by_key(|network| (!network.ingress, !network.encrypted));
    here
}

/// `--exec-root`, else that of daemon.json, else the default.
fn exec_root(host: &Host) -> PathBuf {
    let engine = host.engine.get().ok();
    let flag = engine.and_then(|engine| engine.running()?.flag("exec-root").map(str::to_owned));
    let daemon_json = host.daemon_json.get().ok().and_then(|file| file.value.as_ref());
    let configured = daemon_json.and_then(|file| file.parsed.as_ref().ok()?.get("exec-root")?.as_str());
    PathBuf::from(flag.or(configured.map(str::to_owned)).unwrap_or(EXEC_ROOT.into()))
}

/// The engine's namespaces by name.
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
    /// That with its bridge and VXLAN device.
    overlay: PathBuf,
    /// That of something on it, to ask from.
    inside: Inside,
}

enum Inside {
    /// Of the engine's own load balancer.
    Sandbox(PathBuf),
    /// Of a task.
    Task(Box<Container>),
}

impl Paths {
    fn of(
        network: &Network,
        names: &BTreeMap<String, PathBuf>,
        containers: &[Container],
    ) -> Result<Self, Why> {
        let id = network.id.as_str();
        // `1-` and the beginning of the id; the number grows each time the engine makes it anew.
        let generation = |name: &str| {
            let (number, start) = name.split_once('-')?;
            (start.len() >= 8 && id.starts_with(start)).then(|| number.parse::<u64>().ok())?
        };
        let overlay = names.iter().filter_map(|(name, path)| Some((generation(name)?, path))).max();
        let missing =
            |what: &str| Why::Unreachable { what: format!("{what} of {} has no namespace", network.name) };
        let overlay = overlay.ok_or_else(|| missing("the bridge"))?.1.clone();
        let balancer = |name: &str| match network.ingress {
            true => name == "ingress_sbox",
            false => name.strip_prefix("lb_").is_some_and(|start| start.len() >= 8 && id.starts_with(start)),
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
        Ok(Self { overlay, inside })
    }

    /// Looks at the overlay and asks the others on it. This thread stays in a namespace of it.
    fn look(&self, most: usize, encrypted: bool) -> Result<DataPlane, Why> {
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
        let asking = |error: io::Error| why(&error, "send ICMP echoes");
        let mut beneath = echo::Beneath::here().map_err(asking)?;
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
        let not_probed = nodes.len().saturating_sub(most);
        let nodes: Vec<_> = nodes.into_values().take(most).collect();
        let wrap = match encrypted {
            true => ear::Wrap::Esp,
            false => ear::Wrap::Vxlan { port: device.port, vni: device.vni },
        };
        let mut peers = echo::ask(&nodes, mtu, wrap, &mut beneath).map_err(asking)?;
        if peers.iter().any(|peer| !peer.small.answered()) {
            // Who went meanwhile owes no answer.
            enter(&overlay)?;
            let (_, now) = read()?;
            peers.retain(|peer| {
                now.iter().any(|endpoint| endpoint.addr == peer.endpoint && endpoint.node == peer.node)
            });
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
    fn finds_the_newest_namespace_of_an_overlay_and_a_place_on_it() {
        let names = named(&["1-n0cy2s4t6b", "10-n0cy2s4t6", "9-n0cy2s4t6b", "2618fe4e0258", "lb_n0cy2s4t6"]);
        let paths = Paths::of(&network("n0cy2s4t6bzrciq8pjw8jwqh6", false), &names, &[]).unwrap();
        assert_eq!(paths.overlay, Path::new("10-n0cy2s4t6"));
        assert!(matches!(paths.inside, Inside::Sandbox(path) if path == Path::new("lb_n0cy2s4t6")));
    }

    #[test]
    fn says_what_has_no_namespace() {
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
