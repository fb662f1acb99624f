//! The packets that must pass between a swarm node and the other nodes.

use facts::firewall::{Direction, Flow, Link, Packet};
use facts::host::{Interface, Protocol, Route};
use facts::link::Peer;
use facts::overlay::{DataPlane, Overlay};
use facts::parse::peers_of;
use facts::swarm::{LocalState, MANAGER_PORT, SwarmState};
use facts::{Gap, Host, Snapshot};
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The gossip port, fixed in libnetwork.
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

/// The role of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::host) enum FlowKind {
    InboundRequest,
    OutboundRequest,
    OutboundReply,
    InboundReply,
}

impl FlowKind {
    pub(in crate::host) fn as_str(self) -> &'static str {
        match self {
            Self::InboundRequest => "inbound",
            Self::OutboundRequest => "outbound",
            Self::OutboundReply => "outbound replies",
            Self::InboundReply => "inbound replies",
        }
    }

    pub(in crate::host) fn is_request(self) -> bool {
        matches!(self, Self::InboundRequest | Self::OutboundRequest)
    }

    pub(in crate::host) fn direction(self) -> Direction {
        match self {
            Self::InboundRequest | Self::InboundReply => Direction::In,
            Self::OutboundRequest | Self::OutboundReply => Direction::Out,
        }
    }

    /// Its packets. A rule that accepts the first packet of a connection may still drop the next one.
    fn packets(self, protocol: Protocol) -> &'static [Flow] {
        match (self.is_request(), protocol) {
            (true, Protocol::Tcp) => &[Flow::New, Flow::Further],
            (true, Protocol::Udp | Protocol::Esp) => &[Flow::New],
            (false, _) => &[Flow::Answer],
        }
    }
}

/// One packet that must pass between this node and another.
pub(in crate::host) struct RequiredFlow {
    pub(in crate::host) kind: FlowKind,
    pub(in crate::host) port: Port,
    pub(in crate::host) peer: Peer,
    pub(in crate::host) packet: Packet,
}

/// Every packet that must pass between this node and the nodes it knows; empty where it is not a swarm member.
pub(in crate::host) fn required_flows(snapshot: &Snapshot, host: &Host) -> Result<Vec<RequiredFlow>, Gap> {
    let node_addr = match host.info.get() {
        Ok(info) if info.swarm.state == LocalState::Inactive => return Ok(Vec::new()),
        Ok(info) if info.swarm.state == LocalState::Active => info.swarm.node_addr,
        Ok(_) => None,
        // A stopped engine is still a member if its files say so.
        Err(_) if host.swarm_state.get()?.is_none() => return Ok(Vec::new()),
        Err(_) => None,
    };
    let manager = host.is_manager().unwrap_or(false);
    let state = host.swarm_state.get().ok().and_then(|state| state.value.as_ref());
    let here = LocalEnd {
        addr: node_addr.or_else(|| state.and_then(|state| ip(&state.advertise_addr))),
        interfaces: &host.interfaces.get()?.value,
        routes: &host.routes.get()?.value,
    };
    let peers = peers_of(snapshot);
    let own = Port { number: state.map_or(MANAGER_PORT, SwarmState::manager_port), protocol: Protocol::Tcp };
    let mut flows = Vec::new();
    for peer in &peers {
        let mut add = |kind: FlowKind, number, protocol| {
            let port = Port { number, protocol };
            let packets = kind.packets(protocol).iter();
            flows.extend(packets.filter_map(|flow| here.required_flow(kind, *flow, port, peer)));
        };
        if manager {
            add(FlowKind::InboundRequest, own.number, own.protocol);
            add(FlowKind::OutboundReply, own.number, own.protocol);
        }
        if let Some(port) = peer.manager_port {
            add(FlowKind::OutboundRequest, port, Protocol::Tcp);
            add(FlowKind::InboundReply, port, Protocol::Tcp);
        }
        for kind in [
            FlowKind::InboundRequest,
            FlowKind::OutboundReply,
            FlowKind::OutboundRequest,
            FlowKind::InboundReply,
        ] {
            add(kind, GOSSIP, Protocol::Tcp);
        }
        // UDP packets of gossip and of overlays are not replies to one another.
        for kind in [FlowKind::InboundRequest, FlowKind::OutboundRequest] {
            add(kind, GOSSIP, Protocol::Udp);
        }
    }
    let overlays = host.overlays.get().map(|overlays| overlays.value.as_slice()).unwrap_or_default();
    // With a separate data-path address, only the overlays know the data-path addresses of the peers.
    let data_path = state.and_then(|state| ip(&state.data_path_addr)).filter(|addr| Some(*addr) != here.addr);
    let others: BTreeSet<Peer> = match data_path {
        Some(_) => planes(overlays).flat_map(|(_, plane)| plane_peers(plane)).collect(),
        None => peers.into_iter().collect(),
    };
    let here = LocalEnd { addr: data_path.or(here.addr), ..here };
    for peer in &others {
        let mut add = |port: Port, vni| {
            let kinds = [FlowKind::InboundRequest, FlowKind::OutboundRequest];
            let required = kinds.iter().filter_map(|kind| here.required_flow(*kind, Flow::New, port, peer));
            flows.extend(required.map(|flow| RequiredFlow { packet: Packet { vni, ..flow.packet }, ..flow }));
        };
        let on_it = |plane: &DataPlane| plane.peers.iter().any(|other| other.node == peer.addr);
        // The VNI of an unencrypted overlay that both are on, because the engine drops packets of encrypted overlays that
        // arrive unencrypted.
        let clear = planes(overlays).filter(|(overlay, _)| !overlay.encrypted);
        let vni = clear.filter(|(_, plane)| on_it(plane)).map(|(_, plane)| plane.vni).next();
        add(Port { number: host.data_path_port(), protocol: Protocol::Udp }, vni);
        if planes(overlays).any(|(overlay, plane)| overlay.encrypted && unanswered(plane, peer.addr)) {
            add(Port { number: 0, protocol: Protocol::Esp }, None);
        }
    }
    Ok(flows)
}

