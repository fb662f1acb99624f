use super::moved::moved;
use super::rejoin::{rejoin_manager, rejoin_worker};
use super::stale_advertise_addr::present;
use super::stale_manager_entry::{is_own_past, twin};
use crate::network::gossip_udp::without_udp;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::host::Interface;
use facts::log::Line;
use facts::swarm::LocalState;
use facts::{Gap, Host, NodeName};
use std::net::IpAddr;

/// memberlist repeats its complaint every 1 to 5 seconds; older ones are history.
const FRESH_SECONDS: i64 = 20;

check! {
    /// A node advertises an address that every machine has for itself, so that whoever dials it dials himself.
    ///
    /// ## Why it matters
    /// Swarm gives the advertised address to all the others as it is. With `--advertise-addr 127.0.0.1`, that of
    /// `docker0`, or the one address that all virtual machines of a host have alike (`10.0.2.15`), a join still goes
    /// through, for the newcomer dials the manager by the address on its command line. Then the managers are sought
    /// where nobody is, and gossip throws the node out. The address of a second network card, of which the others have no
    /// part, ends alike.
    ///
    /// ## How to fix it
    /// A node leaves and joins again with `--advertise-addr` and the address by which the others reach it. The
    /// only manager of a young swarm leaves and makes the swarm anew.
    ///
    /// ## When it is wrong
    /// A swarm of one machine may advertise loopback for good; the finding is no more than a remark there.
    ///
    /// Source: moby `daemon/cluster/listen_addr.go` (`resolveAdvertiseAddr` takes any address), Docker docs `swarm init`.
    "swarm/local-advertise-addr": Error, "a node advertises an address that is no use to the others";
    needs Info, Interfaces, Nodes, Networks, Probes, EngineLog;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    // A worker is not asked for the others.
    if let Err(gap) = out_of_gossip(host, view, out)
        && gap.why.leaves_open()
    {
        out.inconclusive(Subject::Cluster, gap);
    }
    others(host, view, out)?;
    own(host, view, out)?;
    aside(host, view, out)
}

/// The interface here that holds this address of another, loopback among them.
pub(super) fn holder_here(host: &Host, addr: IpAddr) -> Option<String> {
    if addr.is_loopback() {
        return Some("loopback".to_owned());
    }
    let interfaces = host.interfaces.get().ok()?;
    interfaces.iter().find(|interface| interface.holds(addr)).map(|interface| interface.name.clone())
}

/// Whether the interface is one that the engine makes on each machine alike.
pub(super) fn is_engines(interface: &Interface) -> bool {
    let numbered = |id: &str| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    matches!(interface.name.as_str(), "docker0" | "docker_gwbridge")
        || interface.name.strip_prefix("br-").is_some_and(numbered)
}

/// The address that this node advertises.
fn own(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    let Some(addr) = info.swarm.node_addr.filter(|_| info.swarm.state == LocalState::Active) else {
        return Ok(());
    };
    let interfaces = host.interfaces.get()?;
    let holder = interfaces.iter().find(|interface| interface.holds(addr) && is_engines(interface));
    let what = match holder {
        Some(interface) => format!("the address of {}", interface.name),
        None if addr.is_loopback() => "a loopback address".to_owned(),
        None => return Ok(()),
    };
    let summary = format!("this node advertises {addr}, {what}, which every machine has for itself");
    let alone = info.swarm.managers.len() <= 1 && info.swarm.control_available && info.swarm.node_count <= 1;
    let finding = out
        .report(
            Subject::Node(host.name.clone()),
            summary,
            Evidence::value(info, format!("Swarm.NodeAddr: {addr}")),
        )
        .remedy(remedy(host, info.swarm.control_available, None, view));
    if alone {
        finding.severity(Severity::Info);
    }
    Ok(())
}

/// An address of a network in which no manager is, while gossip hears no answers.
fn aside(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    let Some(addr) = info.swarm.node_addr.filter(|_| info.swarm.state == LocalState::Active) else {
        return Ok(());
    };
    let interfaces = host.interfaces.get()?;
    let Some(advertised) =
        interfaces.iter().find(|interface| interface.holds(addr) && !is_engines(interface))
    else {
        return Ok(());
    };
    let managers = info.swarm.managers.iter().filter(|manager| manager.node_id != info.swarm.node_id);
    let mut ways: Vec<(&Interface, IpAddr)> = Vec::new();
    for manager in managers {
        let leads =
            |interface: &&Interface| interface.addresses.iter().any(|own| own.covers(manager.addr.ip()));
        match interfaces.iter().find(leads) {
            Some(way) if way.name != advertised.name => ways.push((way, manager.addr.ip())),
            // One in the network of the advertised address can answer it, and what a router does is not known here.
            _ => return Ok(()),
        }
    }
    let Some((way, manager)) = ways.first() else { return Ok(()) };
    let log = host.log.get()?;
    let now = view.snapshot.taken;
    let unanswered = |line: &&Line| {
        without_udp(&line.message).is_some()
            && line.at.is_some_and(|at| now.duration_since(at).as_secs() <= FRESH_SECONDS)
    };
    let Some(line) = log.lines.iter().rev().find(unanswered) else { return Ok(()) };
    let summary = format!(
        "this node advertises {addr}, of {}, and reaches manager {manager} by {}: gossip gets no answer there",
        advertised.name, way.name
    );
    out.report(
        Subject::Node(host.name.clone()),
        summary,
        Evidence::value(info, format!("Swarm.NodeAddr: {addr}; Swarm.RemoteManagers: {manager}")),
    )
    .with(Evidence::log(log, line))
    .confidence(Confidence::Medium)
    .remedy(remedy(host, info.swarm.control_available, Some(way), view));
    Ok(())
}

