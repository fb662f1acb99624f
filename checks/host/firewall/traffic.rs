//! The packets that a node of a swarm lives by.

use facts::firewall::{Flow, Link, Packet, Way};
use facts::host::{Interface, Protocol, Route};
use facts::link::Peer;
use facts::overlay::{DataPlane, Overlay};
use facts::parse::peers_of;
use facts::swarm::{LocalState, MANAGER_PORT, SwarmState};
use facts::{Gap, Host, Snapshot};
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Gossip's port, fixed in libnetwork.
const GOSSIP: u16 = 7946;

/// A port with its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::host) struct Port {
    pub(in crate::host) number: u16,
    pub(in crate::host) protocol: Protocol,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Protocol::Esp => f.write_str("ESP (IP protocol 50)"),
            _ => write!(f, "{}/{}", self.number, self.protocol),
        }
    }
}

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::host) enum Errand {
    /// The other node calls this one.
    Called,
    /// This node calls the other.
    Calls,
    /// This node answers.
    Answers,
    /// The other answers.
    Answered,
}

impl Errand {
    /// Which way its packets go, in words.
    pub(in crate::host) fn as_str(self) -> &'static str {
        match self {
            Self::Called => "coming in",
            Self::Calls => "going out",
            Self::Answers => "answering",
            Self::Answered => "being answered",
        }
    }

    /// Its packets. A rule that lets the first packet of a connection in need not let the next one in.
    fn flows(self, protocol: Protocol) -> &'static [Flow] {
        match (self, protocol) {
            (Self::Called | Self::Calls, Protocol::Tcp) => &[Flow::New, Flow::Further],
            (Self::Called | Self::Calls, Protocol::Udp | Protocol::Esp) => &[Flow::New],
            (Self::Answers | Self::Answered, _) => &[Flow::Answer],
        }
    }

    pub(in crate::host) fn way(self) -> Way {
        match self {
            Self::Called | Self::Answered => Way::In,
            Self::Calls | Self::Answers => Way::Out,
        }
    }
}

/// One packet between this node and another.
pub(in crate::host) struct Trip {
    pub(in crate::host) errand: Errand,
    pub(in crate::host) port: Port,
    pub(in crate::host) peer: Peer,
    pub(in crate::host) packet: Packet,
}

/// Every packet that has to get through between this node and those it knows; none where it is in no swarm.
pub(in crate::host) fn trips(snapshot: &Snapshot, host: &Host) -> Result<Vec<Trip>, Gap> {
    let node_addr = match host.info.get() {
        Ok(info) if info.swarm.state == LocalState::Inactive => return Ok(Vec::new()),
        Ok(info) if info.swarm.state == LocalState::Active => info.swarm.node_addr,
        Ok(_) => None,
        // An engine that does not run is in the swarm all the same, if its files say so.
        Err(_) if host.swarm_state.get()?.is_none() => return Ok(Vec::new()),
        Err(_) => None,
    };
    let manager = host.is_manager().unwrap_or(false);
    let state = host.swarm_state.get().ok().and_then(|state| state.value.as_ref());
    let here = Here {
        addr: node_addr.or_else(|| state.and_then(|state| ip(&state.advertise_addr))),
        interfaces: &host.interfaces.get()?.value,
        routes: &host.routes.get()?.value,
    };
    let peers = peers_of(snapshot);
    let own = Port { number: state.map_or(MANAGER_PORT, SwarmState::manager_port), protocol: Protocol::Tcp };
    let mut trips = Vec::new();
    for peer in &peers {
        let mut add = |errand: Errand, number, protocol| {
            let port = Port { number, protocol };
            trips.extend(
                errand.flows(protocol).iter().filter_map(|flow| here.trip(errand, *flow, port, peer)),
            );
        };
        if manager {
            add(Errand::Called, own.number, own.protocol);
            add(Errand::Answers, own.number, own.protocol);
        }
        if let Some(port) = peer.manager_port {
            add(Errand::Calls, port, Protocol::Tcp);
            add(Errand::Answered, port, Protocol::Tcp);
        }
        for errand in [Errand::Called, Errand::Answers, Errand::Calls, Errand::Answered] {
            add(errand, GOSSIP, Protocol::Tcp);
        }
        // Datagrams of gossip and of overlays are no answers to one another.
        for errand in [Errand::Called, Errand::Calls] {
            add(errand, GOSSIP, Protocol::Udp);
        }
    }
    let overlays = host.overlays.get().map(|overlays| overlays.value.as_slice()).unwrap_or_default();
    // Where the data goes by a network of its own, the overlays know the others' addresses there.
    let apart = state.and_then(|state| ip(&state.data_path_addr)).filter(|addr| Some(*addr) != here.addr);
    let others: BTreeSet<Peer> = match apart {
        Some(_) => planes(overlays).flat_map(|(_, plane)| neighbours(plane)).collect(),
        None => peers.into_iter().collect(),
    };
    let here = Here { addr: apart.or(here.addr), ..here };
    for peer in &others {
        let mut add = |port: Port, vni| {
            let errands = [Errand::Called, Errand::Calls];
            let trips_of = errands.iter().filter_map(|errand| here.trip(*errand, Flow::New, port, peer));
            trips.extend(trips_of.map(|trip| Trip { packet: Packet { vni, ..trip.packet }, ..trip }));
        };
        let on_it = |plane: &DataPlane| plane.peers.iter().any(|other| other.node == peer.addr);
        // An overlay in clear that both are on, so that the rules that the engine has for encrypted ones are told apart.
        let clear = planes(overlays).filter(|(overlay, _)| !overlay.encrypted);
        let vni = clear.filter(|(_, plane)| on_it(plane)).map(|(_, plane)| plane.vni).next();
        add(Port { number: host.data_path_port(), protocol: Protocol::Udp }, vni);
        if planes(overlays).any(|(overlay, plane)| overlay.encrypted && silent(plane, peer.addr)) {
            add(Port { number: 0, protocol: Protocol::Esp }, None);
        }
    }
    Ok(trips)
}

