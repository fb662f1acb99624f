use super::reach::{by_peer, engine_lives};
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::host::{Neighbour, NeighbourState};
use facts::link::Outcome;

check! {
    /// Another node of the swarm answers on no swarm port.
    ///
    /// ## Why it matters
    /// Either its machine or its engine is off, or the network between the two is cut.
    ///
    /// ## How to fix it
    /// Where the machine refuses connections, start its engine. Where nothing answers, see whether the machine
    /// runs and whether the network or a firewall stands between.
    ///
    /// ## When it is wrong
    /// For a manager that left the swarm and that this node has not forgotten yet.
    "network/peer-unreachable": Error, "another node does not answer";
    needs Probes, Neighbours, Nodes, Networks;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "network/duplicate-ip", "host/firewall-drops-swarm", "network/asymmetric", "swarm/local-advertise-addr", "swarm/stale-advertise-addr", "swarm/manager-unreachable", "swarm/node-down", "swarm/lost-quorum", "network/manager-port-blocked", "network/gossip-port-blocked";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let probes = host.probes.get()?;
    let nodes = view.snapshot.nodes.get();
    // Who is behind a router, or looked for from a bundle of older days, has no entry.
    let neighbours = host.neighbours.get();
    for reach in by_peer(probes) {
        // What only gossip remembers is no node any more, or goes by another address; the list would name it.
        if nodes.is_ok() && reach.peer.node_id.is_none() {
            continue;
        }
        let mute = |outcome: &Outcome| *outcome != Outcome::Open;
        if !reach.gossip().is_some_and(mute) || !reach.manager().is_none_or(mute) {
            continue;
        }
        let refused = matches!(reach.gossip(), Some(Outcome::Refused { .. }));
        if refused {
            match engine_lives(host, &reach) {
                Ok(false) => {}
                // A rule refuses it, and the port has a finding of its own.
                Ok(true) => continue,
                Err(gap) => {
                    out.inconclusive(Subject::Node(host.name.clone()), gap);
                    continue;
                }
            }
        }
        let to = view.name_of_peer(reach.peer);
        let tells = |it: &&Neighbour| it.addr == reach.peer.addr && it.state != NeighbourState::Stale;
        let entry = neighbours.as_ref().ok().filter(|_| !refused).and_then(|all| all.iter().find(tells));
        let (summary, advice) = if refused {
            let summary = format!("the machine of {to} answers, and no engine listens on its swarm ports");
            (summary, "start the engine there")
        } else if reach.machine_answers() {
            // The ports have findings of their own.
            continue;
        } else {
            let nothing =
                format!("nothing comes back from {to}: neither its swarm ports nor its machine answer");
            match entry.map(|entry| entry.state) {
                Some(NeighbourState::Failed) => {
                    let summary = format!("{nothing}, and nobody on this network has its address");
                    (summary, "see whether the machine runs, and has its address and its cable")
                }
                Some(NeighbourState::Reachable) => {
                    let summary = format!("{nothing}, though the machine is on this network");
                    (
                        summary,
                        "the machine runs: see whether its firewall lets anything in, and whether the system hangs",
                    )
                }
                _ => (
                    nothing,
                    "see whether the machine runs, and whether the network lets it be reached from here",
                ),
            }
        };
        let finding = out.report(
            Subject::Link { from: host.name.clone(), to: to.clone() },
            summary,
            Evidence::value(probes, reach.shown()),
        );
        if let (Ok(neighbours), Some(entry)) = (&neighbours, entry) {
            finding.with(Evidence::value(neighbours, shown(entry)));
        }
        finding.confidence(Confidence::Medium).remedy(Remedy {
            title: format!("Bring {to} back").into(),
            risk: Risk::Manual,
            impact: "looking changes nothing".into(),
            steps: vec![Step::Manual {
                node: to,
                text: advice.into(),
                commands: vec!["systemctl status docker".into(), "swarm-doctor run".into()],
            }],
        });
    }
    Ok(())
}

/// What the kernel knows of it.
fn shown(entry: &Neighbour) -> String {
    let Neighbour { addr, interface, mac, state } = entry;
    let mac = if mac.is_empty() { String::new() } else { format!(" lladdr {mac}") };
    let says = match state {
        NeighbourState::Reachable => "it answered when it was asked for",
        NeighbourState::Failed => "it was asked for, and nobody answered",
        NeighbourState::Permanent => "written by hand",
        NeighbourState::Stale => "it was there before",
    };
    format!("{addr} dev {interface}{mac}: {says}")
}
