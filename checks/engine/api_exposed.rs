use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::engine::Process;
use facts::host::{Listener, Owner, Protocol};
use facts::{Gap, Host, Why};
use std::net::SocketAddr;

check! {
    /// The engine exposes its API over TCP without authentication.
    ///
    /// ## Why it matters
    /// A client of the API has root access to the host, and on a manager to the whole swarm. Scanners find such a port
    /// within hours.
    ///
    /// ## How to fix it
    /// Let the engine listen on its unix socket only, and use SSH from other hosts (`docker context create --docker
    /// host=ssh://…`); or require client certificates with `--tlsverify` on port 2376.
    ///
    /// ## When it is wrong
    /// Where a firewall admits one trusted host only.
    ///
    /// Source: Docker docs "Protect the Docker daemon socket"; moby `cmd/dockerd/daemon.go` (`loadListeners` warns of it).
    "engine/api-exposed": Warning, "the Docker API is exposed over TCP without authentication";
    healthy "the Docker API is not exposed without authentication";
    needs Sockets, EngineProcess, DaemonJson;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let engine = host.engine.get()?;
    let Some(process) = engine.running() else { return Ok(()) };
    if process.args.is_empty() {
        return Err(Gap {
            source: engine.source.clone(),
            why: Why::Denied { what: "dockerd's arguments".into() },
        });
    }
    let listeners = host.listeners.get()?;
    let open: Vec<SocketAddr> = listeners
        .iter()
        .filter(|one| is_api(one, process))
        .map(|one| SocketAddr::new(one.addr, one.port))
        .collect();
    let Some(first) = open.first().filter(|_| !verifies_clients(host, process).unwrap_or(true)) else {
        return if open.is_empty() { Ok(()) } else { verifies_clients(host, process).map(drop) };
    };
    let summary =
        format!("dockerd (pid {}) exposes the Docker API at {first} without authentication", process.pid);
    let finding = out.report(
        Subject::Node(host.name.clone()),
        summary,
        Evidence::value(listeners, format!("dockerd listens at {first}/tcp")),
    );
    finding.with(Evidence::value(engine, "neither its flags nor daemon.json turn on tlsverify"));
    finding.remedy(Remedy {
        title: "Require client certificates, or remove the TCP address".into(),
        risk: Risk::Disruptive,
        impact: "Clients on other hosts need a certificate or SSH. The restart stops the tasks of this node.".into(),
        steps: vec![Step::Manual {
            node: host.name.clone().into(),
            text: "remove the tcp:// address from \"hosts\" in daemon.json or from the flags of dockerd, or set tlsverify with \
                   a CA, a certificate and its key; then restart the engine"
                .into(),
            commands: vec![host.engine_service().command("restart")],
        }],
    });
    Ok(())
}

/// Whether a socket of dockerd serves the API to other hosts: one on an API port, or on a port that a flag names. Its other
/// sockets belong to services.
fn is_api(one: &Listener, process: &Process) -> bool {
    let own = matches!(one.owner, Owner::Process { pid, .. } if pid == process.pid);
    let named =
        || process.args.iter().any(|arg| arg.contains("tcp://") && arg.ends_with(&format!(":{}", one.port)));
    own && one.protocol == Protocol::Tcp
        && !one.addr.is_loopback()
        && (matches!(one.port, 2375 | 2376) || named())
}

/// Whether the engine requires client certificates.
fn verifies_clients(host: &Host, process: &Process) -> Result<bool, Gap> {
    if let Some(on) = process.switched_on("tlsverify") {
        return Ok(on);
    }
    let file = host.daemon_json.get()?;
    let verifies = file.value.as_ref().and_then(|file| file.key("tlsverify")?.as_bool());
    Ok(verifies.unwrap_or(false))
}
