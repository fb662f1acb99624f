use crate::model::overlay_echo::{NodeEchoes, OverlayEcho, by_node, underlay};
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Finding, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;

check! {
    /// ICMP passes over the overlays of this node and TCP does not: the network interface computes wrong TCP checksums.
    ///
    /// ## Why it matters
    /// The kernel leaves the checksum of a TCP segment to the network interface (TX checksum offload). Some drivers
    /// compute it wrongly for a segment inside a VXLAN packet, and the other node drops it. `ping` between containers
    /// works, and every TCP connection to a task on another node hangs. Known drivers: vmxnet3 of VMware, and some
    /// versions of virtio_net, mlx5_core and hv_netvsc.
    ///
    /// ## How to fix it
    /// Switch TX checksum offload off with `ethtool -K`, and make the change permanent in the network configuration.
    /// Newer VMware hypervisors and drivers do not need it.
    ///
    /// ## When it is wrong
    /// If a firewall or a middlebox inspects VXLAN packets and drops TCP inside them.
    ///
    /// Source: moby#41775; coreos/fedora-coreos-tracker#1372; `ethtool(8)`.
    "network/tx-checksum-offload": Error, "wrong TX checksums of the network interface break TCP over the overlays";
    healthy "TCP passes over the overlays";
    needs Overlays, Interfaces, SwarmState, Info, Nodes;
    caused_by "network/vxlan-blocked", "host/firewall-drops-swarm";
    for each Host: run
}

/// Drivers with a known bug.
const KNOWN_DRIVERS: [&str; 1] = ["vmxnet3"];
/// The feature of the drivers that compute checksums of any protocol.
const FEATURE: &str = "tx-checksum-ip-generic";

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let overlays = host.overlays.get()?;
    let nodes = by_node(overlays);
    // Where echoes are lost as well, packet loss explains a lost SYN.
    let lossless = |echo: &OverlayEcho<'_>| echo.peer.burst.is_some_and(|burst| burst.lost() == 0);
    let probed = |node: &&NodeEchoes<'_>| {
        node.echoes.iter().any(|echo| echo.peer.tcp.is_some())
            && node.echoes.iter().all(|echo| echo.peer.tcp.is_none() || lossless(echo))
    };
    let drops = |node: &&NodeEchoes<'_>| {
        let mut tried = node.echoes.iter().filter(|echo| echo.peer.tcp.is_some());
        tried.all(|echo| echo.peer.drops_tcp_only())
    };
    let probed: Vec<&NodeEchoes<'_>> = nodes.iter().filter(probed).collect();
    let broken: Vec<&NodeEchoes<'_>> = probed.iter().copied().filter(drops).collect();
    // The interface of this node breaks every path. A path alone has its cause elsewhere.
    if broken.is_empty() || broken.len() < probed.len() {
        return Ok(());
    }
    let interface = underlay(host)?;
    let interfaces = host.interfaces.get()?;
    let names: Vec<_> = broken.iter().map(|node| view.name_of(node.node).to_string()).collect();
    let device = interface.map_or("the interface", |interface| interface.name.as_str());
    let driver = interface.map(|interface| interface.driver.as_str()).filter(|driver| !driver.is_empty());
    let known = driver.is_some_and(|driver| KNOWN_DRIVERS.contains(&driver));
    let by = driver.map(|driver| format!(" (driver {driver})")).unwrap_or_default();
    let reason = if known {
        format!(": {device}{by} computes wrong TCP checksums inside VXLAN packets")
    } else {
        String::new()
    };
    let summary = format!(
        "TCP over the overlays of {} does not reach {}, while ICMP does{reason}",
        host.name,
        names.join(", ")
    );
    let mut evidence = broken
        .iter()
        .flat_map(|node| node.echoes.iter().filter(|echo| echo.peer.drops_tcp_only()))
        .map(|echo| Evidence::value(overlays, echo.describe()));
    let Some(first) = evidence.next() else { return Ok(()) };
    let finding = out.report(Subject::Node(host.name.clone()), summary, first);
    let finding = evidence.fold(finding, Finding::with);
    let mut feature = FEATURE;
    if let Some(interface) = interface {
        let on: Vec<_> = interface.offloads.iter().filter(|name| name.starts_with("tx-checksum")).collect();
        let on: Vec<_> = on.into_iter().map(String::as_str).collect();
        if !on.contains(&FEATURE) && !on.is_empty() {
            feature = "tx";
        }
        let driver = driver.unwrap_or("unknown");
        let on = if on.is_empty() { "unknown".to_owned() } else { format!("{} on", on.join(", ")) };
        finding.with(Evidence::value(
            interfaces,
            format!("{device}: driver {driver}, TX checksum offload {on}"),
        ));
    }
    if known {
        finding.confidence(Confidence::High);
    } else {
        let guess = format!("TX checksum offload of {device}{by} is the first suspect");
        finding.confidence(Confidence::Medium).suspect(guess);
    }
    finding.remedy(Remedy {
        title: format!("Switch TX checksum offload of {device} off").into(),
        risk: Risk::Manual,
        impact: "running connections continue; the CPU load of the node rises slightly".into(),
        steps: vec![Step::Manual {
            node: host.name.clone().into(),
            text: "switch it off now, and permanently in the network configuration (udev rule, systemd.link or NetworkManager)"
                .into(),
            commands: vec![format!("ethtool -K {} {feature} off", shell_quote(device))],
        }],
    });
    Ok(())
}
