use super::free_subnet::free_subnet;
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::host::{Address, Interface};
use facts::network::Network;
use facts::service::Service;
use facts::{Host, Seen};
use std::net::IpAddr;

check! {
    /// A network of Docker's has addresses that the machines around it have too.
    ///
    /// ## Why it matters
    /// A container on an overlay takes everything in the overlay's subnet for its neighbour. It can reach no machine,
    /// no database and no name server there, and nothing anywhere says so: the kernel does not object, for an overlay
    /// lives in a namespace of its own. A bridge that overlaps takes the addresses away from the whole machine.
    ///
    /// ## How to fix it
    /// Make the network anew with a subnet that nobody has. For the ingress network, too; its default is 10.0.0.0/24.
    /// New swarms take `--default-addr-pool`.
    ///
    /// ## When it is wrong
    /// When no container on the network ever has to reach what is there.
    ///
    /// Source: moby#27399, moby#31281; Docker docs "Manage swarm service networks".
    "network/subnet-overlap": Error, "a network of Docker's overlaps the network around it";
    needs Networks, Interfaces, Routes, ResolvConf, Info, Nodes, Services;
    for each Host: run
}

/// A route that is so much wider than a subnet says nothing of who is there: 10.0.0.0/8 leads to the whole firm.
const WIDER: u8 = 8;

/// What of the machine's surroundings lies in a subnet.
struct Hit {
    /// In words.
    what: String,
    /// Whether an address that is surely used is among it.
    grave: bool,
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    let interfaces = host.interfaces.get()?;
    let routes = host.routes.get()?;
    let resolv_conf = host.resolv_conf.get()?;
    let info = host.info.get()?;
    let around: Vec<_> = interfaces.iter().filter(|interface| !is_dockers(interface, networks)).collect();
    let mut known: Vec<(IpAddr, String)> = Vec::new();
    for node in view.snapshot.nodes.get().iter().flat_map(|nodes| nodes.iter()) {
        known.extend(node.addr.map(|addr| (addr, format!("{} is {addr}", node.name))));
    }
    for addr in info.swarm.managers.iter().map(|manager| manager.addr.ip()) {
        if !known.iter().any(|(other, _)| *other == addr) {
            known.push((addr, format!("a manager is {addr}")));
        }
    }
    let servers = resolv_conf.servers.iter().filter_map(|server| server.parse().ok());
    known.extend(servers.map(|addr: IpAddr| (addr, format!("a name server is {addr}"))));
    // What this machine has itself is not around it.
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
                if leads.overlaps(&subnet) && leads.prefix.saturating_add(WIDER) >= subnet.prefix {
                    hits.push(Hit {
                        what: format!("a route leads to {}/{}", leads.addr, leads.prefix),
                        grave: false,
                    });
                }
            }
            let covered = known.iter().filter(|(addr, _)| subnet.covers(*addr) && !addr.is_loopback());
            hits.extend(covered.map(|(_, what)| Hit { what: what.clone(), grave: true }));
            if !hits.is_empty() {
                tell(host, view, networks, network, &hits, out);
            }
        }
    }
    Ok(())
}

/// An interface whose network overlaps the subnet.
fn on_interface(interface: &Interface, addr: &Address, subnet: &Address) -> Option<Hit> {
    let grave = subnet.covers(addr.addr);
    let narrow = addr.prefix.saturating_add(WIDER) >= subnet.prefix;
    let counts = !addr.addr.is_loopback() && addr.overlaps(subnet) && (grave || narrow);
    counts.then(|| Hit { what: format!("{} has {}/{}", interface.name, addr.addr, addr.prefix), grave })
}

/// Whether the interface is a bridge of one of the networks, so that its addresses are the network's own.
fn is_dockers(interface: &Interface, networks: &[Network]) -> bool {
    let subnets = networks.iter().filter(|network| network.driver == "bridge").flat_map(|n| &n.subnets);
    interface.kind == "bridge"
        && subnets
            .filter_map(|subnet| subnet.parse::<Address>().ok())
            .any(|subnet| interface.addresses.iter().any(|a| subnet.covers(a.addr)))
}

