//! TCP probes.

use super::outcome;
use facts::link::Outcome;
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Probes whether a port accepts connections, without a connection to the program behind it.
///
/// The engine logs a warning for each connection to its manager port that ends before the TLS handshake. So only the kernel of
/// the peer takes part: its SYN-ACK is the answer. Our ACK is delayed and replaced by a reset, so that the program never sees
/// the connection.
pub(in crate::collect) async fn connect(addr: SocketAddr, deadline: Duration) -> Outcome {
    match timeout(deadline, half_open(addr)).await {
        Ok(Ok(_)) => Outcome::Open,
        Ok(Err(error)) => outcome(error.raw_os_error().unwrap_or(libc::EIO)),
        Err(_) => Outcome::Filtered,
    }
}

async fn half_open(addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    SockRef::from(&socket).set_tcp_quickack(false)?;
    socket.set_zero_linger()?;
    socket.connect(addr).await
}
