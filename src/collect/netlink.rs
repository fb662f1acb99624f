//! Reads interfaces and routes over netlink.
//!
//! A netlink socket belongs to the network namespace of the thread that opens it, so a thread that has entered a namespace
//! uses the same functions.

use super::{Artifact, Place, Session, why};
use facts::host::{Address, Interface, Route, RouteKind};
use facts::{Need, Why};
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload,
    NetlinkSerializable,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::sys::{socket::setsockopt, socket::sockopt::ReceiveTimeout, time::TimeVal};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The buffer size for one datagram of an answer. The kernel fills at most this much; it needs more
/// only for a single link with hundreds of virtual functions.
const DATAGRAM: usize = 1 << 15;
/// The flag of an inconsistent dump.
const INTERRUPTED: u16 = libc::NLM_F_DUMP_INTR as u16;
/// The maximum number of attempts when a dump is inconsistent.
const TRIES: u32 = 4;
/// The timeout for an answer. The kernel is slow only while others hold the RTNL lock.
const SILENCE: TimeVal = TimeVal::new(2, 0);

pub(super) async fn interfaces(session: &Session) -> Vec<Artifact> {
    let place =
        Place::new(Need::Interfaces, "host/interfaces.json", "netlink: RTM_GETLINK, RTM_GETADDR, ethtool");
    let read = || {
        let mut links = managed(links()?);
        super::ethtool::describe(&mut links);
        Ok(links)
    };
    session.of_this_machine(place, move || read().map_err(|error: io::Error| gap(&error))).await
}

pub(super) async fn routes(session: &Session) -> Vec<Artifact> {
    let place = Place::new(Need::Routes, "host/routes.json", "netlink: RTM_GETROUTE, table main");
    session.of_this_machine(place, || main_table().map_err(|error| gap(&error))).await
}

pub(super) fn gap(error: &io::Error) -> Why {
    match error.kind() {
        io::ErrorKind::InvalidData => Why::Malformed { line: 0, what: error.to_string() },
        _ => why(error, "ask the kernel over netlink"),
    }
}

/// Formats a MAC address.
pub(super) fn spelled(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// The interfaces of the network namespace of this thread, by index.
pub(super) fn links() -> io::Result<Vec<Interface>> {
    let mut interfaces = BTreeMap::new();
    for message in dump(NETLINK_ROUTE, RouteNetlinkMessage::GetLink(LinkMessage::default()))? {
        if let RouteNetlinkMessage::NewLink(link) = message {
            interfaces.insert(link.header.index, interface(link));
        }
    }
    for message in dump(NETLINK_ROUTE, RouteNetlinkMessage::GetAddress(AddressMessage::default()))? {
        if let RouteNetlinkMessage::NewAddress(message) = message
            && let Some(interface) = interfaces.get_mut(&message.header.index)
            && let Some(addr) = own_address(&message.attributes)
        {
            interface.addresses.push(Address { addr, prefix: message.header.prefix_len });
        }
    }
    Ok(interfaces.into_values().collect())
}

fn interface(link: LinkMessage) -> Interface {
    let mut interface = Interface {
        index: link.header.index,
        up: link.header.flags.contains(LinkFlags::Up),
        running: link.header.flags.contains(LinkFlags::Running),
        ..Interface::default()
    };
    for attribute in link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => interface.name = name,
            LinkAttribute::Mtu(mtu) => interface.mtu = mtu,
            LinkAttribute::Address(bytes) => interface.mac = spelled(&bytes),
            LinkAttribute::LinkInfo(infos) => {
                interface.kind = infos
                    .iter()
                    .find_map(|info| match info {
                        LinkInfo::Kind(kind) => Some(kind.to_string()),
                        _ => None,
                    })
                    .unwrap_or_default();
            }
            _ => {}
        }
    }
    interface
}

/// The interfaces with the file by which systemd-networkd manages each, from its run-time state.
fn managed(mut interfaces: Vec<Interface>) -> Vec<Interface> {
    for interface in &mut interfaces {
        let state = std::fs::read_to_string(format!("/run/systemd/netif/links/{}", interface.index));
        let state = state.unwrap_or_default();
        interface.network_file =
            state.lines().find_map(|line| line.strip_prefix("NETWORK_FILE=")).map(str::to_owned);
    }
    interfaces
}

/// The local address. On a point-to-point link `Address` is the remote end and `Local` the local end.
fn own_address(attributes: &[AddressAttribute]) -> Option<IpAddr> {
    let local = attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(addr) => Some(*addr),
        _ => None,
    });
    local.or_else(|| {
        attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(addr) => Some(*addr),
            _ => None,
        })
    })
}

/// The routes of the main table in the network namespace of this thread.
pub(super) fn main_table() -> io::Result<Vec<Route>> {
    let names: BTreeMap<_, _> = links()?.into_iter().map(|link| (link.index, link.name)).collect();
    let mut routes = Vec::new();
    for message in dump(NETLINK_ROUTE, RouteNetlinkMessage::GetRoute(RouteMessage::default()))? {
        if let RouteNetlinkMessage::NewRoute(message) = message
            && message.header.table == RouteHeader::RT_TABLE_MAIN
            && let Some(kind) = kind(message.header.kind)
        {
            routes.extend(hops(&message, &names).into_iter().map(|hop| Route { kind, ..hop }));
        }
    }
    routes.sort_by(|a: &Route, b: &Route| {
        (a.network, a.prefix, a.gateway, &a.interface).cmp(&(b.network, b.prefix, b.gateway, &b.interface))
    });
    Ok(routes)
}

