use crate::model::gossip_datagrams::member_without_udp;
use crate::model::local_addresses::{
    is_docker_bridge, is_routable, local_holder, routable_address, uplink_address,
};
use crate::model::moved_worker::moved_worker;
use crate::model::node_entries::{is_former_self, replacement};
use crate::remedies::rejoin::{rejoin_manager, rejoin_worker};
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, Target, View};
use facts::host::Interface;
use facts::log::Line;
use facts::swarm::LocalState;
use facts::{Gap, Host, NodeName};
use std::net::IpAddr;

/// The age in seconds up to which a gossip warning counts; memberlist repeats it every 1 to 5 s.
const FRESH_SECONDS: i64 = 20;

check! {
    /// A node advertises an address that other nodes cannot reach, because every host has it for itself.
    ///
    /// ## Why it matters
    /// Swarm passes the advertised address to all other nodes. With `--advertise-addr 127.0.0.1`, the address of `docker0`,
    /// or the address that every virtual machine of a hypervisor has (`10.0.2.15`), a join still succeeds, because the
    /// joining node uses the address on its command line. Afterwards the nodes dial themselves instead of the managers, and
    /// gossip removes the node. The address of a second network interface whose network the other nodes are not in has the
    /// same effect.
    ///
    /// ## How to fix it
    /// A node leaves and joins again with `--advertise-addr` and an address that the others can reach. The only manager of a
    /// new swarm leaves and creates the swarm again.
    ///
    /// ## When it is wrong
    /// A swarm of one host may advertise loopback permanently; the severity is info then.
    ///
    /// Source: moby `daemon/cluster/listen_addr.go` (`resolveAdvertiseAddr` accepts any address), Docker docs `swarm init`.
    "swarm/local-advertise-addr": Error, "a node advertises an address that other nodes cannot reach";
    healthy "every node advertises an address that other nodes can reach";
    needs Info, Interfaces, Nodes, Networks, Probes, EngineLog, SwarmState;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    // A worker has no node list.
    if let Err(gap) = lost_from_gossip(host, view, out)
        && gap.why.leaves_open()
    {
        out.inconclusive(Subject::Cluster, gap);
    }
    known_managers(host, view, out)?;
    own_address(host, view, out)?;
    separate_network(host, view, out)
}

