use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::Host;

check! {
    /// A bridge that the engine created for a network is missing or down.
    ///
    /// ## Why it matters
    /// Tasks on overlays reach other networks through `docker_gwbridge`, and packets for a published port reach the
    /// ingress network through it. Without the bridge the node is Ready and its tasks run, but neither the tasks nor the
    /// ports published on this node can exchange packets with the outside. The bridges of other networks isolate their
    /// containers in the same way.
    ///
    /// ## How to fix it
    /// Set the bridge up. A missing bridge is created when the engine starts; containers that were attached to it have to
    /// be re-created.
    ///
    /// ## When it is wrong
    /// If a program moves the bridge to another network namespace on purpose.
    ///
    /// Source: libnetwork `drivers/bridge/setup_device.go`; moby `daemon/container_operations_unix.go`, `DefaultGwBridge`.
    "network/bridge-down": Error, "a bridge of a Docker network is missing or down";
    healthy "the bridges of the Docker networks are up";
    needs Networks, Interfaces;
    for each Host: run
}

/// The network by which tasks on overlays reach the outside, and packets for published ports reach the ingress network.
const GATEWAY: &str = "docker_gwbridge";

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    let interfaces = host.interfaces.get()?;
    for network in &networks.value {
        let Some(bridge) = &network.bridge else { continue };
        let interface = interfaces.iter().find(|interface| interface.name == *bridge);
        let gone = match interface {
            Some(interface) if interface.up => continue,
            Some(_) => false,
            None => true,
        };
        let state = if gone { "is missing" } else { "is down" };
        let effect = match network.name.as_str() {
            GATEWAY => {
                "tasks on overlays cannot reach the outside, and published ports of this node do not answer"
            }
            _ => "its containers are cut off",
        };
        let summary =
            format!("bridge {bridge} of the network {} {state} on {}: {effect}", network.name, host.name);
        let first = if gone {
            Evidence::absent(interfaces, format!("no interface {bridge}"))
        } else {
            Evidence::value(interfaces, format!("{bridge}: state DOWN"))
        };
        let finding = out.report(Subject::Node(host.name.clone()), summary, first);
        finding.with(Evidence::value(networks, format!("{}: bridge {bridge}", network.name)));
        // A bridge without containers affects nothing yet.
        if network.name != GATEWAY && network.endpoints.is_empty() {
            finding.severity(Severity::Warning);
        }
        let (title, text, command, risk) = if gone {
            (
                format!("Restart the engine, which creates {bridge}"),
                "restart the engine: it creates the bridge; re-create the containers that were attached to it",
                "systemctl restart docker".to_owned(),
                Risk::Disruptive,
            )
        } else {
            (
                format!("Set {bridge} up"),
                "set the bridge up, and find what set it down",
                format!("ip link set {bridge} up"),
                Risk::Safe,
            )
        };
        finding.remedy(Remedy {
            title: title.into(),
            risk,
            impact: if gone { "all tasks on this node restart" } else { "running tasks are not affected" }
                .into(),
            steps: vec![Step::Manual {
                node: host.name.clone().into(),
                text: text.into(),
                commands: vec![command],
            }],
        });
    }
    Ok(())
}
