use super::crossing::{Asked, by_node, gaps, underlay};
use crate::remedy::shell_quote;
use crate::{Evidence, Finding, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::overlay::Limit;
use facts::{Host, NodeName};

check! {
    /// Small packets of the overlays pass between two nodes, and those as large as the overlays allow do not.
    ///
    /// ## Why it matters
    /// Connections open, and hang as soon as either side sends much: logins stall, pages come half, transfers never
    /// end, and only between tasks on different nodes. A packet of an overlay travels inside another that is 50 bytes
    /// larger, and the network between the nodes, or the interface of one of them, does not take it. Underlays with
    /// less than 1500 bytes are usual in clouds, tunnels and VPNs.
    ///
    /// ## How to fix it
    /// Raise the MTU of the network and of every node's interface, or make the overlays with less: `--opt
    /// com.docker.network.driver.mtu=N`, N being what the network between the nodes takes. The MTU of an existing
    /// overlay cannot be changed; the routing mesh's network has to be made anew as well.
    ///
    /// ## When it is wrong
    /// Where every node's interface has the same small MTU and the kernels are recent, senders are told what fits, and
    /// most connections work; the finding then is a warning.
    ///
    /// Source: moby#41775; Docker docs "Overlay network driver".
    "network/path-mtu": Error, "the overlays' packets are larger than the network between the nodes takes";
    needs Overlays, Interfaces, Info, SwarmState, Nodes;
    caused_by "network/vxlan-blocked";
    for each Host: run
}

/// What VXLAN over IPv4 puts around a packet.
const AROUND: u32 = 50;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let overlays = host.overlays.get()?;
    gaps(overlays).for_each(|gap| out.inconclusive(Subject::Node(host.name.clone()), gap));
    let crossings = by_node(overlays);
    let mut stopped = Vec::new();
    for crossing in &crossings {
        // What is in clear is told first: an encrypted overlay has less room, for another reason.
        let asked = crossing.of(false).chain(crossing.of(true));
        if let Some((asked, limit)) =
            asked.filter_map(|asked| Some((*asked, asked.peer.limit(asked.data_plane.mtu)?))).next()
        {
            stopped.push((crossing.node, asked, limit));
        }
    }
    if stopped.is_empty() {
        return Ok(());
    }
    let underlay = underlay(host)?;
    let interfaces = host.interfaces.get()?;
    let all = stopped.len() == crossings.len()
        && (stopped.len() > 1 || stopped.iter().all(|(_, _, limit)| limit.told));
    let mut told: Option<&mut Finding> = None;
    for (node, asked, limit) in stopped {
        let evidence = Evidence::value(overlays, asked.shown());
        if all && let Some(finding) = told.take() {
            told = Some(finding.with(evidence));
            continue;
        }
        let to = view.name_of(node);
        let (whom, subject) = match all {
            true => ("any other node".to_owned(), Subject::Node(host.name.clone())),
            false => (to.to_string(), Subject::Link { from: host.name.clone(), to }),
        };
        let (network, mtu) = (&asked.overlay.name, asked.data_plane.mtu);
        let passes = match limit.passes {
            Some(passes) => format!("{passes} bytes pass and {} do not", limit.stops),
            None => format!("{} bytes do not pass, and small ones do", limit.stops),
        };
        let summary = format!(
            "packets of {mtu} bytes, which the network {network} allows, do not pass between {} and {whom}: {passes}",
            host.name
        );
        let finding = out.report(subject, summary, evidence);
        if let Some(shown) = asked.between() {
            finding.with(Evidence::value(overlays, shown));
        }
        if let Some((interface, mtu)) = underlay {
            finding.with(Evidence::value(interfaces, format!("{interface}: mtu {mtu}")));
        }
        if limit.told {
            finding.severity(Severity::Warning);
        }
        finding.remedy(remedy(&host.name, &asked, limit, underlay));
        told = Some(finding);
    }
    Ok(())
}

fn remedy(host: &NodeName, asked: &Asked<'_>, limit: Limit, underlay: Option<(&str, u32)>) -> Remedy {
    let wanted = asked.data_plane.mtu + AROUND;
    let mut steps = Vec::new();
    let narrow = underlay.filter(|(_, mtu)| *mtu < wanted);
    let text = match narrow {
        Some((interface, mtu)) => format!(
            "{interface} has {mtu} bytes and the overlay's packets need {wanted}: raise it here, where the network takes that"
        ),
        None => {
            format!("see which interface or network on the way takes less than {wanted} bytes, and raise it")
        }
    };
    let commands = match narrow {
        Some((interface, _)) => vec![format!("ip link set dev {} mtu {wanted}", shell_quote(interface))],
        None => vec!["ip -br link".into(), format!("ping -M do -s {} {}", wanted - 28, asked.peer.node)],
    };
    steps.push(Step::Manual { node: host.clone(), text, commands });
    if let Some(passes) = limit.passes {
        let option = format!("--opt com.docker.network.driver.mtu={}", passes + AROUND);
        let (text, create) = match asked.overlay.ingress {
            true => (
                "else make the networks anew with less, on a manager: first take away all published ports"
                    .to_owned(),
                vec![
                    "docker network rm ingress".to_owned(),
                    format!("docker network create --driver overlay --ingress {option} ingress"),
                ],
            ),
            false => (
                "else make the network anew with less, on a manager: first take it from all services"
                    .to_owned(),
                vec![
                    format!("docker network rm {}", shell_quote(&asked.overlay.name)),
                    format!(
                        "docker network create --driver overlay {option} {}",
                        shell_quote(&asked.overlay.name)
                    ),
                ],
            ),
        };
        steps.push(Step::Manual { node: host.clone(), text, commands: create });
    }
    Remedy {
        title: "Make the network's MTU and the overlays' agree".into(),
        risk: Risk::Manual,
        impact: "a network that is made anew takes its services with it for that time".into(),
        steps,
    }
}