/// The address that this node advertises.
fn own_address(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    let Some(addr) = info.swarm.node_addr.filter(|_| info.swarm.state == LocalState::Active) else {
        return Ok(());
    };
    let interfaces = host.interfaces.get()?;
    let holder = interfaces.iter().find(|interface| interface.holds(addr) && is_docker_bridge(interface));
    let what = match holder {
        Some(interface) => format!("the address of {}", interface.name),
        None if addr.is_loopback() => "a loopback address".to_owned(),
        None if !is_routable(addr) && !addr.is_unspecified() => "a link-local address".to_owned(),
        None => return Ok(()),
    };
    let summary = format!("this node advertises {addr}, {what}, which other nodes cannot reach");
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

/// An address in a network without any manager, while gossip receives no answers.
fn separate_network(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    let Some(addr) = info.swarm.node_addr.filter(|_| info.swarm.state == LocalState::Active) else {
        return Ok(());
    };
    let interfaces = host.interfaces.get()?;
    let Some(advertised) =
        interfaces.iter().find(|interface| interface.holds(addr) && !is_docker_bridge(interface))
    else {
        return Ok(());
    };
    let managers = info.swarm.managers.iter().filter(|manager| manager.node_id != info.swarm.node_id);
    let mut paths: Vec<(&Interface, IpAddr)> = Vec::new();
    for manager in managers {
        let leads =
            |interface: &&Interface| interface.addresses.iter().any(|own| own.covers(manager.addr.ip()));
        match interfaces.iter().find(leads) {
            Some(path) if path.name != advertised.name => paths.push((path, manager.addr.ip())),
            // A manager in the network of the advertised address can answer it; behind a router it is not known.
            _ => return Ok(()),
        }
    }
    let Some((path, manager)) = paths.first() else { return Ok(()) };
    let log = host.log.get()?;
    let now = view.snapshot.taken;
    let unanswered = |line: &&Line| {
        member_without_udp(&line.message).is_some()
            && line.at.is_some_and(|at| now.duration_since(at).as_secs() <= FRESH_SECONDS)
    };
    let Some(line) = log.lines.iter().rev().find(unanswered) else { return Ok(()) };
    let summary = format!(
        "this node advertises {addr} of {} and reaches manager {manager} through {}: gossip to {addr} is not answered",
        advertised.name, path.name
    );
    out.report(
        Subject::Node(host.name.clone()),
        summary,
        Evidence::value(info, format!("Swarm.NodeAddr: {addr}; Swarm.RemoteManagers: {manager}")),
    )
    .with(Evidence::log(log, line))
    .confidence(Confidence::Medium)
    .remedy(remedy(host, info.swarm.control_available, Some(path), view));
    Ok(())
}

/// The addresses of the managers that this node knows.
fn known_managers(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    for manager in info.swarm.managers.iter().filter(|manager| manager.node_id != info.swarm.node_id) {
        let addr = manager.addr.ip();
        // stale-manager-entry reports an entry that this host left behind.
        let listed = view.snapshot.nodes.get().ok();
        let replaced = listed.and_then(|nodes| {
            let node = nodes.iter().find(|node| node.id == manager.node_id)?;
            replacement(node, nodes)
        });
        if replaced.is_some() || is_former_self(manager, host)? {
            continue;
        }
        let Some(holder) = local_holder(host, addr) else { continue };
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
            .remedy(run_on_manager(&name))
            .also_affects(Subject::Node(host.name.clone()));
    }
    Ok(())
}

/// A worker that gossip lost, as a manager sees it.
fn lost_from_gossip(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Result<(), Gap> {
    let nodes = view.snapshot.nodes.get()?;
    let Some(worker) = moved_worker(host, view)? else { return Ok(()) };
    let Some(holder) = local_holder(host, worker.old) else { return Ok(()) };
    let node = worker.node.name.clone();
    let summary = format!(
        "gossip knew {node} as {}, which is the address of {holder} on this host as well, and lost it; its session comes \
         from {}",
        worker.old, worker.present
    );
    let finding = out.report(Subject::Node(node.clone()), summary, Evidence::value(nodes, worker.entry()));
    worker.add_evidence(finding).remedy(rejoin_worker(&node, &worker.present.to_string(), view));
    Ok(())
}

/// `path` is the interface that leads to the managers, where it is known.
fn remedy(host: &Host, is_manager: bool, path: Option<&Interface>, view: &View<'_>) -> Remedy {
    let interfaces = host.interfaces.get().map(|interfaces| interfaces.value.as_slice()).unwrap_or_default();
    let address = match path {
        Some(path) => routable_address(path),
        None => uplink_address(interfaces).map(|(_, address)| address),
    };
    let new = address.map_or_else(|| "ADDRESS".to_owned(), |address| address.addr.to_string());
    let managers = match view.snapshot.nodes.get() {
        Ok(nodes) => nodes.iter().filter(|node| node.manager.is_some()).count(),
        Err(_) => host.info.get().map_or(0, |info| info.swarm.managers.len()),
    };
    match (is_manager, managers) {
        (false, _) => rejoin_worker(&host.name, &new, view),
        (true, 2..) => rejoin_manager(&host.name, &new, view),
        (true, _) => create_again(&host.name, &new),
    }
}

fn run_on_manager(node: &NodeName) -> Remedy {
    Remedy {
        title: "Change the advertised address of the manager".into(),
        risk: Risk::Manual,
        impact: "Running tasks are not affected.".into(),
        steps: vec![Step::Manual {
            node: node.clone().into(),
            text:
                "run swarm-doctor there; it shows the present addresses and how to change the advertised one"
                    .into(),
            commands: vec!["sudo swarm-doctor run".into(), "ip -brief addr".into()],
        }],
    }
}

/// For the only manager: no flag changes the address that raft has saved.
fn create_again(node: &NodeName, new: &str) -> Remedy {
    Remedy {
        title: format!("Create the swarm again on {node} with the address {new}").into(),
        risk: Risk::Destructive,
        impact: "The services, networks, secrets and configs of this swarm are lost. Deploy them again afterwards.".into(),
        steps: vec![
            Step::Leave { node: node.clone().into(), force: true },
            Step::Init { node: node.clone().into(), advertise: new.to_owned() },
            Step::Manual {
                node: Target::EachOtherNode,
                text: "leave, and join with the command that `docker swarm init` printed".into(),
                commands: vec!["docker swarm leave --force".into()],
            },
        ],
    }
}
