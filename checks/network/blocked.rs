//! A port that is blocked: to one node, or to all of them alike.

use super::reach::Reach;
pub(crate) use super::reach::story;
use crate::{Confidence, Evidence, Findings, Remedy, Risk, Step, Subject, View};
use facts::link::{Outcome, Probe};
use facts::{Host, NodeName, Seen};

/// A port that was tried.
pub(super) struct Port {
    /// Its number.
    pub(super) number: u16,
    /// On how many nodes it was tried.
    pub(super) probed: usize,
}

/// One node whose port cannot be reached.
pub(super) struct Blocked<'a> {
    /// What came of all probes of the node.
    pub(super) reach: &'a Reach<'a>,
    /// What came of the one of this port.
    pub(super) outcome: &'a Outcome,
    /// How sure it is that the port is blocked.
    pub(super) confidence: Confidence,
}

/// Reports each, or one for all: where no node's port can be reached, what they have in common is this machine.
pub(super) fn report(
    host: &Host,
    view: &View<'_>,
    probes: &Seen<Vec<Probe>>,
    port: Port,
    blocked: Vec<Blocked<'_>>,
    out: &mut Findings<'_>,
) {
    let number = port.number;
    let name = format!("{number}/tcp");
    if let [first, second, ..] = blocked.as_slice()
        && blocked.len() == port.probed
    {
        let summary = format!(
            "{name} of no other node can be reached from {}: this machine's own firewall is the first suspect",
            host.name
        );
        let finding = out.report(
            Subject::Node(host.name.clone()),
            summary,
            Evidence::value(probes, first.reach.shown()),
        );
        finding.with(Evidence::value(probes, second.reach.shown())).confidence(Confidence::Medium);
        finding.remedy(open_port(host.name.clone(), &name, true));
        return;
    }
    for Blocked { reach, outcome, confidence } in blocked {
        let to = view.name_of_peer(reach.peer);
        let manager = if reach.peer.manager_port == Some(number) { "manager " } else { "" };
        let summary = format!("{name} from {} to {manager}{to} is {}", host.name, story(outcome));
        let local = matches!(outcome, Outcome::NotSent { .. });
        let place = if local { host.name.clone() } else { to.clone() };
        out.report(
            Subject::Link { from: host.name.clone(), to },
            summary,
            Evidence::value(probes, reach.shown()),
        )
        .confidence(confidence)
        .remedy(open_port(place, &name, local));
    }
}

/// Open a port where it is closed.
pub(crate) fn open_port(node: NodeName, port: &str, outgoing: bool) -> Remedy {
    let (text, commands) = if outgoing {
        let text =
            "let it out: see this machine's OUTPUT rules first, then what stands between it and the others";
        (text, vec!["nft list ruleset".into(), "iptables -S OUTPUT".into()])
    } else {
        let text = "see which firewall runs there and open the port in it, the cloud's firewall included";
        let firewalld = format!("firewall-cmd --add-port={port} --permanent && firewall-cmd --reload");
        (text, vec![firewalld, format!("ufw allow {port}"), "nft list ruleset".into()])
    };
    Remedy {
        title: format!("Open {port} on {node}").into(),
        risk: Risk::Safe,
        impact: "nothing that runs is touched; on engines before 25.0.13 a firewalld reload drops Docker's own rules \
                 until the engine restarts"
            .into(),
        steps: vec![Step::Manual { node, text: text.into(), commands }],
    }
}
