use crate::model::free_subnet::free_subnet;
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::host::{Address, Interface};
use facts::network::Network;
use facts::service::Service;
use facts::{Host, Seen};
use std::net::IpAddr;

check! {
    /// The subnet of a Docker network overlaps a network of this host.
    ///
    /// ## Why it matters
    /// A container on an overlay treats every address in the overlay's subnet as a direct neighbour. It cannot reach
    /// hosts, databases or name servers with such addresses, and nothing reports it: the kernel does not object, because
    /// an overlay is in a network namespace of its own. A bridge with an overlapping subnet hides those addresses from
    /// the whole host.
    ///
    /// ## How to fix it
    /// Re-create the network with a free subnet. This includes the ingress network; its default is 10.0.0.0/24. For a new
    /// swarm use `--default-addr-pool`; `default-address-pools` in daemon.json applies to bridge networks only.
    ///
    /// ## When it is wrong
    /// If no container on the network ever has to reach those addresses.
    ///
    /// Source: moby#27399, moby#31281; Docker docs "Manage swarm service networks".
    "network/subnet-overlap": Error, "the subnet of a Docker network overlaps another network";
    healthy "the subnets of the Docker networks overlap no other network";
    needs Networks, Interfaces, Routes, ResolvConf, Info, Nodes, Services;
    for each Host: run
}

/// A route that is wider than a subnet by more bits is no overlap: 10.0.0.0/8 may lead to a whole company.
const WIDER_BITS: u8 = 8;

/// Something on the network of this host that lies in the subnet.
struct Hit {
    what: String,
    /// Whether an address is surely in use.
    in_use: bool,
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    let interfaces = host.interfaces.get()?;
    let routes = host.routes.get()?;
    let resolv_conf = host.resolv_conf.get()?;
    let info = host.info.get()?;
    let around: Vec<_> =
        interfaces.iter().filter(|interface| !is_docker_bridge(interface, networks)).collect();
    let mut known: Vec<(IpAddr, String)> = Vec::new();
    for node in view.snapshot.nodes.get().iter().flat_map(|nodes| nodes.iter()) {
        known.extend(node.addr.map(|addr| (addr, format!("node {} has {addr}", node.name))));
    }
    for addr in info.swarm.managers.iter().map(|manager| manager.addr.ip()) {
        if !known.iter().any(|(other, _)| *other == addr) {
            known.push((addr, format!("a manager has {addr}")));
        }
    }
    let servers = resolv_conf.servers.iter().filter_map(|server| server.parse().ok());
    known.extend(servers.map(|addr: IpAddr| (addr, format!("name server {addr}"))));
    // Addresses of this host are judged by their interface.
    known.retain(|(addr, _)| !interfaces.iter().any(|interface| interface.holds(*addr)));
    for network in networks.iter() {
        for subnet in network.subnets.iter().filter_map(|subnet| subnet.parse::<Address>().ok()) {
            let mut hits = Vec::new();
            for interface in &around {
                hits.extend(
                    interface.addresses.iter().filter_map(|addr| on_interface(interface, addr, &subnet)),
                );
            }
            let link = |name: &Option<String>| around.iter().any(|i| Some(&i.name) == name.as_ref());
            for route in routes.iter().filter(|route| route.gateway.is_some() && link(&route.interface)) {
                let leads = Address { addr: route.network, prefix: route.prefix };
                if leads.overlaps(&subnet) && leads.prefix.saturating_add(WIDER_BITS) >= subnet.prefix {
                    hits.push(Hit {
                        what: format!("route to {}/{}", leads.addr, leads.prefix),
                        in_use: false,
                    });
                }
            }
            let covered = known.iter().filter(|(addr, _)| subnet.covers(*addr) && !addr.is_loopback());
            hits.extend(covered.map(|(_, what)| Hit { what: what.clone(), in_use: true }));
            hits.extend(gateway_bridge(networks, network, &subnet));
            if !hits.is_empty() {
                report(host, view, networks, network, &hits, out);
            }
        }
    }
    Ok(())
}

/// The bridge by which every task on an overlay reaches the outside, if its subnet overlaps that of the overlay.
fn gateway_bridge(networks: &[Network], overlay: &Network, subnet: &Address) -> Option<Hit> {
    let bridge = networks.iter().find(|network| network.name == "docker_gwbridge")?;
    let own = bridge.subnets.iter().find(|own| own.parse().is_ok_and(|own: Address| own.overlaps(subnet)))?;
    let what = format!("docker_gwbridge has {own}");
    (overlay.driver == "overlay").then_some(Hit { what, in_use: true })
}

/// An interface with a network that overlaps the subnet.
fn on_interface(interface: &Interface, addr: &Address, subnet: &Address) -> Option<Hit> {
    let in_use = subnet.covers(addr.addr);
    let narrow = addr.prefix.saturating_add(WIDER_BITS) >= subnet.prefix;
    let counts = !addr.addr.is_loopback() && addr.overlaps(subnet) && (in_use || narrow);
    counts.then(|| Hit { what: format!("{} has {}/{}", interface.name, addr.addr, addr.prefix), in_use })
}

/// Whether the interface is the bridge of a Docker network.
fn is_docker_bridge(interface: &Interface, networks: &[Network]) -> bool {
    let subnets = networks.iter().filter(|network| network.driver == "bridge").flat_map(|n| &n.subnets);
    interface.kind == "bridge"
        && subnets
            .filter_map(|subnet| subnet.parse::<Address>().ok())
            .any(|subnet| interface.addresses.iter().any(|a| subnet.covers(a.addr)))
}

