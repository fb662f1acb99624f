use super::local_advertise_addr::holder_here;
use super::moved::{Moved, moved};
use super::moved_manager;
use super::rejoin::{rejoin_manager, rejoin_worker};
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::host::{Address, Interface};
use facts::swarm::LocalState;
use facts::{Host, Seen};
use std::net::{IpAddr, SocketAddr};

check! {
    /// The node advertises an address that its machine no longer has.
    ///
    /// ## Why it matters
    /// Swarm writes the address down when a node joins and never looks again. After a new DHCP lease, a moved
    /// network or a restored backup the others dial the old one: a manager drops out of raft, and a worker out
    /// of gossip, so that its tasks are cut off while `docker node ls` still says Ready.
    ///
    /// ## How to fix it
    /// A worker leaves and joins again. A manager with others beside it is demoted, leaves, and joins from its
    /// present address. The only manager gets its old address back as a second one, which is the quickest
    /// and the safest; `--force-new-cluster --advertise-addr` does not mend what raft remembers.
    ///
    /// ## When it is wrong
    /// Behind one-to-one NAT no interface holds the advertised address, and rightly so; the node's own local
    /// address, which swarm also wrote down, then still is on an interface, and the finding says less.
    ///
    /// Source: moby#41043, docker/for-linux#523, moby `daemon/cluster/listen_addr.go`.
    "swarm/stale-advertise-addr": Error, "the node advertises an address it does not have";
    needs Info, SwarmState, Interfaces, Nodes, Certificates, Networks, Probes, Sockets, EngineLog;
    caused_by "swarm/duplicate-node-identity";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    moved_manager::report(host, view, out);
    // A worker's way out of gossip shows from managers only; a gap there is no gap about this node.
    if view.snapshot.nodes.get().is_ok() {
        match moved(host, view) {
            // One that every machine has for itself was never this node's alone.
            Ok(Some(worker)) if holder_here(host, worker.old).is_none() => tell(&worker, view, out),
            Ok(_) => {}
            Err(gap) => out.inconclusive(Subject::Cluster, gap),
        }
    }
    own(host, view, out)
}

fn tell(worker: &Moved<'_>, view: &View<'_>, out: &mut Findings<'_>) {
    let Ok(nodes) = view.snapshot.nodes.get() else { return };
    let Moved { node, old, seen, .. } = worker;
    let summary =
        format!("gossip knows {} as {old}, where nobody answers, and it now comes from {seen}", node.name);
    let finding =
        out.report(Subject::Node(node.name.clone()), summary, Evidence::value(nodes, worker.shown()));
    worker.prove(finding).remedy(rejoin_worker(&node.name, &seen.to_string()));
}

fn own(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let state = host.swarm_state.get();
    let info = host.info.get();
    let written = state.as_ref().ok().and_then(|state| state.value.as_ref());
    // While the node is a member the engine's word counts; else what it wrote down when it joined.
    let told = info.as_ref().ok().and_then(|info| info.swarm.node_addr);
    let Some(advertised) = told.or_else(|| written.and_then(|state| ip(&state.advertise_addr))) else {
        // A node that is in no swarm advertises nothing.
        return match (info, state) {
            (Ok(info), _) if info.swarm.state == LocalState::Inactive => Ok(()),
            (_, Ok(_)) => Ok(()),
            (Ok(_), Err(gap)) | (Err(gap), Err(_)) => Err(gap),
        };
    };
    let interfaces = host.interfaces.get()?;
    if interfaces.iter().any(|interface| interface.holds(advertised)) {
        return remembered(host, advertised, view, out);
    }
    let first = match (&info, &state) {
        (Ok(info), _) if told.is_some() => Evidence::value(info, format!("Swarm.NodeAddr: {advertised}")),
        (_, Ok(state)) => Evidence::value(state, format!("AdvertiseAddr: {advertised}")),
        (_, Err(gap)) => Evidence::gap(gap),
    };
    let local = written.and_then(|state| ip(&state.local_addr));
    let has_local = local.is_some_and(|local| interfaces.iter().any(|interface| interface.holds(local)));
    let node = view.node_of(host).ok().flatten();
    let seen_elsewhere =
        node.filter(|node| node.manager.as_ref().is_none_or(|m| !m.leader)).and_then(|node| node.addr);
    if seen_elsewhere == Some(advertised) {
        // A manager sees this node's connection come from that very address: NAT that works.
        return Ok(());
    }
    let is_manager = host.is_manager().unwrap_or(false);
    let role = if is_manager { "manager" } else { "node" };
    let present = match present(interfaces) {
        Some((_, address)) => format!("the machine has {}", address.addr),
        None => "the machine has none".to_owned(),
    };
    let summary = format!("this {role} advertises {advertised}, which no interface holds; {present}");
    let finding = out
        .report(Subject::Node(host.name.clone()), summary, first)
        .with(Evidence::value(interfaces, held(interfaces)));
    if let (Ok(state), Some(written)) = (&state, written) {
        let local = match local {
            Some(local) if has_local => format!("; LocalAddr: {local}, still held"),
            Some(local) => format!("; LocalAddr: {local}, not held either"),
            None => String::new(),
        };
        finding.with(Evidence::value(state, format!("AdvertiseAddr: {}{local}", written.advertise_addr)));
    }
    // An address of the very network that the machine is in cannot be NAT's; any other may be.
    let in_own_network = interfaces.iter().flat_map(|i| &i.addresses).any(|a| a.covers(advertised));
    if has_local && !in_own_network {
        // The address the node took for its own is there, so the advertised one may have been meant so: NAT.
        finding.confidence(Confidence::Low).severity(Severity::Warning);
    } else if local.is_none() && !in_own_network {
        finding.confidence(Confidence::Medium);
    }
    let only_manager = is_manager && info.as_ref().is_ok_and(|info| info.swarm.managers.len() <= 1);
    finding.remedy(remedy(host, advertised, interfaces, is_manager, only_manager, view));
    Ok(())
}