fn tell(
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
    let loser = if kind == "overlay" { "containers on it".to_owned() } else { host.name.to_string() };
    let summary = format!(
        "the {kind} {} has {subnets}, and so has the network around it ({}): {loser} cannot reach what is there",
        network.name,
        what.join(", ")
    );
    let shown = format!("{}: IPAM.Config has Subnet {subnets}", network.name);
    let finding =
        out.report(Subject::Network(network.name.clone()), summary, Evidence::value(networks, shown));
    if !hits.iter().any(|hit| hit.grave) {
        finding.severity(Severity::Warning).confidence(Confidence::Medium);
    }
    if let Ok(interfaces) = host.interfaces.get() {
        finding.with(Evidence::value(interfaces, what.join(", ")));
    }
    finding.remedy(
        ingress_anew(host, view, networks, network).unwrap_or_else(|| remedy(host, networks, network)),
    );
}

/// Make it anew, each kind in its own way.
/// The routing mesh's network with another subnet, where this is a manager that knows who publishes through it.
fn ingress_anew(
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
    let impact = match names.is_empty() {
        true => "nothing publishes through it now".to_owned(),
        false => format!(
            "the published ports of {} answer nobody for that time, and the tasks restart twice",
            names.join(", ")
        ),
    };
    here.then(|| Remedy {
        title: format!("Give {} a subnet of its own", network.name).into(),
        risk: Risk::Disruptive,
        impact: impact.into(),
        steps: vec![Step::RemakeIngress {
            node: host.name.clone(),
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
        let text = "on a manager: take the published ports off first, for the network cannot go while one is there; \
                    publish them again afterwards";
        let create = format!("docker network create --driver overlay --ingress --subnet {free} {name}");
        (text, vec![format!("docker network rm {name}"), create])
    } else if network.driver == "overlay" {
        let text = "on a manager: take down what uses the network, make it anew with this subnet, and deploy again \
                    (in a stack file: `ipam: config: - subnet:`)";
        let create = format!("docker network create --driver overlay --subnet {free} {name}");
        (text, vec![format!("docker network rm {name}"), create])
    } else if network.name == "docker_gwbridge" {
        let text = "drain the node and let it leave, make the bridge anew, and join again";
        let create = format!(
            "docker network create --subnet {free} --opt com.docker.network.bridge.name=docker_gwbridge --opt \
             com.docker.network.bridge.enable_icc=false --opt \
             com.docker.network.bridge.enable_ip_masquerade=true docker_gwbridge"
        );
        (text, vec!["docker swarm leave".into(), "docker network rm docker_gwbridge".into(), create])
    } else if network.name == "bridge" {
        ("give docker0 another subnet with `bip` in daemon.json, and restart the engine", Vec::new())
    } else {
        let create = format!("docker network create --subnet {free} {name}");
        ("make the bridge anew with this subnet", vec![format!("docker network rm {name}"), create])
    };
    Remedy {
        title: format!("Give {} a subnet of its own", network.name).into(),
        risk: Risk::Disruptive,
        impact: "whatever is on the network stops until it is there again".into(),
        steps: vec![Step::Manual { node: host.name.clone(), text: text.into(), commands }],
    }
}

/// A subnet that nothing here has.
fn free(host: &Host, networks: &[Network]) -> String {
    let interfaces = host.interfaces.get();
    let mut taken: Vec<Address> = interfaces
        .iter()
        .flat_map(|all| all.iter())
        .flat_map(|interface| interface.addresses.clone())
        .collect();
    let routes = host.routes.get();
    let led = routes.iter().flat_map(|all| all.iter()).map(|r| Address { addr: r.network, prefix: r.prefix });
    taken.extend(led.filter(|route| route.prefix > 0));
    free_subnet(networks, &taken, 24)
}
