use crate::model::local_addresses::{local_holder, uplink_address, uplink_without_address};
use crate::model::moved_manager::moved_managers;
use crate::model::moved_worker::{MovedWorker, moved_worker};
use crate::remedies::rejoin::{rejoin_manager, rejoin_worker};
use crate::remedies::restore_address::restore_address;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Severity, Subject, View};
use facts::host::Interface;
use facts::swarm::LocalState;
use facts::{Host, Seen};
use std::net::{IpAddr, SocketAddr};

check! {
    /// The node advertises an address that its host no longer has.
    ///
    /// ## Why it matters
    /// Swarm saves the address when a node joins and does not check it again. After a new DHCP lease, a network move or a
    /// restored backup the other nodes dial the old address: a manager drops out of raft, and a worker out of gossip, so that
    /// its tasks are cut off while `docker node ls` still shows Ready.
    ///
    /// ## How to fix it
    /// An interface that lost its only address gets it back. A worker with a new address leaves and joins again. One of
    /// several managers is demoted, leaves, and joins with its present address. The only manager gets its old address back
    /// as a second one, which is the fastest and safest way; `--force-new-cluster --advertise-addr` does not change the
    /// address that raft has saved.
    ///
    /// ## When it is wrong
    /// Behind 1:1 NAT no interface has the advertised address, and that is intended. The local address that swarm saved as
    /// well is still on an interface then, and advertise-addr-behind-nat reports it instead.
    ///
    /// Source: moby#41043, docker/for-linux#523, moby `daemon/cluster/listen_addr.go`.
    "swarm/stale-advertise-addr": Error, "the node advertises an address that it does not have";
    healthy "every node has the address that it advertises";
    needs Info, SwarmState, Interfaces, Nodes, Certificates, Networks, Probes, EngineLog;
    caused_by "swarm/duplicate-node-identity";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    match view.snapshot.nodes.get() {
        Ok(nodes) => {
            for moved in moved_managers(host, nodes) {
                let name = &moved.node.name;
                let (raft, session) = (moved.raft, moved.session);
                let summary =
                    format!("raft dials {name} at {}, and its session comes from {session}", raft.ip());
                let shown = format!(
                    "ManagerStatus.Addr: {raft}, unreachable; Status.State: ready; Status.Addr: {session}"
                );
                let finding = out.report(Subject::Node(name.clone()), summary, Evidence::value(nodes, shown));
                // A second witness beside the node list: this node's own probes of the old address.
                if let Ok(probes) = host.probes.get() {
                    let old = probes.iter().filter(|probe| probe.peer.addr == raft.ip());
                    let tried: Vec<_> =
                        old.map(|probe| format!("{} {}", probe.attempt, probe.outcome)).collect();
                    if !tried.is_empty() {
                        finding.with(Evidence::value(probes, format!("{}: {}", raft.ip(), tried.join(", "))));
                    }
                }
                finding.remedy(rejoin_manager(name, &session.to_string(), view));
            }
            match moved_worker(host, view) {
                // An address that every host has for itself is local-advertise-addr.
                Ok(Some(worker)) if local_holder(host, worker.old).is_none() => {
                    report_worker(&worker, view, out)
                }
                Ok(_) => {}
                Err(gap) => out.inconclusive(Subject::Cluster, gap),
            }
        }
        // A worker has no node list, and is judged by its own address.
        Err(gap) if gap.why.leaves_open() => out.inconclusive(Subject::Cluster, gap),
        Err(_) => {}
    }
    own(host, view, out)
}

fn report_worker(worker: &MovedWorker<'_>, view: &View<'_>, out: &mut Findings<'_>) {
    let Ok(nodes) = view.snapshot.nodes.get() else { return };
    let MovedWorker { node, old, present, .. } = worker;
    let summary = format!(
        "gossip knows {} as {old}, where nothing answers, and its session comes from {present}",
        node.name
    );
    let finding =
        out.report(Subject::Node(node.name.clone()), summary, Evidence::value(nodes, worker.entry()));
    worker.add_evidence(finding).remedy(rejoin_worker(&node.name, &present.to_string(), view));
}

