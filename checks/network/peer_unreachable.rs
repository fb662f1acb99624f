use crate::model::reachability::{GOSSIP_PORT, by_peer, engine_runs};
use crate::{Confidence, Evidence, Findings, Flow, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::host::{Neighbour, NeighbourState};
use facts::link::Outcome;

check! {
    /// Another node of the swarm answers on none of its swarm ports.
    ///
    /// ## Why it matters
    /// Its host is down, its engine is not running, or the network between the two nodes is interrupted.
    ///
    /// ## How to fix it
    /// If the host refuses connections, start the engine there. If nothing answers, check whether the host runs, and
    /// whether the network or a firewall blocks the path.
    ///
    /// ## When it is wrong
    /// For a manager that left the swarm and that this node still remembers.
    "network/peer-unreachable": Error, "another node does not answer";
    healthy "every other node answers";
    needs Probes, Neighbours, Nodes, Networks;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "network/duplicate-ip", "host/firewall-drops-swarm", "network/asymmetric", "swarm/local-advertise-addr", "swarm/stale-advertise-addr", "swarm/manager-unreachable", "swarm/node-down", "swarm/lost-quorum", "network/manager-port-blocked", "network/gossip-port-blocked";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let probes = host.probes.get()?;
    let nodes = view.snapshot.nodes.get();
    // Absent for nodes behind a router and in bundles of older versions.
    let neighbours = host.neighbours.get();
    for reach in by_peer(probes) {
        // A peer that only gossip remembers was removed or has another address now; otherwise the node list has it.
        if nodes.is_ok() && reach.peer.node_id.is_none() {
            continue;
        }
        let closed = |outcome: &Outcome| *outcome != Outcome::Open;
        if !reach.gossip().is_some_and(closed) || !reach.manager().is_none_or(closed) {
            continue;
        }
        let refused = matches!(reach.gossip(), Some(Outcome::Refused { .. }));
        if refused {
            match engine_runs(host, &reach) {
                Ok(false) => {}
                // A firewall rejects the port, which has a separate finding.
                Ok(true) => continue,
                Err(gap) => {
                    out.inconclusive(Subject::Node(host.name.clone()), gap);
                    continue;
                }
            }
        }
        let to = view.name_of_peer(reach.peer);
        let known = |it: &&Neighbour| it.addr == reach.peer.addr && it.state != NeighbourState::Stale;
        let entry = neighbours.as_ref().ok().filter(|_| !refused).and_then(|all| all.iter().find(known));
        let (summary, title, text, commands) = if refused {
            let summary = format!("no engine listens on the swarm ports of {to}, while its host answers");
            (summary, format!("Start the engine on {to}"), "start the engine", vec!["systemctl start docker"])
        } else if reach.host_answers() {
            // The blocked ports have separate findings.
            continue;
        } else {
            let nothing = format!("{to} does not answer: neither its swarm ports nor its host");
            match entry.map(|entry| entry.state) {
                Some(NeighbourState::Failed) => (
                    format!("{nothing}, and no host on this network answers ARP for {}", reach.peer.addr),
                    format!("Restore the host of {to}"),
                    "check that the host is powered on, that its interface is connected and that it has its address",
                    vec!["ip -brief address", "systemctl status docker"],
                ),
                Some(NeighbourState::Reachable) => (
                    format!("{nothing}, while the host answers ARP for {}", reach.peer.addr),
                    format!("Restore the connectivity of {to}"),
                    "the host runs: check whether its firewall drops all packets, and whether the system hangs",
                    vec!["sudo swarm-doctor run", "systemctl status docker"],
                ),
                _ => (
                    nothing,
                    format!("Restore the host of {to}"),
                    "check that the host runs, and that the network between the nodes is up",
                    vec!["systemctl status docker", "sudo swarm-doctor run"],
                ),
            }
        };
        let finding = out.report(
            Subject::Link { from: host.name.clone(), to: to.clone() },
            summary,
            Evidence::value(probes, reach.describe()),
        );
        finding.about(Flow::tcp(GOSSIP_PORT));
        if let Some(port) = reach.peer.manager_port {
            finding.about(Flow::tcp(port));
        }
        if let (Ok(neighbours), Some(entry)) = (&neighbours, entry) {
            finding.with(Evidence::value(neighbours, describe(entry)));
        }
        finding.confidence(Confidence::Medium).remedy(Remedy {
            title: title.into(),
            risk: Risk::Manual,
            impact: "checking changes nothing".into(),
            steps: vec![Step::Manual {
                node: to.into(),
                text: text.into(),
                commands: commands.into_iter().map(str::to_owned).collect(),
            }],
        });
    }
    Ok(())
}

/// The entry of the kernel's neighbour table.
fn describe(entry: &Neighbour) -> String {
    let Neighbour { addr, interface, mac, state } = entry;
    let mac = if mac.is_empty() { String::new() } else { format!(" lladdr {mac}") };
    let state = match state {
        NeighbourState::Reachable => "answered ARP",
        NeighbourState::Failed => "no answer to ARP",
        NeighbourState::Permanent => "PERMANENT",
        NeighbourState::Stale => "STALE",
    };
    format!("{addr} dev {interface}{mac}: {state}")
}
