//! The packets that a node forwards between its containers on overlay networks and the outside.

use facts::firewall::{Direction, Flow, Link, Packet};
use facts::host::Protocol;
use facts::network::MeshPort;
use facts::{Gap, Host};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

/// The bridge that containers on overlay networks reach the outside through. Published ports come in over it.
pub(in crate::host) const BRIDGE: &str = "docker_gwbridge";

const HTTPS: u16 = 443;

/// Both ends of the forwarded flows.
pub(in crate::host) struct Forwarding {
    bridge: Link,
    container: IpAddr,
    link: Link,
    outside: IpAddr,
}

impl Forwarding {
    /// None where the bridge or a route to the outside does not exist.
    pub(in crate::host) fn of(host: &Host) -> Result<Option<Self>, Gap> {
        let interfaces = &host.interfaces.get()?.value;
        let named = |name: &str| interfaces.iter().find(|one| one.name == name && one.up);
        let v4 = |addr: IpAddr| match addr {
            IpAddr::V4(addr) => Some(addr),
            IpAddr::V6(_) => None,
        };
        // The default route, or another route that leaves the node.
        let routes = host.routes.get()?.value.iter().filter_map(|route| {
            let interface = named(route.interface.as_ref()?).filter(|one| one.kind != "bridge")?;
            Some((route.prefix, v4(route.network)?, interface))
        });
        let (Some(bridge), Some((prefix, network, interface))) =
            (named(BRIDGE), routes.min_by_key(|(prefix, network, _)| (*prefix, *network)))
        else {
            return Ok(None);
        };
        let Some(gateway) = bridge.addresses.iter().find_map(|address| v4(address.addr)) else {
            return Ok(None);
        };
        // A documentation address stands for any address behind the default route.
        let outside = if prefix == 0 { Ipv4Addr::new(198, 51, 100, 1) } else { after(network) };
        Ok(Some(Self {
            bridge: Link { name: bridge.name.clone(), index: bridge.index },
            // The first address belongs to the ingress sandbox.
            container: after(gateway).into(),
            link: Link { name: interface.name.clone(), index: interface.index },
            outside: outside.into(),
        }))
    }

    /// A connection from a container to the outside, packet by packet.
    pub(in crate::host) fn outward(&self) -> [Packet; 3] {
        let out = |flow| Packet {
            direction: Direction::Forward,
            flow,
            protocol: Protocol::Tcp,
            source: self.container,
            destination: self.outside,
            source_port: None,
            destination_port: Some(HTTPS),
            link: Some(self.bridge.clone()),
            onward: Some(self.link.clone()),
            vni: None,
            owner: None,
            redirected: false,
        };
        let reply = Packet {
            flow: Flow::Answer,
            source_port: Some(HTTPS),
            destination_port: None,
            redirected: false,
            ..self.inward(Protocol::Tcp, 0)
        };
        [out(Flow::New), reply, out(Flow::Further)]
    }

    /// The first packet to a published port, on its way to the ingress sandbox.
    pub(in crate::host) fn inward(&self, protocol: Protocol, port: u16) -> Packet {
        Packet {
            direction: Direction::Forward,
            flow: Flow::New,
            protocol,
            source: self.outside,
            destination: self.container,
            source_port: None,
            destination_port: Some(port),
            link: Some(self.link.clone()),
            onward: Some(self.bridge.clone()),
            vni: None,
            owner: None,
            redirected: true,
        }
    }
}

/// The ports that services publish through the routing mesh, as this node knows them.
pub(in crate::host) fn published(host: &Host) -> Result<BTreeSet<&MeshPort>, Gap> {
    let networks = &host.networks.get()?.value;
    Ok(networks.iter().filter(|network| network.ingress).flat_map(|network| &network.ports).collect())
}

fn after(addr: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::from(addr.to_bits().wrapping_add(1))
}