/// The kind of a route; none for broadcast and similar routes.
fn kind(kind: RouteType) -> Option<RouteKind> {
    match kind {
        RouteType::Unicast => Some(RouteKind::Unicast),
        RouteType::BlackHole => Some(RouteKind::Blackhole),
        RouteType::Unreachable => Some(RouteKind::Unreachable),
        RouteType::Prohibit => Some(RouteKind::Prohibit),
        _ => None,
    }
}

/// One route for each next hop of a message.
fn hops(message: &RouteMessage, names: &BTreeMap<u32, String>) -> Vec<Route> {
    let network = match message.header.address_family {
        AddressFamily::Inet => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return Vec::new(),
    };
    let prefix = message.header.destination_prefix_length;
    let mut route =
        Route { network, prefix, gateway: None, interface: None, source: None, kind: RouteKind::Unicast };
    let mut paths = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(addr) => route.network = ip(addr).unwrap_or(route.network),
            RouteAttribute::PrefSource(addr) => route.source = ip(addr),
            RouteAttribute::Oif(index) => route.interface = names.get(index).cloned(),
            RouteAttribute::MultiPath(hops) => paths.clone_from(hops),
            attribute => route.gateway = gateway(attribute).or(route.gateway),
        }
    }
    if paths.is_empty() {
        return vec![route];
    }
    let hop = |path: &netlink_packet_route::route::RouteNextHop| Route {
        gateway: path.attributes.iter().find_map(gateway),
        interface: names.get(&path.interface_index).cloned(),
        ..route.clone()
    };
    paths.iter().map(hop).collect()
}

fn gateway(attribute: &RouteAttribute) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(addr) => ip(addr),
        RouteAttribute::Via(RouteVia::Inet(addr)) => Some((*addr).into()),
        RouteAttribute::Via(RouteVia::Inet6(addr)) => Some((*addr).into()),
        _ => None,
    }
}

fn ip(addr: &RouteAddress) -> Option<IpAddr> {
    match addr {
        RouteAddress::Inet(addr) => Some((*addr).into()),
        RouteAddress::Inet6(addr) => Some((*addr).into()),
        _ => None,
    }
}

/// All messages that the kernel returns for one request.
pub(super) fn dump<T>(protocol: isize, question: T) -> io::Result<Vec<T>>
where
    T: NetlinkSerializable + NetlinkDeserializable,
{
    let mut message = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::InnerMessage(question));
    message.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    message.finalize();
    let mut question = vec![0; message.buffer_len()];
    message.serialize(&mut question);
    let mut room = DATAGRAM;
    for _ in 0..TRIES {
        let socket = Socket::new(protocol)?;
        setsockopt(&socket, ReceiveTimeout, &SILENCE)?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.send(&question, 0)?;
        if let Some(answer) = answer(&socket, &mut room)? {
            return Ok(answer);
        }
    }
    Err(io::Error::other(format!("what is listed changed {TRIES} times meanwhile")))
}

/// One complete answer; none if it is inconsistent or larger than the buffer.
fn answer<T: NetlinkDeserializable>(socket: &Socket, room: &mut usize) -> io::Result<Option<Vec<T>>> {
    let malformed = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut answer = Vec::new();
    let mut whole = true;
    let mut datagram = Vec::with_capacity(*room);
    loop {
        datagram.clear();
        let size = socket.recv(&mut datagram, libc::MSG_TRUNC)?;
        if size > datagram.len() {
            *room = size.next_power_of_two();
            return Ok(None);
        }
        let mut rest = datagram.as_slice();
        while !rest.is_empty() {
            let message =
                NetlinkMessage::<T>::deserialize(rest).map_err(|error| malformed(error.to_string()))?;
            whole &= message.header.flags & INTERRUPTED == 0;
            match message.payload {
                NetlinkPayload::InnerMessage(inner) => answer.push(inner),
                NetlinkPayload::Done(_) => return Ok(whole.then_some(answer)),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::Overrun(_) => whole = false,
                _ => {}
            }
            let length = (message.header.length as usize).next_multiple_of(4);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_holds_its_address() {
        let links = links().unwrap();
        let lo = links.iter().find(|link| link.name == "lo").unwrap();
        assert_eq!((lo.index, lo.up, lo.kind.as_str(), lo.mac.as_str()), (1, true, "", "00:00:00:00:00:00"));
        assert!(lo.addresses.contains(&Address { addr: Ipv4Addr::LOCALHOST.into(), prefix: 8 }), "{lo:?}");
        assert!(links.is_sorted_by_key(|link| link.index));
    }

    #[test]
    fn this_end_of_a_point_to_point_link_is_the_local_address() {
        let (this, peer) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let both = [AddressAttribute::Address(peer), AddressAttribute::Local(this)];
        assert_eq!(own_address(&both), Some(this));
        assert_eq!(own_address(&both[..1]), Some(peer));
    }

    #[test]
    fn an_error_of_the_kernel_is_an_error() {
        let question = RouteNetlinkMessage::GetNeighbourTable(Default::default());
        assert!(dump(NETLINK_ROUTE, question).is_ok());
        let no_such_protocol = dump(31, RouteNetlinkMessage::GetLink(LinkMessage::default()));
        assert!(no_such_protocol.is_err());
    }
}
