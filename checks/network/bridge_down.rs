use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::Host;

check! {
    /// A bridge that the engine made for a network is gone, or is set down.
    ///
    /// ## Why it matters
    /// Tasks leave their overlays by `docker_gwbridge`, and what comes to a published port gets to the routing mesh over it.
    /// Without it the node looks well to the swarm, its tasks run, and neither they nor the ports that are published on it
    /// reach anything outside. The bridges of other networks cut their containers off alike.
    ///
    /// ## How to fix it
    /// Set the bridge up. One that is gone comes back when the engine starts; containers that were on it have to be made
    /// anew.
    ///
    /// ## When it is wrong
    /// Where a program of one's own moves the bridge to another namespace.
    ///
    /// Source: libnetwork `drivers/bridge/setup_device.go`; moby `daemon/container_operations_unix.go`, `DefaultGwBridge`.
    "network/bridge-down": Error, "a bridge of the engine's is gone or set down";
    needs Networks, Interfaces;
    for each Host: run
}

/// The network through which tasks on overlays get out, and published ports in.
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
        let what = if gone { "is gone" } else { "is set down" };
        let felt = match network.name.as_str() {
            GATEWAY => "tasks on overlays do not get out, nor published ports in",
            _ => "its containers are cut off",
        };
        let summary =
            format!("the bridge {bridge} of the network {} {what} on {}: {felt}", network.name, host.name);
        let first = match gone {
            true => Evidence::absent(interfaces, format!("no interface {bridge}")),
            false => Evidence::value(interfaces, format!("{bridge} is not up")),
        };
        let finding = out.report(Subject::Node(host.name.clone()), summary, first);
        finding.with(Evidence::value(networks, format!("{} has the bridge {bridge}", network.name)));
        // A bridge that nobody is on is missed by nobody yet.
        if network.name != GATEWAY && network.endpoints.is_empty() {
            finding.severity(Severity::Warning);
        }
        let (title, text, command, risk) = match gone {
            true => (
                "Have the engine make the bridge again",
                "restart the engine, which makes it; containers that were on it are made anew",
                "systemctl restart docker".to_owned(),
                Risk::Disruptive,
            ),
            false => (
                "Set the bridge up",
                "set it up, and see what set it down",
                format!("ip link set {bridge} up"),
                Risk::Safe,
            ),
        };
        finding.remedy(Remedy {
            title: title.into(),
            risk,
            impact: if gone { "the tasks of this node restart" } else { "nothing that runs is touched" }
                .into(),
            steps: vec![Step::Manual { node: host.name.clone(), text: text.into(), commands: vec![command] }],
        });
    }
    Ok(())
}
