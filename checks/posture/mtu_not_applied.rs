use super::advice;
use crate::{Evidence, Findings, Judged, Subject, View};
use facts::Host;
use facts::swarm::LocalState;

check! {
    /// daemon.json of a swarm node sets `mtu`.
    ///
    /// ## Why it matters
    /// The key applies to the network `bridge` only. Overlay networks and docker_gwbridge keep MTU 1450 and 1500: on a path
    /// with a smaller MTU large packets are lost although the key is set.
    ///
    /// ## How to fix it
    /// Create each overlay, the ingress network and docker_gwbridge with `--opt com.docker.network.driver.mtu=SIZE`.
    ///
    /// ## When it is wrong
    /// If the overlays were created with the option.
    ///
    /// Source: moby `daemon/daemon_unix.go`, `initBridgeDriver`; Docker docs "Overlay network driver".
    "posture/mtu-not-applied": Info, "the MTU in daemon.json does not apply to overlays";
    healthy "no MTU in daemon.json is meant for overlays";
    needs DaemonJson, Info;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    if host.info.get()?.swarm.state != LocalState::Active {
        return Ok(());
    }
    let file = host.daemon_json.get()?;
    let mtu = file.value.as_ref().and_then(|file| file.key("mtu")?.as_u64());
    if let Some(mtu) = mtu.filter(|mtu| *mtu < 1500) {
        let summary = format!("\"mtu\": {mtu} on {} does not apply to overlay networks", host.name);
        out.report(
            Subject::Node(host.name.clone()),
            summary,
            Evidence::value(file, format!("\"mtu\": {mtu}")),
        )
        .remedy(advice(
            host.name.clone().into(),
            "Set the MTU of the overlay networks",
            "create the overlay networks again with the option",
            vec![format!(
                "docker network create --driver overlay --opt com.docker.network.driver.mtu={mtu} NETWORK"
            )],
        ));
    }
    Ok(())
}
