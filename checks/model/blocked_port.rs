//! A blocked TCP port: on one node, or on every node that was probed.

use super::reachability::{Reach, describe_outcome};
use crate::{Confidence, Evidence, Findings, Flow, Remedy, Risk, Step, Subject, View};
use facts::link::{Outcome, Probe};
use facts::{Host, NodeName, Seen};

/// A port that was probed.
pub(crate) struct Port {
    pub(crate) number: u16,
    /// The number of nodes on which it was probed.
    pub(crate) probed: usize,
}

/// A node on which the port is blocked.
pub(crate) struct Blocked<'a> {
    /// All probes of the node.
    pub(crate) reach: &'a Reach<'a>,
    /// The outcome for the port.
    pub(crate) outcome: &'a Outcome,
    pub(crate) confidence: Confidence,
}

/// Reports one finding for each node. If the port is blocked on every probed node, reports one finding for this node.
pub(crate) fn report(
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
        let summary = format!("{name} of every other node is unreachable from {}", host.name);
        let finding = out.report(
            Subject::Node(host.name.clone()),
            summary,
            Evidence::value(probes, first.reach.describe()),
        );
        finding.with(Evidence::value(probes, second.reach.describe())).confidence(Confidence::Medium);
        finding
            .about(Flow::tcp(number))
            .suspect(format!("the firewall of {} is the first suspect", host.name));
        finding.remedy(open_port(host.name.clone(), &name, Direction::Out));
        return;
    }
    for Blocked { reach, outcome, confidence } in blocked {
        let to = view.name_of_peer(reach.peer);
        let manager = if reach.peer.manager_port == Some(number) { "manager " } else { "" };
        let summary = format!("{name} from {} to {manager}{to} is {}", host.name, describe_outcome(outcome));
        let remedy = if matches!(outcome, Outcome::NotSent { .. }) {
            open_port(host.name.clone(), &name, Direction::Out)
        } else {
            open_port(to.clone(), &name, Direction::InOnPeer)
        };
        out.report(
            Subject::Link { from: host.name.clone(), to },
            summary,
            Evidence::value(probes, reach.describe()),
        )
        .about(Flow::tcp(number))
        .confidence(confidence)
        .remedy(remedy);
    }
}

/// The direction in which a port has to be opened, and on which node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Outgoing, on the node that was examined.
    Out,
    /// Incoming, on the node that was examined.
    In,
    /// Incoming, on another node. A run on that node names the rule.
    InOnPeer,
}

/// Opens a port in the firewall of a node.
pub(crate) fn open_port(node: NodeName, port: &str, direction: Direction) -> Remedy {
    let mut steps = Vec::new();
    if direction == Direction::InOnPeer {
        steps.push(run_on_peer(node.clone()));
    }
    let (text, commands) = if direction == Direction::Out {
        let text = "allow outgoing packets to this port: check the OUTPUT rules of this node first, then the network \
                    between the nodes";
        (text, vec!["nft list ruleset".into(), "iptables -S OUTPUT".into()])
    } else {
        let text = "open the port in the firewall that is active there, and in the cloud's security group";
        let firewalld = format!("firewall-cmd --add-port={port} --permanent && firewall-cmd --reload");
        (text, vec![firewalld, format!("ufw allow {port}"), "nft list ruleset".into()])
    };
    steps.push(Step::Manual { node: node.clone().into(), text: text.into(), commands });
    Remedy {
        title: format!("Open {port} in the firewall of {node}").into(),
        risk: Risk::Safe,
        impact: "running tasks are not affected; on engines before 25.0.13 a firewalld reload deletes Docker's rules \
                 until dockerd restarts"
            .into(),
        steps,
    }
}

/// The first step where another node is the suspect: a run on that node sees its firewall rules.
pub(crate) fn run_on_peer(node: NodeName) -> Step {
    Step::Manual {
        text: format!("run swarm-doctor on {node}: it names the rule that blocks the packets"),
        node: node.into(),
        commands: vec!["sudo swarm-doctor run".into()],
    }
}
