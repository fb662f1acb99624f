use super::firewall::blocked::report_blocked;
use super::firewall::required_flow::inbound_flows;
use crate::{Findings, Judged, Severity, View};
use facts::host::{Listener, Protocol};
use facts::swarm::LocalState;
use facts::{Gap, Host};

check! {
    /// This node listens for remote Docker clients or SSH, and its own firewall blocks the other nodes.
    ///
    /// ## Why it matters
    /// An engine that is configured to listen on 2376 (2375 without TLS) expects remote clients: `docker -H`, CI jobs,
    /// management tools. When the firewall blocks that port, the client reports only that it cannot connect. The swarm
    /// itself does not need the port. `docker context` over SSH and operators need port 22.
    ///
    /// ## How to fix it
    /// Open the port for the clients that need it, or let the engine listen on its local socket only. Open 2376 only to
    /// holders of a client certificate, and 2375 to no one.
    ///
    /// ## When it is wrong
    /// When only hosts outside the swarm are meant to connect and the firewall allows them. For SSH the severity is info.
    ///
    /// Source: Docker docs "Protect the Docker daemon socket", "Configure remote access for Docker daemon".
    "host/firewall-drops-access": Warning, "the firewall of the node blocks the Docker API port or SSH";
    healthy "the firewall of the node passes the Docker API port and SSH";
    needs Sockets, Info, Firewall, Interfaces, Routes, Nodes, Networks, SwarmState, Overlays;
    caused_by "host/firewall-drops-swarm";
    for each Host: run
}

const API: [u16; 2] = [2375, 2376];
const SSH: [u16; 1] = [22];

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    // Without a swarm there are no other nodes that could connect.
    if host.info.get()?.swarm.state != LocalState::Active {
        return Ok(());
    }
    for (ports, severity) in [(API.as_slice(), Severity::Warning), (SSH.as_slice(), Severity::Info)] {
        let open = listening(host, ports)?;
        report_blocked(host, view, &inbound_flows(view.snapshot, host, &open)?, severity, out)?;
    }
    Ok(())
}

/// The ports of these that a program listens on for remote clients.
fn listening(host: &Host, ports: &[u16]) -> Result<Vec<u16>, Gap> {
    let listeners = host.listeners.get()?;
    let accepts = |port: u16| {
        move |one: &Listener| one.protocol == Protocol::Tcp && one.port == port && !one.addr.is_loopback()
    };
    Ok(ports.iter().copied().filter(|port| listeners.iter().any(accepts(*port))).collect())
}
