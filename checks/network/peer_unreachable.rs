use super::reach::{by_peer, engine_lives};
use crate::{Certainty, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
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
    needs Probes, Nodes, Networks;
    caused_by "network/no-route", "network/address-taken", "host/firewall-drops-swarm", "network/asymmetric", "swarm/local-advertise-addr", "swarm/stale-advertise-addr", "swarm/manager-unreachable", "swarm/node-down", "swarm/lost-quorum", "network/manager-port-blocked", "network/gossip-port-blocked";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let probes = host.probes.get()?;
    let nodes = view.snapshot.nodes.get();
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
                    out.lacking(Subject::Node(host.name.clone()), gap);
                    continue;
                }
            }
        }
        let to = view.name_of_peer(reach.peer);
        let (summary, advice) = if refused {
            let summary = format!("the machine of {to} answers, and no engine listens on its swarm ports");
            (summary, "start the engine there")
        } else if reach.machine_answers() {
            // The ports have findings of their own.
            continue;
        } else {
            let summary =
                format!("nothing comes back from {to}: neither its swarm ports nor its machine answer");
            (summary, "see whether the machine runs, and whether the network lets it be reached from here")
        };
        out.report(
            Subject::Link { from: host.name.clone(), to: to.clone() },
            summary,
            Evidence::value(probes, reach.shown()),
        )
        .certainty(Certainty::Likely)
        .remedy(Remedy {
            title: format!("Bring {to} back").into(),
            risk: Risk::ByHand,
            impact: "looking changes nothing".into(),
            steps: vec![Step::ByHand {
                node: to,
                text: advice.into(),
                commands: vec!["systemctl status docker".into(), "swarm-doctor run".into()],
            }],
        });
    }
    Ok(())
}
