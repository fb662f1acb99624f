use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::host::{Interface, Sysctls};
use facts::swarm::LocalState;
use facts::{Gap, Host, Why};

check! {
    /// IPv4 forwarding is disabled in the kernel.
    ///
    /// ## Why it matters
    /// Published ports do not work, and containers reach nothing outside. The engine enables forwarding when it starts. A
    /// hardening script, `sysctl --system` or a network restart can disable it afterwards. systemd-networkd can disable it
    /// for single interfaces.
    ///
    /// ## How to fix it
    /// Enable forwarding, and find the file in /etc/sysctl.d that disables it.
    ///
    /// ## When it is wrong
    /// On a node whose containers must not reach anything outside.
    ///
    /// Source: moby `libnetwork/drivers/bridge/setup_ip_forwarding.go`.
    "host/ip-forward-off": Error, "forwarding of IPv4 packets is disabled";
    healthy "IPv4 forwarding is enabled";
    needs Sysctls, Info, SwarmState, Interfaces, Routes;
    caused_by "engine/unreachable", "engine/live-restore", "engine/daemon-json-malformed", "engine/daemon-json-refused";
    for each Host: run
}

const KEY: &str = "net.ipv4.ip_forward";

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let sysctls = host.sysctls.get()?;
    let off = match sysctls.value(KEY) {
        Some("0") => {
            vec![(KEY.to_owned(), "published ports and outgoing container traffic do not work".to_owned())]
        }
        Some(_) => interfaces_off(host, sysctls),
        None => {
            let what = format!("{KEY} was not collected");
            return Err(Gap { source: sysctls.source.clone(), why: Why::Malformed { line: 0, what } });
        }
    };
    if off.is_empty() {
        return Ok(());
    }
    // Only a swarm member needs forwarding.
    let member = match host.info.get() {
        Ok(info) => info.swarm.state != LocalState::Inactive,
        Err(_) => host.swarm_state.get()?.is_some(),
    };
    if !member {
        return Ok(());
    }
    for (key, effect) in off {
        let evidence = Evidence::value(sysctls, format!("{key} = 0"));
        out.report(Subject::Node(host.name.clone()), format!("{key} is 0: {effect}"), evidence).remedy(
            Remedy {
                title: format!("Enable IPv4 forwarding on {}", host.name).into(),
                risk: Risk::Safe,
                impact: "Packets are forwarded again, as far as the FORWARD chain accepts them. Running tasks are not \
                         affected."
                    .into(),
                steps: vec![Step::SetSysctl { node: host.name.clone().into(), key, to: "1".into() }],
            },
        );
    }
    Ok(())
}

/// The per-interface settings that are 0 on the path between containers and the outside, each with its effect. A packet
/// is forwarded if the interface that it arrives on allows it.
fn interfaces_off(host: &Host, sysctls: &Sysctls) -> Vec<(String, String)> {
    let routes = host.routes.get().map(|routes| routes.value.as_slice()).unwrap_or_default();
    let node_addr = host.info.get().ok().and_then(|info| info.swarm.node_addr);
    let uplink = |device: &str| {
        let holds = |it: &Interface| it.name == device && node_addr.is_some_and(|addr| it.holds(addr));
        host.interfaces.get().is_ok_and(|all| all.iter().any(holds))
            || routes.iter().any(|route| route.prefix == 0 && route.interface.as_deref() == Some(device))
    };
    let of = |(key, value): (&String, &String)| {
        let device = key.strip_prefix("net.ipv4.conf.")?.strip_suffix(".forwarding")?;
        let effect = match device {
            _ if value != "0" => return None,
            "docker_gwbridge" => "outgoing task traffic and replies from published ports are dropped",
            _ if uplink(device) => "packets that arrive on it do not reach tasks or published ports",
            _ => return None,
        };
        Some((key.clone(), effect.to_owned()))
    };
    sysctls.0.iter().filter_map(of).collect()
}
