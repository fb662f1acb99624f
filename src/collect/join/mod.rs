//! Probes the manager through which this host would join. Changes nothing.

mod manager;

pub(crate) use manager::greet;

use super::probe::connect;
use super::{Artifact, Place, Session};
use facts::Need;
use facts::join::{Found, Join, Manager};
use facts::link::Outcome;
use facts::swarm::MANAGER_PORT;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;

/// The gossip port (memberlist), fixed in libnetwork.
const GOSSIP: u16 = 7946;
/// Timeout of the TLS handshake, as a multiple of the deadline of one probe.
const TLS_DEADLINES: u32 = 3;

/// The swarm to join.
#[derive(Clone, Debug)]
pub struct Target {
    /// The manager, as for `docker swarm join`: a hostname or an address, with a port unless it is 2377.
    pub manager: String,
    /// The join token; `None` if it was not given.
    pub token: Option<Secret>,
}

/// A text that `Debug` shows as `***`.
#[derive(Clone)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

pub(super) async fn join(session: &Session) -> Vec<Artifact> {
    let place = Place::new(Need::Join, "join.json", "");
    let Some(target) = &session.options.join else { return Vec::new() };
    let named = with_port(&target.manager);
    let place = Place { origin: format!("the manager at {named}"), ..place };
    if let Some(why) = session.elsewhere() {
        return vec![place.missed(why)];
    }
    let found = match tokio::net::lookup_host(&named).await.map(|mut addrs| addrs.next()) {
        Ok(Some(addr)) => Found::Resolved(Box::new(probe(addr, session.options.probe_deadline).await)),
        Ok(None) => Found::Unresolved { what: "the name has no address".into() },
        Err(error) => Found::Unresolved { what: error.to_string() },
    };
    let token = target.token.as_ref().map(|token| facts::parse::token(token.0.trim()));
    vec![place.kept_as_json(&Join { target: named, token, found })]
}

/// The manager with its port, parsed as `docker swarm join` does.
pub(crate) fn with_port(named: &str) -> String {
    if let Ok(ip) = named.parse::<IpAddr>() {
        return SocketAddr::from((ip, MANAGER_PORT)).to_string();
    }
    match named.rsplit_once(':') {
        Some((_, port)) if !port.contains(']') => named.to_owned(),
        _ => format!("{named}:{MANAGER_PORT}"),
    }
}

async fn probe(addr: SocketAddr, deadline: Duration) -> Manager {
    let gossip = SocketAddr::from((addr.ip(), GOSSIP));
    let (from, port, gossip) = tokio::join!(from(addr), connect(addr, deadline), connect(gossip, deadline));
    let mut greeting = None;
    // memberlist logs a TLS handshake as a malformed message, so the gossip port is not asked.
    if port == Outcome::Open && addr.port() != GOSSIP {
        greeting = Some(greet(addr, deadline * TLS_DEADLINES).await);
    }
    Manager { addr, from, port, gossip, greeting }
}

/// The source address that the kernel selects for packets to the manager. Sends nothing.
async fn from(addr: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if addr.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = UdpSocket::bind((any, 0)).await.ok()?;
    socket.connect(addr).await.ok()?;
    socket.local_addr().ok().map(|local| local.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_without_a_port_gets_2377() {
        for (named, whole) in [
            ("192.0.2.1", "192.0.2.1:2377"),
            ("192.0.2.1:4242", "192.0.2.1:4242"),
            ("m1.example.com", "m1.example.com:2377"),
            ("m1.example.com:1", "m1.example.com:1"),
            ("2001:db8::1", "[2001:db8::1]:2377"),
            ("[2001:db8::1]", "[2001:db8::1]:2377"),
            ("[2001:db8::1]:1", "[2001:db8::1]:1"),
        ] {
            assert_eq!(with_port(named), whole);
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let target = Target { manager: "m1".into(), token: Some(Secret("SWMTKN-1-a-b".into())) };
        assert!(!format!("{target:?}").contains("SWMTKN"));
    }
}
