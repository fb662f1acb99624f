//! Adding an address to an interface.

use super::{Change, Operation, Planned};
use crate::fix::error::{FixError, Result};
use crate::fix::{FixContext, Level};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// The time limit of `ip addr`.
const LIMIT: Duration = Duration::from_secs(10);
/// How long another host may take to show that it holds the address.
const PROBE: Duration = Duration::from_secs(2);
/// A port to probe; a refused connection shows a host as well.
const PORT: u16 = 2377;

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::fix) struct AddressAdd {
    device: String,
    addr: IpAddr,
    prefix: u8,
}

pub(super) async fn plan(
    planned: &mut Planned,
    device: &str,
    addr: IpAddr,
    prefix: u8,
    context: &FixContext<'_>,
) -> Result<()> {
    let unusable = match addr {
        IpAddr::V4(addr) => addr.is_link_local() || addr.is_loopback() || addr.is_unspecified(),
        IpAddr::V6(addr) => addr.is_unicast_link_local() || addr.is_loopback() || addr.is_unspecified(),
    };
    if unusable {
        return Err(FixError::Refused(format!("{addr} is not an address that other nodes can use")));
    }
    if context.system.holds(addr) {
        return Ok(());
    }
    if is_taken(addr, context).await {
        return Err(FixError::Refused(format!("another host holds {addr}")));
    }
    planned.push(Operation::Address(AddressAdd { device: device.into(), addr, prefix }));
    Ok(())
}

async fn is_taken(addr: IpAddr, context: &FixContext<'_>) -> bool {
    match context.system.connect(SocketAddr::from((addr, PORT)), PROBE).await {
        Ok(()) => return true,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return true,
        Err(_) => {}
    }
    // A host whose firewall drops everything still answers ARP.
    let neighbour = context.system.neighbour(addr);
    neighbour.is_ok_and(|entry| entry.is_some_and(|entry| !entry.failed && entry.confirmed < PROBE * 2))
}

impl AddressAdd {
    fn argv(&self, verb: &str) -> Vec<String> {
        let addr = format!("{}/{}", self.addr, self.prefix);
        ["ip", "addr", verb, &addr, "dev", &self.device].map(str::to_owned).to_vec()
    }
}

impl Change for AddressAdd {
    fn describe(&self) -> String {
        self.argv("add").join(" ")
    }

    fn describe_revert(&self) -> String {
        self.argv("del").join(" ")
    }

    fn level(&self) -> Level {
        Level::Disruptive
    }

    fn settles_within(&self) -> Duration {
        Duration::from_secs(30)
    }

    async fn apply(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        context.system.run(&self.argv("add"), LIMIT).map(drop)
    }

    async fn is_applied(&self, context: &FixContext<'_>) -> Result<bool> {
        Ok(context.system.holds(self.addr))
    }

    async fn revert(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        if context.system.holds(self.addr) {
            context.system.run(&self.argv("del"), LIMIT)?;
        }
        Ok(())
    }
}