/// Raft keeps the address of a manager for ever, also when the swarm is founded anew with another one.
fn remembered(host: &Host, advertised: IpAddr, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    // A gap there is told with the other managers.
    let Ok(nodes) = view.snapshot.nodes.get() else { return Ok(()) };
    let interfaces = host.interfaces.get()?;
    let Some(node) = view.node_of(host)? else { return Ok(()) };
    let Some(raft) = node.manager.as_ref().and_then(|manager| manager.addr) else { return Ok(()) };
    if raft.ip() == advertised || interfaces.iter().any(|interface| interface.holds(raft.ip())) {
        return Ok(());
    }
    let summary = format!(
        "raft knows this manager as {}, which no interface holds, though it advertises {advertised}: a manager that joins \
         now takes the swarm its leader",
        raft.ip()
    );
    out.report(
        Subject::Node(host.name.clone()),
        summary,
        Evidence::value(nodes, format!("ManagerStatus.Addr: {raft}")),
    )
    .with(Evidence::value(interfaces, held(interfaces)))
    .remedy(remedy(host, raft.ip(), interfaces, true, true, view));
    Ok(())
}

/// The address of `10.0.0.1`, `10.0.0.1:2377` or `[::1]:2377`; an interface name has none.
fn ip(text: &str) -> Option<IpAddr> {
    text.parse::<SocketAddr>().map(|addr| addr.ip()).or_else(|_| text.parse()).ok()
}

fn held(interfaces: &Seen<Vec<Interface>>) -> String {
    let one = |i: &Interface| {
        i.addresses.iter().map(|a| format!("{} {}/{}", i.name, a.addr, a.prefix)).collect::<Vec<_>>()
    };
    let all: Vec<_> = interfaces.iter().filter(|i| i.name != "lo").flat_map(one).collect();
    if all.is_empty() {
        "no interface has an address".to_owned()
    } else {
        format!("interfaces hold {}", all.join(", "))
    }
}

fn remedy(
    host: &Host,
    old: IpAddr,
    interfaces: &[Interface],
    is_manager: bool,
    only_manager: bool,
    view: &View<'_>,
) -> Remedy {
    let node = host.name.clone();
    let (device, prefix, new) = match present(interfaces) {
        Some((device, address)) => (device, address.prefix, address.addr.to_string()),
        None => ("eth0", 24, "NEW-ADDRESS".to_owned()),
    };
    if only_manager {
        return Remedy {
            title: "Give the machine its old address back".into(),
            risk: Risk::Safe,
            impact: "nothing that runs is touched; make the address permanent in the network's configuration"
                .into(),
            steps: vec![Step::AddAddress { node, device: device.to_owned(), addr: old, prefix }],
        };
    }
    if is_manager {
        return rejoin_manager(&node, &new, view);
    }
    rejoin_worker(&node, &new)
}

/// The interface that carries the machine's address, with that address: the first that is up and not the engine's own.
pub(super) fn present(interfaces: &[Interface]) -> Option<(&str, &Address)> {
    let uplink = interfaces.iter().find(|i| {
        i.up && i.name != "lo"
            && !i.addresses.is_empty()
            && !i.name.starts_with("docker")
            && i.kind != "bridge"
    })?;
    Some((uplink.name.as_str(), uplink.addresses.first()?))
}
