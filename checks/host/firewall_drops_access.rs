use super::firewall::traffic::calls_for;
use super::firewall_drops_swarm::follow;
use crate::{Findings, Judged, Severity, View};
use facts::host::{Listener, Protocol};
use facts::swarm::LocalState;
use facts::{Gap, Host};

check! {
    /// The node listens for operators and their tools, and its own packet filter keeps the other nodes out.
    ///
    /// ## Why it matters
    /// An engine that was told to listen on 2376 (2375 without TLS) is meant to be called from elsewhere: `docker -H`,
    /// Docker Machine and CI do so. Where the packet filter drops that port, the client says no more than that it cannot
    /// connect. The swarm itself does without. SSH on 22 is the way of `docker context` and of whoever comes to help.
    ///
    /// ## How to fix it
    /// Let the port through for those who need it, or have the engine listen on its socket alone. 2376 belongs to whoever
    /// holds a client certificate, and 2375 to nobody.
    ///
    /// ## When it is wrong
    /// Where nodes are not meant to call one another and a machine elsewhere, which is let through, does. Of SSH it is
    /// only remarked.
    ///
    /// Source: Docker docs "Protect the Docker daemon socket", "Configure remote access for Docker daemon".
    "host/firewall-drops-access": Warning, "the node's own firewall drops calls to the engine's API or to SSH";
    needs Sockets, Info, Firewall, Interfaces, Routes, Nodes, Networks, SwarmState, Overlays;
    caused_by "host/firewall-drops-swarm";
    for each Host: run
}

const API: [u16; 2] = [2375, 2376];
const SSH: [u16; 1] = [22];

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    // A machine that is in no swarm has nobody to be called by.
    if host.info.get()?.swarm.state != LocalState::Active {
        return Ok(());
    }
    for (ports, severity) in [(API.as_slice(), Severity::Warning), (SSH.as_slice(), Severity::Info)] {
        let open = listened(host, ports)?;
        follow(host, view, &calls_for(view.snapshot, host, &open)?, severity, out)?;
    }
    Ok(())
}

/// Those of the ports on which something listens for others.
fn listened(host: &Host, ports: &[u16]) -> Result<Vec<u16>, Gap> {
    let listeners = host.listeners.get()?;
    let takes = |port: u16| {
        move |one: &Listener| one.protocol == Protocol::Tcp && one.port == port && !one.addr.is_loopback()
    };
    Ok(ports.iter().copied().filter(|port| listeners.iter().any(takes(*port))).collect())
}