fn report(
    host: &Host,
    view: &View<'_>,
    networks: &Seen<Vec<Network>>,
    network: &Network,
    hits: &[Hit],
    out: &mut Findings<'_>,
) {
    let what: Vec<_> = hits.iter().map(|hit| hit.what.as_str()).collect();
    let subnets = network.subnets.join(", ");
    let kind = if network.driver == "overlay" { "overlay" } else { "bridge" };
    let affected = if kind == "overlay" { "containers on it".to_owned() } else { host.name.to_string() };
    let summary = format!(
        "subnet {subnets} of the {kind} network {} overlaps the network of the host ({}): {affected} cannot reach those \
         addresses",
        network.name,
        what.join(", "),
    );
    let shown = format!("{}: IPAM.Config has Subnet {subnets}", network.name);
    let finding =
        out.report(Subject::Network(network.name.clone()), summary, Evidence::value(networks, shown));
    if !hits.iter().any(|hit| hit.in_use) {
        finding.severity(Severity::Warning).confidence(Confidence::Medium);
    }
    if let Ok(interfaces) = host.interfaces.get() {
        finding.with(Evidence::value(interfaces, what.join(", ")));
    }
    finding.remedy(
        re_create_ingress(host, view, networks, network).unwrap_or_else(|| remedy(host, networks, network)),
    );
}

/// Re-creates the ingress network with another subnet, if this is a manager that lists the publishing services.
fn re_create_ingress(
    host: &Host,
    view: &View<'_>,
    networks: &Seen<Vec<Network>>,
    network: &Network,
) -> Option<Remedy> {
    let services = view.snapshot.services.get().ok().filter(|_| network.ingress)?;
    let here = host.info.get().is_ok_and(|info| info.swarm.control_available);
    let through = |service: &Service| {
        let ports = service.ports.iter().filter(|port| port.ingress);
        ports.map(|port| (port.published, port.target)).collect::<Vec<_>>()
    };
    let published = services.iter().map(|service| (service.name.clone(), through(service)));
    let published: Vec<_> = published.filter(|(_, ports)| !ports.is_empty()).collect();
    let names: Vec<_> = published.iter().map(|(name, _)| name.as_str()).collect();
    let impact = if names.is_empty() {
        "no service publishes a port through it".to_owned()
    } else {
        format!(
            "the published ports of {} do not answer meanwhile, and the tasks restart twice",
            names.join(", ")
        )
    };
    here.then(|| Remedy {
        title: format!("Re-create {} with a free subnet", network.name).into(),
        risk: Risk::Disruptive,
        impact: impact.into(),
        steps: vec![Step::RecreateIngress {
            node: host.name.clone().into(),
            network: network.name.clone(),
            subnet: free(host, networks),
            published,
        }],
    })
}

fn remedy(host: &Host, networks: &Seen<Vec<Network>>, network: &Network) -> Remedy {
    let name = shell_quote(&network.name);
    let free = free(host, networks);
    let (text, commands) = if network.ingress {
        let text = "on a manager: remove all published ports first, because they keep the network in use; publish them again \
                    afterwards";
        let create = format!("docker network create --driver overlay --ingress --subnet {free} {name}");
        (text, vec![format!("docker network rm {name}"), create])
    } else if network.driver == "overlay" {
        let text = "on a manager: remove the services that use the network, re-create it with this subnet, and deploy again \
                    (in a stack file: `ipam: config: - subnet:`)";
        let create = format!("docker network create --driver overlay --subnet {free} {name}");
        (text, vec![format!("docker network rm {name}"), create])
    } else if network.name == "docker_gwbridge" {
        let text = "drain the node, leave the swarm, re-create the bridge, and join again";
        let create = format!(
            "docker network create --subnet {free} --opt com.docker.network.bridge.name=docker_gwbridge --opt \
             com.docker.network.bridge.enable_icc=false --opt \
             com.docker.network.bridge.enable_ip_masquerade=true docker_gwbridge"
        );
        (text, vec!["docker swarm leave".into(), "docker network rm docker_gwbridge".into(), create])
    } else if network.name == "bridge" {
        ("set another subnet for docker0 with `bip` in daemon.json, and restart the engine", Vec::new())
    } else {
        let create = format!("docker network create --subnet {free} {name}");
        ("re-create the bridge network with this subnet", vec![format!("docker network rm {name}"), create])
    };
    Remedy {
        title: format!("Re-create {} with a free subnet", network.name).into(),
        risk: Risk::Disruptive,
        impact: "containers on the network stop until it is re-created".into(),
        steps: vec![Step::Manual { node: host.name.clone().into(), text: text.into(), commands }],
    }
}

/// A subnet that no interface, route or network of this host uses.
fn free(host: &Host, networks: &[Network]) -> String {
    let interfaces = host.interfaces.get();
    let mut taken: Vec<Address> = interfaces
        .iter()
        .flat_map(|all| all.iter())
        .flat_map(|interface| interface.addresses.clone())
        .collect();
    let routes = host.routes.get();
    let routed =
        routes.iter().flat_map(|all| all.iter()).map(|r| Address { addr: r.network, prefix: r.prefix });
    taken.extend(routed.filter(|route| route.prefix > 0));
    free_subnet(networks, &taken, 24)
}