fn planes(overlays: &[Overlay]) -> impl Iterator<Item = (&Overlay, &DataPlane)> {
    overlays.iter().filter_map(|overlay| Some((overlay, overlay.data_plane.as_ref().ok()?)))
}

/// Whether a node on an overlay did not answer over it. When both nodes send ESP, conntrack takes what arrives for a
/// reply, so a firewall that accepts only replies does not necessarily block it.
fn unanswered(plane: &DataPlane, node: IpAddr) -> bool {
    plane.peers.iter().any(|peer| peer.node == node && !peer.small.answered())
}

fn plane_peers(plane: &DataPlane) -> impl Iterator<Item = Peer> {
    plane.peers.iter().map(|peer| Peer { addr: peer.node, name: None, node_id: None, manager_port: None })
}

/// The packets of connections from the other nodes to these TCP ports of this node.
pub(in crate::host) fn inbound_flows(
    snapshot: &Snapshot,
    host: &Host,
    ports: &[u16],
) -> Result<Vec<RequiredFlow>, Gap> {
    let here =
        LocalEnd { addr: None, interfaces: &host.interfaces.get()?.value, routes: &host.routes.get()?.value };
    let mut flows = Vec::new();
    for peer in &peers_of(snapshot) {
        for number in ports {
            let port = Port { number: *number, protocol: Protocol::Tcp };
            for kind in [FlowKind::InboundRequest, FlowKind::OutboundReply] {
                let packets = kind.packets(port.protocol).iter();
                flows.extend(packets.filter_map(|flow| here.required_flow(kind, *flow, port, peer)));
            }
        }
    }
    Ok(flows)
}

fn ip(text: &str) -> Option<IpAddr> {
    text.parse::<SocketAddr>().map(|addr| addr.ip()).or_else(|_| text.parse()).ok()
}

fn packet(kind: FlowKind, flow: Flow, port: Port, own: IpAddr, link: Option<Link>, peer: &Peer) -> Packet {
    let direction = kind.direction();
    let (source, destination) = if direction == Direction::In { (peer.addr, own) } else { (own, peer.addr) };
    // Gossip over UDP uses the same source and destination port; all other clients use an ephemeral port.
    let client_port = (port.number == GOSSIP && port.protocol == Protocol::Udp).then_some(GOSSIP);
    let (source_port, destination_port) = match flow {
        _ if port.protocol == Protocol::Esp => (None, None),
        Flow::New | Flow::Further => (client_port, Some(port.number)),
        Flow::Answer => (Some(port.number), client_port),
    };
    // The engine runs as root and owns the sockets of all flows except VXLAN and ESP.
    let of_engine = port.protocol == Protocol::Tcp || port.number == GOSSIP;
    Packet {
        direction,
        flow,
        protocol: port.protocol,
        source,
        destination,
        source_port,
        destination_port,
        link,
        onward: None,
        vni: None,
        owner: (of_engine && direction == Direction::Out).then_some(0),
        redirected: false,
    }
}

/// The addresses, interfaces and routes of this node.
struct LocalEnd<'a> {
    addr: Option<IpAddr>,
    interfaces: &'a [Interface],
    routes: &'a [Route],
}

impl LocalEnd<'_> {
    /// A packet between this node and a peer; none where there is no route.
    fn required_flow(&self, kind: FlowKind, flow: Flow, port: Port, peer: &Peer) -> Option<RequiredFlow> {
        let (addr, link) = self.towards(peer.addr)?;
        let packet = packet(kind, flow, port, addr, link, peer);
        Some(RequiredFlow { kind, port, packet, peer: peer.clone() })
    }

    /// The local address and interface towards another node; the interface where a route names it.
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
