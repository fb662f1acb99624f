use crate::model::overlay_echo::{OverlayEcho, by_node, gaps, underlay};
use crate::remedy::shell_quote;
use crate::{Evidence, Finding, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::host::Interface;
use facts::overlay::Limit;
use facts::{Host, NodeName};

check! {
    /// Small overlay packets pass between two nodes, and packets of the overlay's MTU do not.
    ///
    /// ## Why it matters
    /// Connections open and then hang as soon as one side sends much data: logins stall, pages load partly, transfers
    /// never finish, and only between tasks on different nodes. VXLAN adds 50 bytes to each overlay packet, and the
    /// network between the nodes or an interface of one of them does not carry packets of that size. An MTU below 1500 is
    /// common in clouds, tunnels and VPNs.
    ///
    /// ## How to fix it
    /// Raise the MTU of the network and of the interface on every node, or create the overlays with a smaller MTU: `--opt
    /// com.docker.network.driver.mtu=N`, where N is the MTU of the network between the nodes. The MTU of an existing
    /// overlay cannot be changed; the ingress network has to be re-created as well.
    ///
    /// ## When it is wrong
    /// If every interface has the same small MTU and the kernels are recent, the kernel reports the limit to senders and
    /// most connections work; then the finding is a warning.
    ///
    /// Source: moby#41775; Docker docs "Overlay network driver".
    "network/path-mtu": Error, "overlay packets are larger than the MTU of the path between the nodes";
    healthy "packets of the overlay MTU pass between the nodes";
    needs Overlays, Interfaces, Info, SwarmState, Nodes;
    caused_by "network/vxlan-blocked";
    for each Host: run
}

/// The overhead of VXLAN over IPv4 in bytes.
const OVERHEAD: u32 = 50;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let overlays = host.overlays.get()?;
    gaps(overlays).for_each(|gap| out.inconclusive(Subject::Node(host.name.clone()), gap));
    let nodes = by_node(overlays);
    let mut stopped = Vec::new();
    for node in &nodes {
        // Encrypted overlays come last: ESP adds more overhead.
        let echoes = node.over(false).chain(node.over(true));
        if let Some((echo, limit)) =
            echoes.filter_map(|echo| Some((*echo, echo.peer.limit(echo.plane.mtu)?))).next()
        {
            stopped.push((node.node, echo, limit));
        }
    }
    if stopped.is_empty() {
        return Ok(());
    }
    let underlay = underlay(host)?;
    let interfaces = host.interfaces.get()?;
    let all = stopped.len() == nodes.len()
        && (stopped.len() > 1 || stopped.iter().all(|(_, _, limit)| limit.reported));
    let mut reported: Option<&mut Finding> = None;
    for (node, echo, limit) in stopped {
        let evidence = Evidence::value(overlays, echo.describe());
        if all && let Some(finding) = reported.take() {
            reported = Some(finding.with(evidence));
            continue;
        }
        let to = view.name_of(node);
        let (peers, subject) = if all {
            ("every other node".to_owned(), Subject::Node(host.name.clone()))
        } else {
            (to.to_string(), Subject::Link { from: host.name.clone(), to })
        };
        let (network, mtu) = (&echo.overlay.name, echo.plane.mtu);
        let passes = match limit.passes {
            Some(passes) => format!("{passes} bytes pass, {} bytes do not", limit.stops),
            None => format!("{} bytes do not pass, small packets do", limit.stops),
        };
        let summary = format!(
            "packets of {mtu} bytes, the MTU of the network {network}, do not pass between {} and {peers}: {passes}",
            host.name
        );
        let finding = out.report(subject, summary, evidence);
        if let Some(shown) = echo.describe_sizes() {
            finding.with(Evidence::value(overlays, shown));
        }
        if let Some(interface) = underlay {
            finding.with(Evidence::value(interfaces, format!("{}: mtu {}", interface.name, interface.mtu)));
        }
        if limit.reported {
            finding.severity(Severity::Warning);
        }
        finding.remedy(remedy(&host.name, &echo, limit, underlay));
        reported = Some(finding);
    }
    Ok(())
}

fn remedy(host: &NodeName, echo: &OverlayEcho<'_>, limit: Limit, underlay: Option<&Interface>) -> Remedy {
    let wanted = echo.plane.mtu + OVERHEAD;
    let mut steps = Vec::new();
    let narrow = underlay.filter(|interface| interface.mtu < wanted);
    let text = match narrow {
        Some(Interface { name, mtu, .. }) => format!(
            "{name} has MTU {mtu} and VXLAN packets need {wanted}: raise the MTU here, if the network supports it"
        ),
        None => {
            format!(
                "find the interface or network on the path with an MTU below {wanted} bytes, and raise it"
            )
        }
    };
    let commands = match narrow {
        Some(interface) => vec![format!("ip link set dev {} mtu {wanted}", shell_quote(&interface.name))],
        None => vec!["ip -br link".into(), format!("ping -M do -s {} {}", wanted - 28, echo.peer.node)],
    };
    steps.push(Step::Manual { node: host.clone().into(), text, commands });
    if let Some(passes) = limit.passes {
        let option = format!("--opt com.docker.network.driver.mtu={}", passes + OVERHEAD);
        let (text, create) = if echo.overlay.ingress {
            (
                "otherwise re-create the networks with a smaller MTU, on a manager: first remove all published ports"
                    .to_owned(),
                vec![
                    "docker network rm ingress".to_owned(),
                    format!("docker network create --driver overlay --ingress {option} ingress"),
                ],
            )
        } else {
            (
                "otherwise re-create the network with a smaller MTU, on a manager: first remove it from all services"
                    .to_owned(),
                vec![
                    format!("docker network rm {}", shell_quote(&echo.overlay.name)),
                    format!(
                        "docker network create --driver overlay {option} {}",
                        shell_quote(&echo.overlay.name)
                    ),
                ],
            )
        };
        steps.push(Step::Manual { node: host.clone().into(), text, commands: create });
    }
    Remedy {
        title: format!("Align the MTU of {} and of the path", echo.overlay.name).into(),
        risk: Risk::Manual,
        impact: "re-creating a network interrupts its services".into(),
        steps,
    }
}