/// The managers that this node was told of.
fn others(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    for manager in info.swarm.managers.iter().filter(|manager| manager.node_id != info.swarm.node_id) {
        let addr = manager.addr.ip();
        // What this machine left behind has a finding of its own.
        let listed = view.snapshot.nodes.get().ok();
        let old = listed.and_then(|nodes| {
            let node = nodes.iter().find(|node| node.id == manager.node_id)?;
            twin(node, nodes)
        });
        if old.is_some() || is_own_past(manager, host)? {
            continue;
        }
        let Some(holder) = holder_here(host, addr) else { continue };
        let name = match view.node(&manager.node_id) {
            Ok(Some(node)) => node.name.clone(),
            _ => NodeName(addr.to_string()),
        };
        let summary = format!(
            "this node knows a manager as {}, the address of its own {holder}: it dials itself",
            manager.addr
        );
        let shown = format!("Swarm.RemoteManagers: {} at {}", manager.node_id, manager.addr);
        out.report(Subject::Node(name.clone()), summary, Evidence::value(info, shown))
            .remedy(rejoin_elsewhere(&name))
            .also_affects(Subject::Node(host.name.clone()));
    }
    Ok(())
}

/// A worker that gossip lost, as a manager sees it.
fn out_of_gossip(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Result<(), Gap> {
    let nodes = view.snapshot.nodes.get()?;
    let Some(worker) = moved(host, view)? else { return Ok(()) };
    let Some(holder) = holder_here(host, worker.old) else { return Ok(()) };
    let node = worker.node.name.clone();
    let summary = format!(
        "gossip knew {node} as {}, which is {holder} on this machine as well, and lost it; it comes from {}",
        worker.old, worker.seen
    );
    let finding = out.report(Subject::Node(node.clone()), summary, Evidence::value(nodes, worker.shown()));
    worker.prove(finding).remedy(rejoin_worker(&node, &worker.seen.to_string()));
    Ok(())
}

/// `way` is the interface by which the managers are reached, where that is known.
fn remedy(host: &Host, is_manager: bool, way: Option<&Interface>, view: &View<'_>) -> Remedy {
    let interfaces = host.interfaces.get().map(|interfaces| interfaces.value.as_slice()).unwrap_or_default();
    let address = match way {
        Some(way) => way.addresses.first(),
        None => present(interfaces).map(|(_, address)| address),
    };
    let new = address.map_or_else(|| "ADDRESS".to_owned(), |address| address.addr.to_string());
    let managers = match view.snapshot.nodes.get() {
        Ok(nodes) => nodes.iter().filter(|node| node.manager.is_some()).count(),
        Err(_) => host.info.get().map_or(0, |info| info.swarm.managers.len()),
    };
    match (is_manager, managers) {
        (false, _) => rejoin_worker(&host.name, &new),
        (true, 2..) => rejoin_manager(&host.name, &new, view),
        (true, _) => init_anew(&host.name, &new),
    }
}

fn rejoin_elsewhere(node: &NodeName) -> Remedy {
    Remedy {
        title: "Let the manager advertise an address that the others reach".into(),
        risk: Risk::Manual,
        impact: "looking changes nothing".into(),
        steps: vec![Step::Manual {
            node: node.clone(),
            text: "see which address it has for the others; there this program says how to change it".into(),
            commands: vec!["ip -brief addr".into(), "swarm-doctor run".into()],
        }],
    }
}

/// What the only manager does: no flag changes what raft remembers of it.
fn init_anew(node: &NodeName, new: &str) -> Remedy {
    Remedy {
        title: "Make the swarm anew with an address that the others reach".into(),
        risk: Risk::Destructive,
        impact:
            "the services, networks, secrets and configs of this swarm are gone; deploy them again afterwards"
                .into(),
        steps: vec![
            Step::Leave { node: node.clone(), force: true },
            Step::Init { node: node.clone(), advertise: new.to_owned() },
            Step::Manual {
                node: "each other node".into(),
                text: "leave, and join with the command that this prints".into(),
                commands: vec!["docker swarm leave --force".into()],
            },
        ],
    }
}
