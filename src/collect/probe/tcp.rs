//! Connections.

use super::outcome;
use facts::link::Outcome;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Connects, and closes at once without a byte. The engine takes the orderly end for a visitor who thought
/// better of it, and logs nothing; after a reset it would log an error.
pub(super) async fn connect(addr: SocketAddr, deadline: Duration) -> Outcome {
    match timeout(deadline, TcpStream::connect(addr)).await {
        Ok(Ok(_)) => Outcome::Open,
        Ok(Err(error)) => outcome(error.raw_os_error().unwrap_or(libc::EIO)),
        Err(_) => Outcome::Filtered,
    }
}