fn own(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let state = host.swarm_state.get();
    let info = host.info.get();
    let saved = state.as_ref().ok().and_then(|state| state.value.as_ref());
    // The engine knows the address while the node is a member; the file has it otherwise.
    let by_engine = info.as_ref().ok().and_then(|info| info.swarm.node_addr);
    let Some(advertised) = by_engine.or_else(|| saved.and_then(|state| ip(&state.advertise_addr))) else {
        // A node in no swarm advertises nothing.
        return match (info, state) {
            (Ok(info), _) if info.swarm.state == LocalState::Inactive => Ok(()),
            (_, Ok(_)) => Ok(()),
            (Ok(_), Err(gap)) | (Err(gap), Err(_)) => Err(gap),
        };
    };
    let interfaces = host.interfaces.get()?;
    if interfaces.iter().any(|interface| interface.holds(advertised)) {
        return saved_by_raft(host, advertised, view, out);
    }
    let first = match (&info, &state) {
        (Ok(info), _) if by_engine.is_some() => {
            Evidence::value(info, format!("Swarm.NodeAddr: {advertised}"))
        }
        (_, Ok(state)) => Evidence::value(state, format!("AdvertiseAddr: {advertised}")),
        (_, Err(gap)) => Evidence::gap(gap),
    };
    let local = saved.and_then(|state| ip(&state.local_addr));
    let has_local = local.is_some_and(|local| interfaces.iter().any(|interface| interface.holds(local)));
    let node = view.node_of(host).ok().flatten();
    let seen_elsewhere =
        node.filter(|node| node.manager.as_ref().is_none_or(|m| !m.leader)).and_then(|node| node.addr);
    if seen_elsewhere == Some(advertised) {
        // A manager sees the connection of this node come from that address: NAT that works.
        return Ok(());
    }
    // NAT does not translate to an address of the host's own network; any other address may be NAT's.
    let in_own_network = interfaces.iter().flat_map(|i| &i.addresses).any(|a| a.covers(advertised));
    if has_local && !in_own_network && by_engine.is_some() {
        // advertise-addr-behind-nat reports it.
        return Ok(());
    }
    let is_manager = host.is_manager().unwrap_or(false);
    let role = if is_manager { "manager" } else { "node" };
    let present = match (uplink_address(interfaces), uplink_without_address(interfaces)) {
        (Some((device, address)), _) => format!("{device} has {}", address.addr),
        (None, Some(bare)) => format!("{} has lost its address", bare.name),
        (None, None) => "no interface has an address that other nodes can reach".to_owned(),
    };
    let summary = format!("this {role} advertises {advertised}, which no interface has; {present}");
    let finding = out
        .report(Subject::Node(host.name.clone()), summary, first)
        .with(Evidence::value(interfaces, addresses(interfaces)));
    if let (Ok(state), Some(saved)) = (&state, saved) {
        let local = match local {
            Some(local) if has_local => format!("; LocalAddr: {local}, on an interface"),
            Some(local) => format!("; LocalAddr: {local}, on no interface"),
            None => String::new(),
        };
        finding.with(Evidence::value(state, format!("AdvertiseAddr: {}{local}", saved.advertise_addr)));
    }
    if has_local && !in_own_network {
        // The host still has its local address, so the advertised one may belong to NAT.
        finding.confidence(Confidence::Low).severity(Severity::Warning);
    } else if local.is_none() && !in_own_network {
        finding.confidence(Confidence::Medium);
    }
    let only_manager = is_manager && info.as_ref().is_ok_and(|info| info.swarm.managers.len() <= 1);
    finding.remedy(remedy(host, advertised, interfaces, is_manager, only_manager, view));
    Ok(())
}

/// Raft keeps the address of a manager permanently, even when a new cluster is forced with another one.
fn saved_by_raft(host: &Host, advertised: IpAddr, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    // A missing node list is reported with the other managers.
    let Ok(nodes) = view.snapshot.nodes.get() else { return Ok(()) };
    let interfaces = host.interfaces.get()?;
    let Some(node) = view.node_of(host)? else { return Ok(()) };
    let Some(raft) = node.manager.as_ref().and_then(|manager| manager.addr) else { return Ok(()) };
    if raft.ip() == advertised || interfaces.iter().any(|interface| interface.holds(raft.ip())) {
        return Ok(());
    }
    let summary = format!(
        "raft knows this manager as {}, which no interface has, although it advertises {advertised}: a manager that joins \
         now leaves the swarm without a leader",
        raft.ip()
    );
    out.report(
        Subject::Node(host.name.clone()),
        summary,
        Evidence::value(nodes, format!("ManagerStatus.Addr: {raft}")),
    )
    .with(Evidence::value(interfaces, addresses(interfaces)))
    .remedy(remedy(host, raft.ip(), interfaces, true, true, view));
    Ok(())
}

/// The address of `10.0.0.1`, `10.0.0.1:2377` or `[::1]:2377`; an interface name has none.
fn ip(text: &str) -> Option<IpAddr> {
    text.parse::<SocketAddr>().map(|addr| addr.ip()).or_else(|_| text.parse()).ok()
}

fn addresses(interfaces: &Seen<Vec<Interface>>) -> String {
    let one = |i: &Interface| {
        i.addresses.iter().map(|a| format!("{} {}/{}", i.name, a.addr, a.prefix)).collect::<Vec<_>>()
    };
    let all: Vec<_> = interfaces.iter().filter(|i| i.name != "lo").flat_map(one).collect();
    if all.is_empty() { "no interface has an address".to_owned() } else { all.join(", ") }
}

fn remedy(
    host: &Host,
    old: IpAddr,
    interfaces: &[Interface],
    is_manager: bool,
    only_manager: bool,
    view: &View<'_>,
) -> Remedy {
    match uplink_address(interfaces) {
        // Without an address that others can reach there is nothing to rejoin with.
        None => {
            let device = uplink_without_address(interfaces).map(|interface| interface.name.as_str());
            restore_address(host, old, device, view)
        }
        Some((device, _)) if only_manager => restore_address(host, old, Some(device), view),
        Some((_, address)) if is_manager => rejoin_manager(&host.name, &address.addr.to_string(), view),
        Some((_, address)) => rejoin_worker(&host.name, &address.addr.to_string(), view),
    }
}
