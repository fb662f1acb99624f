use super::advice;
use crate::{Evidence, Findings, Judged, Subject, View};
use facts::Host;
use facts::swarm::LocalState;

check! {
    /// `network-diagnostic-port` is set in daemon.json.
    ///
    /// ## Why it matters
    /// The diagnostic server answers HTTP without authentication and can change the network database: joins, leaves, entries.
    ///
    /// ## How to fix it
    /// Remove the key, and reload the engine.
    ///
    /// ## When it is wrong
    /// While a problem is examined with it.
    ///
    /// Source: moby `libnetwork/diagnostic/server.go`; moby docs "Troubleshooting swarm networks".
    "posture/diagnostic-port": Warning, "the diagnostic server of gossip is on";
    healthy "the diagnostic server of gossip is off";
    needs DaemonJson, Info;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    if host.info.get()?.swarm.state != LocalState::Active {
        return Ok(());
    }
    let file = host.daemon_json.get()?;
    let key = file.value.as_ref().and_then(|file| file.key("network-diagnostic-port"));
    let port = key.and_then(|port| port.as_u64()).unwrap_or(0);
    if port != 0 {
        let summary = format!("the diagnostic server of gossip on {} listens on port {port}", host.name);
        let shown = format!("\"network-diagnostic-port\": {port}");
        out.report(Subject::Node(host.name.clone()), summary, Evidence::value(file, shown)).remedy(advice(
            host.name.clone().into(),
            "Turn the diagnostic server off",
            "remove network-diagnostic-port from daemon.json, and reload the engine",
            vec![host.engine_service().command("reload")],
        ));
    }
    Ok(())
}
