use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::host::{Interface, Sysctls};
use facts::swarm::LocalState;
use facts::{Gap, Host, Why};

check! {
    /// The kernel does not forward IPv4 packets.
    ///
    /// ## Why it matters
    /// Published ports reach nobody and containers reach nothing outside. The engine turns forwarding on when it
    /// starts; a hardening script, `sysctl --system` or a network restart turns it off behind its back, and
    /// systemd-networkd does so for single interfaces.
    ///
    /// ## How to fix it
    /// Turn it on, and find the file below /etc/sysctl.d that turned it off.
    ///
    /// ## When it is wrong
    /// On a machine whose containers are meant to reach nobody.
    ///
    /// Source: moby `libnetwork/drivers/bridge/setup_ip_forwarding.go`.
    "host/ip-forward-off": Error, "the kernel does not forward packets";
    needs Sysctls, Info, SwarmState, Interfaces, Routes;
    caused_by "engine/unreachable", "engine/live-restore", "engine/daemon-json-malformed", "engine/daemon-json-refused";
    for each Host: run
}

const KEY: &str = "net.ipv4.ip_forward";

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let sysctls = host.sysctls.get()?;
    let off = match sysctls.value(KEY) {
        Some("0") => vec![(KEY.to_owned(), "published ports and containers reach nobody".to_owned())],
        Some(_) => interfaces_off(host, sysctls),
        None => {
            let what = format!("{KEY} is not among them");
            return Err(Gap { source: sysctls.source.clone(), why: Why::Malformed { line: 0, what } });
        }
    };
    if off.is_empty() {
        return Ok(());
    }
    // Only a node needs it.
    let member = match host.info.get() {
        Ok(info) => info.swarm.state != LocalState::Inactive,
        Err(_) => host.swarm_state.get()?.is_some(),
    };
    if !member {
        return Ok(());
    }
    for (key, harm) in off {
        let evidence = Evidence::value(sysctls, format!("{key} = 0"));
        out.report(Subject::Node(host.name.clone()), format!("{key} is 0: {harm}"), evidence).remedy(
            Remedy {
                title: "Turn IPv4 forwarding on".into(),
                risk: Risk::Safe,
                impact: "packets are forwarded again, as far as the FORWARD chain lets them".into(),
                steps: vec![Step::SetSysctl { node: host.name.clone(), key, to: "1".into() }],
            },
        );
    }
    Ok(())
}

/// The settings of single interfaces that are off, of those on the way between containers and the outside, and what
/// that does. A packet is forwarded where the interface that it came in by allows it.
fn interfaces_off(host: &Host, sysctls: &Sysctls) -> Vec<(String, String)> {
    let routes = host.routes.get().map(|routes| routes.value.as_slice()).unwrap_or_default();
    let own = host.info.get().ok().and_then(|info| info.swarm.node_addr);
    let uplink = |device: &str| {
        let holds = |it: &Interface| it.name == device && own.is_some_and(|addr| it.holds(addr));
        host.interfaces.get().is_ok_and(|all| all.iter().any(holds))
            || routes.iter().any(|route| route.prefix == 0 && route.interface.as_deref() == Some(device))
    };
    let of = |(key, value): (&String, &String)| {
        let device = key.strip_prefix("net.ipv4.conf.")?.strip_suffix(".forwarding")?;
        let harm = match device {
            _ if value != "0" => return None,
            "docker_gwbridge" => {
                "what tasks send leaves this machine nowhere, nor do answers from published ports"
            }
            _ if uplink(device) => "what comes in by it reaches no task and no published port",
            _ => return None,
        };
        Some((key.clone(), harm.to_owned()))
    };
    sysctls.0.iter().filter_map(of).collect()
}
