use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::host::Address;
use facts::parse::peers_of;
use facts::swarm::LocalState;
use std::collections::BTreeSet;

check! {
    /// The strict reverse path filter drops packets from other nodes on a host with several interfaces.
    ///
    /// ## Why it matters
    /// With `rp_filter=1` the kernel drops a packet if the route back to its source leaves by another interface than the packet arrived
    /// on. On a node whose swarm address is on one interface while the route to the other nodes leaves by another, that drops
    /// their packets without a log line: gossip, raft and overlay traffic.
    ///
    /// ## How to fix it
    /// Set `rp_filter` to 2 (loose) on the interface with the swarm address, or correct the routes so that traffic to the other
    /// nodes leaves by that interface.
    ///
    /// ## When it is wrong
    /// When the other nodes send to an address of the interface that the route uses, so that nothing arrives on the other one.
    ///
    /// Source: Linux `Documentation/networking/ip-sysctl.rst` (rp_filter).
    "host/reverse-path-filter": Error, "the strict reverse path filter drops packets from other nodes";
    healthy "the reverse path filter passes packets from other nodes";
    needs Sysctls, Interfaces, Routes, Info, Nodes, Networks, SwarmState;
    for each Host: run
}

const STRICT: &str = "1";

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let sysctls = host.sysctls.get()?;
    let interfaces = host.interfaces.get()?;
    let routes = host.routes.get()?;
    let info = host.info.get()?;
    host.networks.get()?;
    host.swarm_state.get()?;
    let Some(own) = info.swarm.node_addr.filter(|_| info.swarm.state == LocalState::Active) else {
        return Ok(());
    };
    let Some(arrival) = interfaces.iter().find(|interface| interface.holds(own)) else { return Ok(()) };
    // The kernel uses the larger of both values: 2 (loose) wins over 1 (strict).
    let value = |name: &str| sysctls.value(&format!("net.ipv4.conf.{name}.rp_filter"));
    let effective = value("all").max(value(&arrival.name));
    if effective != Some(STRICT) {
        return Ok(());
    }
    // Old bundles have no counters, and without a dropped packet nothing is wrong.
    let Ok(stats) = host.kernel_stats.get() else { return Ok(()) };
    let Some(drops) = stats.reverse_path_drops.filter(|drops| *drops > 0) else { return Ok(()) };
    let mut affected = BTreeSet::new();
    let mut leaves = None;
    for peer in peers_of(view.snapshot) {
        let covers = |prefix: u8, network| Address { addr: network, prefix }.covers(peer.addr);
        let best = routes
            .iter()
            .filter(|route| covers(route.prefix, route.network))
            .max_by_key(|route| route.prefix);
        let Some(device) = best.and_then(|route| route.interface.as_deref()) else { continue };
        if device != arrival.name {
            affected.insert(view.name_of_peer(&peer).to_string());
            leaves.get_or_insert(device);
        }
    }
    let Some(leaves) = leaves else { return Ok(()) };
    let names = affected.into_iter().collect::<Vec<_>>().join(", ");
    let key = format!("net.ipv4.conf.{}.rp_filter", arrival.name);
    let summary = format!(
        "{} has {own} with a strict reverse path filter, and the route to {names} leaves by {leaves}: their packets are \
         dropped ({drops} packets dropped since boot)",
        arrival.name
    );
    let first = Evidence::value(sysctls, format!("effective rp_filter of {} = 1", arrival.name));
    out.report(Subject::Node(host.name.clone()), summary, first)
        .with(Evidence::value(stats, format!("TcpExt IPReversePathFilter = {drops}")))
        .with(Evidence::value(routes, format!("route to {names}: {leaves}")))
        .confidence(Confidence::Medium)
        .remedy(Remedy {
            title: format!("Set the reverse path filter of {} to loose mode", arrival.name).into(),
            risk: Risk::Safe,
            impact: "Running tasks are not affected.".into(),
            steps: vec![Step::SetSysctl { node: host.name.clone().into(), key, to: "2".into() }],
        });
    Ok(())
}
