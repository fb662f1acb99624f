use super::firewall::forwarding::BRIDGE;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::Host;
use facts::host::Address;
use facts::swarm::LocalState;

check! {
    /// A bridge of the engine has lost its gateway address, or systemd-networkd manages it.
    ///
    /// ## Why it matters
    /// Containers use the address of the bridge as their gateway. systemd-networkd, NetworkManager or cloud-init can remove it when a
    /// configuration file matches the bridge, for example a `.network` file that matches all names. Without the address of
    /// docker_gwbridge, tasks reach nothing outside and published ports do not answer on this node.
    ///
    /// ## How to fix it
    /// Restart the engine, which adds the address again, and exclude the interfaces of Docker: a `.network` file with `[Match]
    /// Name=docker* br-* veth*` and `[Link] Unmanaged=yes`, or `unmanaged-devices=interface-name:docker*;veth*;br-*` in
    /// NetworkManager.
    ///
    /// ## When it is wrong
    /// When the network is internal, or its gateway was disabled on purpose.
    ///
    /// Source: systemd.network(5), `Unmanaged=`; moby `libnetwork/drivers/bridge/setup_ipv4_linux.go`.
    "host/bridge-address-missing": Error, "a bridge of the engine has no gateway address";
    healthy "the bridges of the engine have their gateway addresses";
    needs Networks, Interfaces, Info;
    caused_by "network/bridge-down";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    let interfaces = host.interfaces.get()?;
    if host.info.get()?.swarm.state != LocalState::Active {
        return Ok(());
    }
    // Only this bridge matters to the swarm; others may have no gateway on purpose.
    let Some(network) = networks.iter().find(|network| network.name == BRIDGE) else { return Ok(()) };
    let Some(bridge) = interfaces.iter().find(|interface| interface.name == BRIDGE && interface.up) else {
        return Ok(());
    };
    let subnets: Vec<Address> = network.subnets.iter().filter_map(|subnet| subnet.parse().ok()).collect();
    let has_address = bridge.addresses.iter().any(|own| subnets.iter().any(|subnet| subnet.covers(own.addr)));
    let node = || host.name.clone();
    let unmanage = || {
        Step::Manual {
        node: node().into(),
        text: "exclude the interfaces of Docker from systemd-networkd".into(),
        commands: vec![
            "printf '[Match]\\nName=docker* br-* veth*\\n[Link]\\nUnmanaged=yes\\n' > /etc/systemd/network/05-docker.network"
                .into(),
            "networkctl reload".into(),
        ],
    }
    };
    let managed = bridge.network_file.as_deref();
    if !has_address && !subnets.is_empty() {
        let summary = format!(
            "{BRIDGE} on {} has no address in {}: tasks reach nothing outside, and published ports do not answer",
            host.name,
            network.subnets.join(", ")
        );
        let finding = out.report(
            Subject::Node(node()),
            summary,
            Evidence::absent(interfaces, format!("no address of {} on {BRIDGE}", network.subnets.join(", "))),
        );
        for foreign in bridge.addresses.iter().filter(|address| address.addr.is_ipv4()) {
            let shown = format!("{BRIDGE} has {}/{}", foreign.addr, foreign.prefix);
            finding.with(Evidence::value(interfaces, shown));
        }
        let mut steps = vec![Step::RestartEngine { node: node().into() }];
        if let Some(file) = managed {
            finding.with(Evidence::value(interfaces, format!("systemd-networkd manages {BRIDGE} by {file}")));
            steps.insert(0, unmanage());
        }
        finding.remedy(Remedy {
            title: format!("Restore the address of {BRIDGE} on {}", host.name).into(),
            risk: Risk::Disruptive,
            impact: "All tasks on this node restart.".into(),
            steps,
        });
    } else if let Some(file) = managed {
        let summary = format!(
            "systemd-networkd on {} manages {BRIDGE} by {file}: a reload can remove its address or disable forwarding",
            host.name
        );
        let shown = format!("{BRIDGE}: NETWORK_FILE={file}");
        out.report(Subject::Node(node()), summary, Evidence::value(interfaces, shown))
            .severity(Severity::Warning)
            .remedy(Remedy {
                title: format!("Exclude {BRIDGE} from systemd-networkd on {}", host.name).into(),
                risk: Risk::Safe,
                impact: "Running tasks are not affected.".into(),
                steps: vec![unmanage()],
            });
    }
    Ok(())
}
