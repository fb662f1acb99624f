use crate::model::blocked_port::run_on_peer;
use crate::model::overlay_echo::{Joins, NodeEchoes, OverlayEcho, by_node, gaps, is_up, too_early};
use crate::model::reachability::by_peer;
use crate::{Confidence, Evidence, Finding, Findings, Flow, Judged, Remedy, Risk, Step, Subject, View};
use facts::log::{Line, Log};
use facts::overlay::EchoPath;
use facts::{Host, NodeName};

check! {
    /// Packets of an encrypted overlay do not pass between two nodes, while packets of other overlays do.
    ///
    /// ## Why it matters
    /// The packets of a network with `--opt encrypted` are ESP (IP protocol 50), which has no ports. A firewall that only
    /// opens 4789/udp drops them, and so do many clouds and every NAT. The kernel needs ESP with AES-GCM. Tasks on that
    /// overlay cannot reach tasks on other nodes, and everything else works.
    ///
    /// ## How to fix it
    /// Allow IP protocol 50 between all nodes. If the engine logs that it could not add its keys, load the kernel module
    /// `esp4`. If both are in order, an engine missed a key rotation: restart it. Engines before 23.0.7 and 24.0.3 do not
    /// encrypt in a swarm with a separate data-path port, and 29.0 to 29.2.0 cannot exchange encrypted packets with any
    /// other version.
    ///
    /// ## When it is wrong
    /// If the endpoint on the other node does not answer for a reason of its own.
    ///
    /// Source: Docker docs "Overlay network driver, encrypt traffic"; moby `libnetwork/drivers/overlay/encryption.go`;
    /// moby#45635, moby#51798.
    "network/esp-blocked": Error, "packets of an encrypted overlay do not pass between nodes";
    healthy "packets of encrypted overlays pass between nodes";
    needs Overlays, Probes, Nodes, EngineLog;
    caused_by "host/ipsec-modules-missing", "host/reverse-path-filter", "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "network/duplicate-ip", "host/firewall-drops-swarm", "network/asymmetric", "network/vxlan-blocked", "network/fdb-stale", "swarm/node-down", "network/gossip-port-blocked", "network/peer-unreachable";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let overlays = host.overlays.get()?;
    gaps(overlays).for_each(|gap| out.inconclusive(Subject::Node(host.name.clone()), gap));
    let nodes = by_node(overlays);
    // A node that answers over an overlay without encryption shows that the path is open for UDP.
    let comparable: Vec<&NodeEchoes<'_>> =
        nodes.iter().filter(|node| node.answers(false) && node.over(true).next().is_some()).collect();
    if comparable.iter().all(|node| node.answers(true)) {
        return Ok(());
    }
    let probes = host.probes.get()?;
    let log = host.log.get();
    let key_error = log.as_ref().ok().and_then(|log| key_error(log));
    let reaches = by_peer(probes);
    let reach = |node: &NodeEchoes<'_>| {
        reaches.iter().find(|reach| reach.peer.addr == node.node).filter(|reach| is_up(reach))
    };
    let joined = log.as_ref().map(|log| Joins::unsettled(log, view.snapshot.taken)).unwrap_or_default();
    let mut cut = Vec::new();
    for node in comparable.iter().filter(|node| !node.answers(true)) {
        let Some(reach) = reach(node) else { continue };
        match (&log, joined.ago(node.node)) {
            (Ok(log), Some(seconds)) => {
                let to = view.name_of_peer(reach.peer);
                out.inconclusive(Subject::Link { from: host.name.clone(), to }, too_early(log, seconds));
            }
            _ => cut.push((node, reach)),
        }
    }
    let all = cut.len() == comparable.len() && (cut.len() > 1 || key_error.is_some());
    let mut paths = cut.iter().map(|(node, _)| node.path(true));
    let common = paths.next().flatten().filter(|first| paths.all(|other| other == Some(*first)));
    let mut reported: Option<&mut Finding> = None;
    for (node, reach) in cut {
        let Some(first) = node.over(true).next() else { continue };
        let shown = node.echoes.iter().map(|echo| Evidence::value(overlays, echo.describe()));
        match reported.take().filter(|_| all) {
            Some(finding) => reported = Some(shown.fold(finding, Finding::with)),
            None => {
                let to = view.name_of_peer(reach.peer);
                let proof = Evidence::value(overlays, first.describe());
                let cut = Cut {
                    to,
                    all,
                    no_keys: key_error.is_some(),
                    path: if all { common } else { node.path(true) },
                };
                let finding = report(host, first, cut, proof, out);
                let others = node.echoes.iter().filter(|echo| !std::ptr::eq(*echo, first));
                let finding = others
                    .fold(finding, |finding, echo| finding.with(Evidence::value(overlays, echo.describe())));
                if let (Ok(log), Some(line)) = (&log, key_error) {
                    finding.with(Evidence::log(log, line));
                }
                reported = Some(finding);
            }
        }
    }
    // Without the log the finding is true but lacks the reason.
    if let (Some(_), Err(gap)) = (reported, log) {
        out.inconclusive(Subject::Node(host.name.clone()), gap);
    }
    Ok(())
}

