use super::reach::{Reach, by_peer, story};
use crate::{Certainty, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::link::{Outcome, Probe};
use facts::{Host, NodeName, Seen};

check! {
    /// The manager port of another node cannot be reached from here, though its machine can.
    ///
    /// ## Why it matters
    /// Nodes join, beat and fetch their tasks over 2377/tcp of the managers, and managers speak raft over it. A
    /// worker cut off from it goes Down; a manager cut off from it drops out of raft.
    ///
    /// ## How to fix it
    /// Open 2377/tcp on the managers for all nodes, in the machine's firewall and in the cloud's.
    ///
    /// ## When it is wrong
    /// When the other node is no manager any more and this one has not yet heard.
    ///
    /// Source: Docker docs "Swarm tutorial, open protocols and ports"; moby#34996.
    "network/manager-port-blocked": Error, "a manager's port is blocked";
    needs Probes, Nodes;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let probes = host.probes.get()?;
    for reach in by_peer(probes) {
        let Some(outcome) = reach.manager() else { continue };
        let certainty = match outcome {
            Outcome::Open => continue,
            Outcome::NotSent { .. } => Certainty::Proven,
            Outcome::Filtered | Outcome::Unreachable { .. } if reach.machine_answers() => Certainty::Proven,
            // Its engine is there, and takes no connection on this port.
            Outcome::Refused { .. } if reach.engine_answers() => Certainty::Likely,
            _ => continue,
        };
        report(host, view, probes, &reach, outcome, certainty, out);
    }
    Ok(())
}

fn report(
    host: &Host,
    view: &View<'_>,
    probes: &Seen<Vec<Probe>>,
    reach: &Reach<'_>,
    outcome: &Outcome,
    certainty: Certainty,
    out: &mut Findings<'_>,
) {
    let port = reach.peer.manager_port.unwrap_or(2377);
    let to = reach.peer.name.clone().unwrap_or_else(|| view.name_of(reach.peer.addr));
    let summary = format!("{port}/tcp from {} to manager {to} is {}", host.name, story(outcome));
    let subject = Subject::Link { from: host.name.clone(), to: to.clone() };
    let local = matches!(outcome, Outcome::NotSent { .. });
    out.report(subject, summary, Evidence::value(probes, reach.shown()))
        .certainty(certainty)
        .remedy(open_port(if local { host.name.clone() } else { to }, &format!("{port}/tcp"), local));
}

/// Open a port where it is closed.
pub(super) fn open_port(node: NodeName, port: &str, outgoing: bool) -> Remedy {
    let (text, commands) = if outgoing {
        let text = "let it out: this machine's own OUTPUT rules stop it";
        (text, vec!["nft list ruleset".into(), "iptables -S OUTPUT".into()])
    } else {
        let text = "see which firewall runs there and open the port in it, the cloud's firewall included";
        let firewalld = format!("firewall-cmd --add-port={port} --permanent && firewall-cmd --reload");
        (text, vec![firewalld, format!("ufw allow {port}"), "nft list ruleset".into()])
    };
    Remedy {
        title: format!("Open {port} on {node}").into(),
        risk: Risk::Harmless,
        impact: "nothing that runs is touched; on engines before 25.0.13 a firewalld reload drops Docker's own rules \
                 until the engine restarts"
            .into(),
        steps: vec![Step::ByHand { node, text: text.into(), commands }],
    }
}
