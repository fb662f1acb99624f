//! What the kernel knows of one machine on this network.

use super::netlink;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_sys::protocols::NETLINK_ROUTE;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// A machine in the kernel's table of neighbours.
#[derive(Debug)]
pub(crate) struct Neighbour {
    /// Whether the kernel asked for it, and nobody answered.
    pub(crate) failed: bool,
    /// How long ago it showed that it is there.
    pub(crate) confirmed: Duration,
}

/// The entry of this address; none where the way there goes through a router, or nobody asked lately.
///
/// # Errors
/// Where the kernel does not answer.
pub(crate) fn neighbour(addr: IpAddr) -> io::Result<Option<Neighbour>> {
    /// `USER_HZ`, in which the kernel counts here.
    const TICK: Duration = Duration::from_millis(10);
    let question = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
    for message in netlink::dump(NETLINK_ROUTE, question)? {
        let RouteNetlinkMessage::NewNeighbour(entry) = message else { continue };
        let of_it = |attribute: &NeighbourAttribute| match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(found)) => addr == IpAddr::from(*found),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(found)) => addr == IpAddr::from(*found),
            _ => false,
        };
        if !entry.attributes.iter().any(of_it) {
            continue;
        }
        let confirmed = entry.attributes.iter().find_map(|attribute| match attribute {
            NeighbourAttribute::CacheInfo(times) => Some(TICK * times.confirmed),
            _ => None,
        });
        let failed = matches!(entry.header.state, NeighbourState::Failed | NeighbourState::Incomplete);
        return Ok(confirmed.map(|confirmed| Neighbour { failed, confirmed }));
    }
    Ok(None)
}
