use super::blocked::open_port;
use super::crossing::{Asked, Crossing, by_node, gaps, is_up, newcomers, too_early};
use super::reach::{Reach, by_peer};
use crate::{Certainty, Evidence, Finding, Findings, Judged, Subject, View};
use facts::{Host, NodeName};

check! {
    /// Packets of the overlays do not get from this node to another and back, though its machine can be reached.
    ///
    /// ## Why it matters
    /// Between nodes the packets of all overlays travel inside UDP, to port 4789 or to the one that `docker swarm
    /// init --data-path-port` named. Where a firewall drops that, nodes are Ready, services start and names
    /// resolve, and tasks on different nodes cannot talk; a published port answers only on nodes with a task. No
    /// engine notices and no log says a word. The doctor asks for an echo from this node's place on the routing
    /// mesh's network to the other node's, which takes the way of the tasks' packets there and back.
    ///
    /// ## How to fix it
    /// Open the port for UDP, in both directions, between all nodes: in the machines' firewalls, in the cloud's
    /// security groups. Opening it for TCP does nothing. Some hypervisors (VMware NSX) keep 4789 to themselves;
    /// then only a swarm made with another data-path port helps.
    ///
    /// ## When it is wrong
    /// An echo covers both directions, so it cannot tell which of the two is closed. Of a node that has joined within
    /// the last ten seconds nothing is said.
    ///
    /// Source: Docker docs "Use Swarm mode routing mesh" and `docker swarm init --data-path-port`.
    "network/vxlan-blocked": Error, "the overlays' packets do not pass between nodes";
    needs Overlays, Probes, Nodes, EngineLog;
    caused_by "swarm/stale-advertise-addr", "swarm/node-down", "network/port-taken", "network/gossip-port-blocked", "network/peer-unreachable";
    for each Host: run
}

/// The port of VXLAN unless the swarm was made with another.
const USUAL: u16 = 4789;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let overlays = host.overlays.get()?;
    gaps(overlays).for_each(|gap| out.lacking(Subject::Node(host.name.clone()), gap));
    let crossings = by_node(overlays);
    if !crossings.iter().any(Crossing::silent) {
        return Ok(());
    }
    let probes = host.probes.get()?;
    let reaches = by_peer(probes);
    // Entries for addresses that are no node's are another ailment, and a machine that is gone is as well.
    let there = |crossing: &Crossing<'_>| {
        let reach = reaches.iter().find(|reach| reach.peer.addr == crossing.node)?;
        is_up(reach).then_some(reach)
    };
    let there: Vec<(&Crossing<'_>, &Reach<'_>)> =
        crossings.iter().filter_map(|crossing| Some((crossing, there(crossing)?))).collect();
    let log = host.log.get();
    let newcomers = log.as_ref().map(|log| newcomers(log, view.snapshot.taken)).unwrap_or_default();
    let mut silent = Vec::new();
    for (crossing, reach) in there.iter().filter(|(crossing, _)| crossing.silent()) {
        match (&log, newcomers.get(&crossing.node)) {
            (Ok(log), Some(seconds)) => {
                let link = Subject::Link { from: host.name.clone(), to: view.name_of_peer(reach.peer) };
                out.lacking(link, too_early(log, *seconds));
            }
            _ => silent.push((crossing, reach)),
        }
    }
    // Where no node can be reached, what they have in common is this machine.
    let all = silent.len() > 1 && silent.len() == there.len();
    let mut told: Option<&mut Finding> = None;
    for (crossing, reach) in silent {
        let Some(first) = crossing.asked.first() else { continue };
        let evidence = crossing
            .asked
            .iter()
            .map(|asked| Evidence::value(overlays, asked.shown()))
            .chain([Evidence::value(probes, reach.shown())]);
        match told.take().filter(|_| all) {
            Some(finding) => told = Some(evidence.fold(finding, Finding::and)),
            None => {
                let to = view.name_of_peer(reach.peer);
                let finding = report(host, first, to, all, Evidence::value(overlays, first.shown()), out);
                // One silent endpoint may be at fault itself; those of two overlays, or of two nodes, are not.
                let certain = all || crossing.asked.len() > 1;
                finding.certainty(if certain { Certainty::Proven } else { Certainty::Likely });
                told = Some(evidence.skip(1).fold(finding, Finding::and));
            }
        }
    }
    Ok(())
}

/// Says that nothing passes to one node, or to any.
fn report<'f>(
    host: &Host,
    asked: &Asked<'_>,
    to: NodeName,
    all: bool,
    first: Evidence,
    out: &'f mut Findings<'_>,
) -> &'f mut Finding {
    let port = asked.port();
    let custom = match asked.plane.port {
        USUAL => String::new(),
        _ => format!(" (the data-path port of this swarm, not the usual {USUAL})"),
    };
    let here = host.name.clone();
    let mut remedy = open_port(here.clone(), &port, false);
    if all {
        let summary = format!(
            "nothing passes over {port}{custom} between {here} and any other node, while their machines answer: this \
             machine's own firewall is the first suspect"
        );
        return out.report(Subject::Node(here), summary, first).remedy(remedy);
    }
    let summary =
        format!("nothing passes over {port}{custom} between {here} and {to}, while its machine answers");
    let mut steps = open_port(to.clone(), &port, false).steps;
    steps.append(&mut remedy.steps);
    remedy.steps = steps;
    remedy.title = format!("Open {port} between {here} and {to}").into();
    out.report(Subject::Link { from: here, to }, summary, first).remedy(remedy)
}
