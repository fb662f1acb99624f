//! Reads the neighbour table of the kernel.

use super::{Artifact, Place, Session, netlink};
use facts::Need;
use facts::host::{Neighbour, NeighbourState as State};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_sys::protocols::NETLINK_ROUTE;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// An entry confirmed within this time was confirmed by the probes.
const LATELY: Duration = Duration::from_secs(3);

/// The other nodes and the routers in the neighbour table.
pub(super) async fn neighbours(session: &Session) -> Vec<Artifact> {
    let place = Place::new(Need::Neighbours, "host/neighbours.json", "netlink: RTM_GETNEIGH");
    // The kernel resolves a neighbour when a packet is sent to it.
    session.artifacts(Need::Probes).await;
    let mut wanted = session.peer_addresses().await;
    let routes = facts::parse::snapshot(&session.partial(&[Need::Routes]).await);
    let routes = routes.hosts.iter().filter_map(|host| host.routes.get().ok());
    wanted.extend(routes.flat_map(|routes| routes.iter().filter_map(|route| route.gateway)));
    session.of_this_machine(place, move || table(&wanted).map_err(|error| netlink::gap(&error))).await
}

fn table(wanted: &[IpAddr]) -> io::Result<Vec<Neighbour>> {
    let links = netlink::links()?;
    let named = |entry: Row| {
        let link = links.iter().find(|link| link.index == entry.interface)?;
        let state = match entry.state {
            NeighbourState::Permanent => State::Permanent,
            NeighbourState::Failed | NeighbourState::Incomplete => State::Failed,
            NeighbourState::Reachable if entry.confirmed.is_some_and(|ago| ago < LATELY) => State::Reachable,
            _ => State::Stale,
        };
        Some(Neighbour { addr: entry.addr, interface: link.name.clone(), mac: entry.mac, state })
    };
    let mut found: Vec<_> =
        rows()?.into_iter().filter(|row| wanted.contains(&row.addr)).filter_map(named).collect();
    found.sort_by(|one, other| (one.addr, &one.interface).cmp(&(other.addr, &other.interface)));
    Ok(found)
}

/// The status of an entry in the neighbour table.
#[derive(Debug)]
pub(crate) struct Sight {
    /// Whether the resolution failed.
    pub(crate) failed: bool,
    /// The time since it was last confirmed.
    pub(crate) confirmed: Duration,
}

/// The status of this address; none if it is behind a router, or was not resolved recently.
///
/// # Errors
/// If the kernel does not answer.
pub(crate) fn neighbour(addr: IpAddr) -> io::Result<Option<Sight>> {
    let row = rows()?.into_iter().find(|row| row.addr == addr);
    Ok(row.and_then(|row| {
        let failed = matches!(row.state, NeighbourState::Failed | NeighbourState::Incomplete);
        Some(Sight { failed, confirmed: row.confirmed? })
    }))
}

/// An entry of the table.
struct Row {
    addr: IpAddr,
    /// The index.
    interface: u32,
    mac: String,
    state: NeighbourState,
    /// The time since it was confirmed.
    confirmed: Option<Duration>,
}

fn rows() -> io::Result<Vec<Row>> {
    /// `USER_HZ`, the unit of the kernel here.
    const TICK: Duration = Duration::from_millis(10);
    let question = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
    let row = |message| {
        let RouteNetlinkMessage::NewNeighbour(entry) = message else { return None };
        let (mut addr, mut mac, mut confirmed) = (None, String::new(), None);
        for attribute in &entry.attributes {
            match attribute {
                NeighbourAttribute::Destination(NeighbourAddress::Inet(found)) => {
                    addr = Some((*found).into())
                }
                NeighbourAttribute::Destination(NeighbourAddress::Inet6(found)) => {
                    addr = Some((*found).into())
                }
                NeighbourAttribute::LinkLayerAddress(bytes) => mac = netlink::spelled(bytes),
                NeighbourAttribute::CacheInfo(times) => confirmed = Some(TICK * times.confirmed),
                _ => {}
            }
        }
        Some(Row { addr: addr?, interface: entry.header.ifindex, mac, state: entry.header.state, confirmed })
    };
    Ok(netlink::dump(NETLINK_ROUTE, question)?.into_iter().filter_map(row).collect())
}
