//! Connections.

use super::outcome;
use facts::link::Outcome;
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Tries whether a port takes connections, unnoticed by the program behind it.
///
/// The engine logs a warning for each visitor of its manager port who leaves before TLS is spoken. So the
/// peer's kernel is asked alone: its SYN-ACK is the answer. Ours to it is held back, and then a reset is sent
/// in its place, so that the connection never reaches the program.
pub(in crate::collect) async fn connect(addr: SocketAddr, deadline: Duration) -> Outcome {
    match timeout(deadline, knock(addr)).await {
        Ok(Ok(_)) => Outcome::Open,
        Ok(Err(error)) => outcome(error.raw_os_error().unwrap_or(libc::EIO)),
        Err(_) => Outcome::Filtered,
    }
}

async fn knock(addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    SockRef::from(&socket).set_tcp_quickack(false)?;
    socket.set_zero_linger()?;
    socket.connect(addr).await
}
