use crate::model::local_addresses::uplink_without_address;
use crate::remedies::restore_address::restore_address;
use crate::{Confidence, Evidence, Findings, Judged, Subject, View};
use facts::Host;
use facts::swarm::LocalState;
use std::net::{IpAddr, SocketAddr};

check! {
    /// The node's data path address (`--data-path-addr`) is on no interface.
    ///
    /// ## Why it matters
    /// The other nodes send VXLAN packets to this address. Without an interface that has it, no overlay packet reaches the
    /// node, while `docker node ls` shows it as Ready.
    ///
    /// ## How to fix it
    /// Add the address to its interface again. To use another address, leave and join again with `--data-path-addr`.
    ///
    /// ## When it is wrong
    /// When a 1:1 NAT forwards the address to this host.
    ///
    /// Source: moby `daemon/cluster/listen_addr.go` (`resolveDataPathAddr` saves the address and does not check it again).
    "swarm/data-path-addr-missing": Error, "the data path address is on no interface";
    healthy "the data path address is on an interface of the node";
    needs SwarmState, Info, Interfaces;
    caused_by "swarm/stale-advertise-addr";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let state = host.swarm_state.get()?;
    let Some(saved) = &state.value else { return Ok(()) };
    let Ok(addr) = saved.data_path_addr.parse::<IpAddr>() else { return Ok(()) };
    let info = host.info.get()?;
    // The advertised address is stale-advertise-addr.
    let advertised = saved.advertise_addr.parse::<SocketAddr>().map(|addr| addr.ip()).ok();
    if info.swarm.state != LocalState::Active || advertised == Some(addr) || addr.is_unspecified() {
        return Ok(());
    }
    let interfaces = host.interfaces.get()?;
    if interfaces.iter().any(|interface| interface.holds(addr)) {
        return Ok(());
    }
    let network = interfaces.iter().find(|i| i.addresses.iter().any(|own| own.covers(addr)));
    let device = network.or_else(|| uplink_without_address(interfaces)).map(|i| i.name.as_str());
    let summary = format!(
        "the data path address {addr} is on no interface: overlay packets from other nodes do not reach this node"
    );
    let held: Vec<String> = interfaces
        .iter()
        .filter(|interface| interface.name != "lo")
        .flat_map(|i| i.addresses.iter().map(move |own| format!("{} {}/{}", i.name, own.addr, own.prefix)))
        .collect();
    let finding = out
        .report(
            Subject::Node(host.name.clone()),
            summary,
            Evidence::value(state, format!("DataPathAddr: {addr}")),
        )
        .with(Evidence::value(interfaces, held.join(", ")));
    if device.is_none() {
        finding.confidence(Confidence::Medium);
    }
    finding.remedy(restore_address(host, addr, device, view));
    Ok(())
}
