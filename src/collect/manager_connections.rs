//! Who is connected to the manager port of this machine.

use super::{Artifact, Place, Session, netlink, why};
use facts::Need;
use facts::swarm::{MANAGER_PORT, SwarmState};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

/// The addresses that hold a connection to the manager port.
pub(super) async fn manager_connections(session: &Session) -> Vec<Artifact> {
    let place = Place::new(
        Need::Sockets,
        "host/manager-connections.json",
        "netlink: sock_diag, connections to the manager port",
    );
    let host = facts::parse::snapshot(&session.partial(&[Need::SwarmState]).await).hosts.pop();
    let state = host.as_ref().and_then(|host| host.swarm_state.get().ok()?.value.as_ref());
    let port = state.map_or(MANAGER_PORT, SwarmState::manager_port);
    session
        .of_this_machine(place, move || connected_to(port).map_err(|error| why(&error, "list connections")))
        .await
}

/// The far ends of the connections to a port. The kernel filters them, however many others there are.
fn connected_to(port: u16) -> io::Result<BTreeSet<IpAddr>> {
    let mut callers = BTreeSet::new();
    for (family, socket_id) in [(libc::AF_INET, SocketId::new_v4()), (libc::AF_INET6, SocketId::new_v6())] {
        let question = SockDiagMessage::InetRequest(InetRequest {
            family: family as u8,
            protocol: libc::IPPROTO_TCP as u8,
            extensions: ExtensionFlags::INFO,
            states: StateFlags::ESTABLISHED,
            socket_id: SocketId { source_port: port, ..socket_id },
        });
        for message in netlink::dump(NETLINK_SOCK_DIAG, question)? {
            if let SockDiagMessage::InetResponse(socket) = message
                && socket.header.socket_id.source_port == port
                && !is_quiet(&socket.nlas)
            {
                callers.insert(socket.header.socket_id.destination_address.to_canonical());
            }
        }
    }
    Ok(callers)
}

/// Whether nothing came over a connection for so long that who had it may be gone: a node sends a sign of life every
/// few seconds, and one that lost its power leaves its connection standing.
fn is_quiet(attributes: &[Nla]) -> bool {
    const QUIET_MS: u32 = 60_000;
    /// Where `tcpi_last_data_recv` stands in the kernel's `struct tcp_info`.
    const LAST_DATA: std::ops::Range<usize> = 52..56;
    attributes.iter().any(|attribute| {
        let Nla::TcpInfo(info) = attribute else { return false };
        let bytes = info.get(LAST_DATA).and_then(|bytes| bytes.try_into().ok());
        bytes.is_some_and(|bytes| u32::from_ne_bytes(bytes) > QUIET_MS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn only_who_is_connected_to_the_port_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        assert_eq!(connected_to(addr.port()).unwrap(), BTreeSet::new());
        let caller = TcpStream::connect(addr).unwrap();
        assert_eq!(connected_to(addr.port()).unwrap(), BTreeSet::from([addr.ip()]));
        // The caller's own port has the listener at its far end, and is another port.
        assert_eq!(connected_to(caller.local_addr().unwrap().port()).unwrap(), BTreeSet::from([addr.ip()]));
        drop((caller, listener));
        assert_eq!(connected_to(addr.port()).unwrap(), BTreeSet::new());
    }
}
