use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::swarm::LocalState;
use facts::{Gap, Host, Why};

check! {
    /// The kernel does not forward IPv4 packets.
    ///
    /// ## Why it matters
    /// Published ports reach nobody and containers reach nothing outside. The engine turns forwarding on when it
    /// starts; a hardening script, `sysctl --system` or a network restart turns it off behind its back.
    ///
    /// ## How to fix it
    /// Turn it on, and find the file below /etc/sysctl.d that turned it off.
    ///
    /// ## When it is wrong
    /// On a machine whose containers are meant to reach nobody.
    ///
    /// Source: moby `libnetwork/drivers/bridge/setup_ip_forwarding.go`.
    "host/ip-forward-off": Error, "the kernel does not forward packets";
    needs Sysctls, Info, SwarmState;
    caused_by "engine/unreachable", "engine/live-restore", "engine/daemon-json-malformed", "engine/daemon-json-refused";
    for each Host: run
}

const KEY: &str = "net.ipv4.ip_forward";

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let sysctls = host.sysctls.get()?;
    match sysctls.value(KEY) {
        Some("0") => {}
        Some(_) => return Ok(()),
        None => {
            let what = format!("{KEY} is not among them");
            return Err(Gap { source: sysctls.source.clone(), why: Why::Malformed { line: 0, what } });
        }
    }
    // Only a node needs it.
    let member = match host.info.get() {
        Ok(info) => info.swarm.state != LocalState::Inactive,
        Err(_) => host.swarm_state.get()?.is_some(),
    };
    if !member {
        return Ok(());
    }
    let summary = "net.ipv4.ip_forward is 0: published ports and containers reach nobody";
    out.report(Subject::Node(host.name.clone()), summary, Evidence::value(sysctls, format!("{KEY} = 0")))
        .remedy(Remedy {
            title: "Turn IPv4 forwarding on".into(),
            risk: Risk::Harmless,
            impact: "packets are forwarded again, as far as the FORWARD chain lets them".into(),
            steps: vec![Step::SetSysctl { node: host.name.clone(), key: KEY.into(), to: "1".into() }],
        });
    Ok(())
}
