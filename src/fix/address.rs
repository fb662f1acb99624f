//! One more address of an interface.

use super::membership::is_local;
use super::program;
use crate::collect::neighbour;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;

/// The most that setting an address may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long another machine may take to show that the address is its own.
const PATIENCE: Duration = Duration::from_secs(2);
/// A port that an answer is asked of; that nobody listens there is one too.
const PORT: u16 = 2377;

/// An address on an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Address {
    /// The interface.
    pub(super) device: String,
    /// The address.
    pub(super) addr: IpAddr,
    /// The length of its prefix.
    pub(super) prefix: u8,
}

impl Address {
    /// What adding it is, in words.
    pub(super) fn text(&self) -> String {
        self.command("add").join(" ")
    }

    /// Whether the machine has it already; an error where another one has.
    pub(super) async fn is_there(&self) -> Result<bool, String> {
        if is_local(self.addr) {
            return Ok(true);
        }
        let taken = Err(format!("another machine has {} now", self.addr));
        let connected = TcpStream::connect(SocketAddr::from((self.addr, PORT)));
        match tokio::time::timeout(PATIENCE, connected).await {
            Ok(Ok(_)) => return taken,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => return taken,
            _ => {}
        }
        // One whose firewall drops all still tells its neighbours where it is.
        match neighbour(self.addr) {
            Ok(Some(neighbour)) if !neighbour.failed && neighbour.confirmed < PATIENCE * 2 => taken,
            _ => Ok(false),
        }
    }

    /// Adds it.
    pub(super) fn add(&self) -> Result<(), String> {
        program::run(&self.command("add"), DEADLINE).map(drop)
    }

    /// Takes it away, where it is there.
    pub(super) fn remove(&self) -> Result<(), String> {
        if !is_local(self.addr) {
            return Ok(());
        }
        program::run(&self.command("del"), DEADLINE).map(drop)
    }

    fn command(&self, verb: &str) -> Vec<String> {
        let addr = format!("{}/{}", self.addr, self.prefix);
        ["ip", "addr", verb, &addr, "dev", &self.device].map(str::to_owned).to_vec()
    }
}