/// The last line in which the engine logs that the kernel refused its keys (`overlay/encryption.go`).
fn key_error(log: &Log) -> Option<&Line> {
    let start = log.lines.iter().rposition(|line| line.message.starts_with("Starting up")).unwrap_or(0);
    let failed = |line: &&Line| {
        ["Failed Adding rSA", "Failed Adding fSA"].iter().any(|words| line.message.starts_with(words))
    };
    log.lines.get(start..)?.iter().rev().find(failed)
}

/// A node that no encrypted packet reaches.
struct Cut {
    to: NodeName,
    /// Whether no other node is reached either.
    all: bool,
    /// Whether the kernel refused the engine's keys.
    no_keys: bool,
    path: Option<EchoPath>,
}

fn report<'f>(
    host: &Host,
    echo: &OverlayEcho<'_>,
    Cut { to, all, no_keys, path }: Cut,
    first: Evidence,
    out: &'f mut Findings<'_>,
) -> &'f mut Finding {
    let here = host.name.clone();
    let network = &echo.overlay.name;
    let (peers, subject) = if all {
        ("every other node".to_owned(), Subject::Node(here.clone()))
    } else {
        (to.to_string(), Subject::Link { from: here.clone(), to: to.clone() })
    };
    let reason = match path {
        _ if no_keys => format!("the kernel of {here} refused the engine's keys for ESP"),
        Some(EchoPath::NotSent) => {
            format!("no ESP packet (IP protocol 50) leaves {here} for that destination")
        }
        Some(EchoPath::ReplyDropped | EchoPath::OneWay) => format!(
            "ESP packets (IP protocol 50) arrive at {here}; {here} drops them, or its own do not arrive at the peer"
        ),
        Some(EchoPath::Lost) => {
            format!("ESP packets (IP protocol 50) leave {here}, and none arrives from the peer")
        }
        None => "ESP (IP protocol 50) does not pass".to_owned(),
    };
    let summary = format!(
        "packets of the encrypted network {network} do not pass between {here} and {peers}, while those of other overlays \
         do: {reason}"
    );
    let step = |node: &NodeName| {
        if no_keys {
            return Step::Manual {
                node: node.clone().into(),
                text: "load the ESP modules (AES-GCM), then restart the engine".into(),
                commands: vec!["modprobe esp4".into(), "systemctl restart docker".into()],
            };
        }
        Step::Manual {
            node: node.clone().into(),
            text: "allow IP protocol 50 in both directions, in the cloud's firewall too; then check that both ends have \
                   keys"
                .into(),
            commands: vec![
                "firewall-cmd --add-protocol=esp --permanent && firewall-cmd --reload".into(),
                "nft list ruleset".into(),
                "ip xfrm state count".into(),
            ],
        }
    };
    let mut steps = Vec::new();
    if !all && !no_keys {
        steps.push(run_on_peer(to.clone()));
    }
    steps.push(step(&here));
    if !all {
        steps.push(step(&to));
    }
    let title = if no_keys {
        format!("Load the esp4 module on {here}")
    } else if all {
        format!("Allow ESP (IP protocol 50) in the firewall of {here}")
    } else {
        format!("Allow ESP (IP protocol 50) between {here} and {to}")
    };
    let (risk, impact) = if no_keys {
        (Risk::Disruptive, "all tasks on this node restart")
    } else {
        (Risk::Safe, "running tasks are not affected")
    };
    out.report(subject, summary, first)
        .about(Flow::esp())
        .confidence(if no_keys { Confidence::High } else { Confidence::Medium })
        .remedy(Remedy { title: title.into(), risk, impact: impact.into(), steps })
}
