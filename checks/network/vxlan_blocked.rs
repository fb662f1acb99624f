use super::blocked::open_port;
use super::crossing::{Asked, Crossing, ON_THE_WAY, apart, by_node, gaps, is_up, newcomers, too_early};
use super::reach::{Reach, by_peer};
use crate::{Confidence, Evidence, Finding, Findings, Judged, Subject, View};
use facts::overlay::Course;
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
    /// Where the other node sends from another address than the one it advertises, this one drops what comes; run
    /// the doctor there as well. An echo covers both directions. Which of the two is closed is told where a packet of it
    /// does not leave this machine, or one from the other comes. Of a node that has joined within the last ten seconds
    /// nothing is said.
    ///
    /// Source: Docker docs "Use Swarm mode routing mesh" and `docker swarm init --data-path-port`.
    "network/vxlan-blocked": Error, "the overlays' packets do not pass between nodes";
    needs Overlays, Probes, SwarmState, Nodes, EngineLog;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "network/duplicate-ip", "host/firewall-drops-swarm", "network/asymmetric", "swarm/duplicate-node-identity", "swarm/local-advertise-addr", "swarm/stale-advertise-addr", "network/vxlan-source-mismatch", "network/fdb-stale", "swarm/node-down", "network/port-taken", "network/gossip-port-blocked", "network/peer-unreachable";
    for each Host: run
}

/// The port of VXLAN unless the swarm was made with another.
const USUAL: u16 = 4789;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let overlays = host.overlays.get()?;
    gaps(overlays).for_each(|gap| out.inconclusive(Subject::Node(host.name.clone()), gap));
    let crossings = by_node(overlays);
    if !crossings.iter().any(Crossing::silent) {
        return Ok(());
    }
    let probes = host.probes.get()?;
    let reaches = by_peer(probes);
    let apart = apart(host)?.is_some();
    // A machine that is gone is another ailment, and so is an address that is no node's, unless the overlays' packets
    // take a way of their own, of which the swarm tells nothing; then that the machine answers is enough.
    let there = |crossing: &&Crossing<'_>| match reach(&reaches, crossing) {
        Some(reach) => is_up(reach),
        None => apart && (crossing.answers_beneath() || !crossing.silent()),
    };
    let there: Vec<&Crossing<'_>> = crossings.iter().filter(there).collect();
    let log = host.log.get();
    let newcomers =
        log.as_ref().map(|log| newcomers(log, view.snapshot.taken, ON_THE_WAY)).unwrap_or_default();
    let mut silent = Vec::new();
    for crossing in there.iter().filter(|crossing| crossing.silent()) {
        let reach = reach(&reaches, crossing);
        let to = reach.map_or_else(|| view.name_of(crossing.node), |reach| view.name_of_peer(reach.peer));
        match (&log, newcomers.get(&crossing.node)) {
            (Ok(log), Some(seconds)) => {
                out.inconclusive(Subject::Link { from: host.name.clone(), to }, too_early(log, *seconds));
            }
            _ => silent.push((crossing, reach, to)),
        }
    }
    let names: Vec<NodeName> = silent.iter().map(|(_, _, to)| to.clone()).collect();
    let whom = match names.as_slice() {
        [] => return Ok(()),
        [one] => Whom::One(one),
        // Where no node can be reached, what they have in common is this machine.
        all if all.len() == there.len() => Whom::All,
        several => Whom::Several(several),
    };
    // What is told of the way has to hold for each of them.
    let mut courses = silent.iter().map(|(crossing, ..)| crossing.course(false));
    let course = courses.next().flatten().filter(|first| courses.all(|other| other == Some(*first)));
    let mut told: Option<&mut Finding> = None;
    for (crossing, reach, _) in silent {
        let Some(first) = crossing.asked.first() else { continue };
        let evidence = crossing
            .asked
            .iter()
            .map(|asked| Evidence::value(overlays, asked.shown()))
            .chain(reach.map(|reach| Evidence::value(probes, reach.shown())));
        match told.take() {
            Some(finding) => told = Some(evidence.fold(finding, Finding::with)),
            None => {
                let finding =
                    report(host, first, (whom, course), Evidence::value(overlays, first.shown()), out);
                // One silent endpoint may be at fault itself; those of two overlays, or of two nodes, are not.
                let certain = names.len() > 1 || crossing.asked.len() > 1;
                finding.confidence(if certain { Confidence::High } else { Confidence::Medium });
                told = Some(evidence.skip(1).fold(finding, Finding::with));
            }
        }
    }
    Ok(())
}