fn planes(overlays: &[Overlay]) -> impl Iterator<Item = (&Overlay, &DataPlane)> {
    overlays.iter().filter_map(|overlay| Some((overlay, overlay.data_plane.as_ref().ok()?)))
}

/// Whether a node on an overlay did not answer over it. Of two that both send ESP the kernel takes what comes for an
/// answer, so that a filter which lets answers in alone need not keep it out.
fn silent(plane: &DataPlane, node: IpAddr) -> bool {
    plane.peers.iter().any(|peer| peer.node == node && !peer.small.answered())
}

fn neighbours(plane: &DataPlane) -> impl Iterator<Item = Peer> {
    plane.peers.iter().map(|peer| Peer { addr: peer.node, name: None, node_id: None, manager_port: None })
}

/// The packets by which other nodes' operators and tools call this machine on these ports, as every node of a swarm does.
pub(in crate::host) fn calls_for(snapshot: &Snapshot, host: &Host, ports: &[u16]) -> Result<Vec<Trip>, Gap> {
    let here =
        Here { addr: None, interfaces: &host.interfaces.get()?.value, routes: &host.routes.get()?.value };
    let mut trips = Vec::new();
    for peer in &peers_of(snapshot) {
        for number in ports {
            let port = Port { number: *number, protocol: Protocol::Tcp };
            for errand in [Errand::Called, Errand::Answers] {
                let flows = errand.flows(port.protocol).iter();
                trips.extend(flows.filter_map(|flow| here.trip(errand, *flow, port, peer)));
            }
        }
    }
    Ok(trips)
}

fn ip(text: &str) -> Option<IpAddr> {
    text.parse::<SocketAddr>().map(|addr| addr.ip()).or_else(|_| text.parse()).ok()
}

fn packet(errand: Errand, flow: Flow, port: Port, own: IpAddr, link: Option<Link>, peer: &Peer) -> Packet {
    let way = errand.way();
    let (source, destination) = if way == Way::In { (peer.addr, own) } else { (own, peer.addr) };
    // Gossip's datagrams leave from the port they go to; who else calls, calls from any.
    let caller = (port.number == GOSSIP && port.protocol == Protocol::Udp).then_some(GOSSIP);
    let (source_port, destination_port) = match flow {
        _ if port.protocol == Protocol::Esp => (None, None),
        Flow::New | Flow::Further => (caller, Some(port.number)),
        Flow::Answer => (Some(port.number), caller),
    };
    // The engine is root's, and has its own sockets for all but the overlays' packets.
    let of_engine = port.protocol == Protocol::Tcp || port.number == GOSSIP;
    Packet {
        way,
        flow,
        protocol: port.protocol,
        source,
        destination,
        source_port,
        destination_port,
        link,
        onward: None,
        vni: None,
        owner: (of_engine && way == Way::Out).then_some(0),
        redirected: false,
    }
}

/// This machine's place in the network.
struct Here<'a> {
    addr: Option<IpAddr>,
    interfaces: &'a [Interface],
    routes: &'a [Route],
}

impl Here<'_> {
    /// A packet between this machine and another, where there is a way.
    fn trip(&self, errand: Errand, flow: Flow, port: Port, peer: &Peer) -> Option<Trip> {
        let (addr, link) = self.towards(peer.addr)?;
        Some(Trip { errand, port, packet: packet(errand, flow, port, addr, link, peer), peer: peer.clone() })
    }

    /// Its own address and interface towards another machine; the interface where the routes tell it.
    fn towards(&self, other: IpAddr) -> Option<(IpAddr, Option<Link>)> {
        let covers = |route: &&Route| {
            let net = facts::host::Address { addr: route.network, prefix: route.prefix };
            net.covers(other)
        };
        let best = self.routes.iter().filter(covers).max_by_key(|route| route.prefix);
        let direct =
            || self.interfaces.iter().find(|one| one.up && one.addresses.iter().any(|a| a.covers(other)));
        let interface = best
            .and_then(|route| route.interface.as_ref())
            .and_then(|name| self.interfaces.iter().find(|one| one.name == *name))
            .or_else(direct);
        let same_family = |addr: &IpAddr| addr.is_ipv4() == other.is_ipv4();
        let of_link = || {
            let addresses = interface.into_iter().flat_map(|one| &one.addresses).map(|address| address.addr);
            best.and_then(|route| route.source).or_else(|| addresses.into_iter().find(same_family))
        };
        let held = |addr: &IpAddr| self.interfaces.iter().any(|one| one.holds(*addr));
        let addr = self.addr.filter(same_family).filter(held).or_else(of_link)?;
        let link = interface.map(|one| Link { name: one.name.clone(), index: one.index });
        Some((addr, link))
    }
}