/// What came of the probes of a node, where its address is one that the swarm tells.
fn reach<'r>(reaches: &'r [Reach<'r>], crossing: &Crossing<'_>) -> Option<&'r Reach<'r>> {
    reaches.iter().find(|reach| reach.peer.addr == crossing.node)
}

/// To whom nothing passes.
#[derive(Clone, Copy)]
enum Whom<'a> {
    One(&'a NodeName),
    /// To these, and to others it does.
    Several(&'a [NodeName]),
    All,
}

/// How many nodes are named.
const NAMED: usize = 5;

/// Says to whom nothing passes.
fn report<'f>(
    host: &Host,
    asked: &Asked<'_>,
    (whom, course): (Whom<'_>, Option<Course>),
    first: Evidence,
    out: &'f mut Findings<'_>,
) -> &'f mut Finding {
    let port = asked.port();
    let custom = match asked.data_plane.port {
        USUAL => String::new(),
        _ => format!(" (the data-path port of this swarm, not the usual {USUAL})"),
    };
    let here = host.name.clone();
    let mut remedy = open_port(here.clone(), &port, false);
    let between = format!("nothing passes over {port}{custom} between {here} and");
    let to = match whom {
        Whom::All => {
            let why = match course {
                Some(Course::HeldBack) => format!("what {here} sends does not leave it"),
                Some(Course::NotTaken) => format!("their answers come to {here}, which does not take them"),
                Some(Course::OneWay) => {
                    format!("what they send comes to {here}, and what {here} sends does not get there")
                }
                Some(Course::Lost) | None => "this machine's own firewall is the first suspect".to_owned(),
            };
            let summary = format!("{between} any other node, while their machines answer: {why}");
            return out.report(Subject::Node(here), summary, first).remedy(remedy);
        }
        Whom::Several(nodes) => {
            let mut named: Vec<_> = nodes.iter().take(NAMED).map(ToString::to_string).collect();
            if let more @ 1.. = nodes.len().saturating_sub(NAMED) {
                named.push(format!("{more} more"));
            }
            let summary = format!(
                "{between} {}, while their machines answer and it passes to the others: these are closed, or the swarm \
                 is in two halves",
                named.join(", ")
            );
            remedy.title = format!("Open {port} between the two halves").into();
            let there = nodes.iter().flat_map(|node| open_port(node.clone(), &port, false).steps);
            remedy.steps.extend(there);
            return out.report(Subject::Node(here), summary, first).remedy(remedy);
        }
        Whom::One(to) => to.clone(),
    };
    let why = match course {
        Some(Course::HeldBack) => format!(": what {here} sends there does not leave {here}"),
        Some(Course::NotTaken) => format!(": its answers come to {here}, which does not take them"),
        Some(Course::OneWay) => {
            format!(": what {to} sends comes to {here}, and what {here} sends does not get there")
        }
        Some(Course::Lost) | None => String::new(),
    };
    let summary = format!("{between} {to}, while its machine answers{why}");
    let mut steps = open_port(to.clone(), &port, false).steps;
    steps.append(&mut remedy.steps);
    remedy.steps = steps;
    remedy.title = format!("Open {port} between {here} and {to}").into();
    out.report(Subject::Link { from: here, to }, summary, first).remedy(remedy)
}
