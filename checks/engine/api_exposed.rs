use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::engine::Process;
use facts::host::{Listener, Owner, Protocol};
use facts::{Gap, Host, Why};
use std::net::SocketAddr;

check! {
    /// The engine's API takes commands from the network without asking who sends them.
    ///
    /// ## Why it matters
    /// Whoever may speak to the API is root on the machine, and on a manager the master of the swarm. Scanners find
    /// such a port within hours.
    ///
    /// ## How to fix it
    /// Let the engine listen on its socket alone, and reach it from elsewhere by SSH (`docker context create --docker
    /// host=ssh://…`); or have it ask for client certificates with `--tlsverify` on 2376.
    ///
    /// ## When it is wrong
    /// Where a packet filter lets one trusted machine through and nobody else.
    ///
    /// Source: Docker docs "Protect the Docker daemon socket"; moby `cmd/dockerd/daemon.go` (`loadListeners` warns of it).
    "engine/api-exposed": Warning, "the engine takes commands from the network without asking who sends them";
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
    let Some(first) = open.first().filter(|_| !asks(host, process).unwrap_or(true)) else {
        return if open.is_empty() { Ok(()) } else { asks(host, process).map(drop) };
    };
    let summary = format!("dockerd (pid {}) takes commands from anyone who reaches {first}", process.pid);
    let finding = out.report(
        Subject::Node(host.name.clone()),
        summary,
        Evidence::value(listeners, format!("dockerd listens at {first}/tcp")),
    );
    finding.with(Evidence::value(engine, "neither its flags nor daemon.json turn tlsverify on"));
    finding.remedy(Remedy {
        title: "Let the engine ask who commands it".into(),
        risk: Risk::Disruptive,
        impact: "clients that come over the network need a certificate, or SSH, from then on".into(),
        steps: vec![Step::Manual {
            node: host.name.clone(),
            text: "take the tcp:// address out of \"hosts\" in daemon.json or out of dockerd's flags, or add tlsverify with \
                   a CA, a certificate and its key; then restart the engine"
                .into(),
            commands: vec!["systemctl restart docker".into()],
        }],
    });
    Ok(())
}

/// Whether a socket is the engine's API, open to others: of its own sockets those on the ports of the API, or on one that a
/// flag names. The others are ports of services.
fn is_api(one: &Listener, process: &Process) -> bool {
    let own = matches!(one.owner, Owner::Process { pid, .. } if pid == process.pid);
    let named =
        || process.args.iter().any(|arg| arg.contains("tcp://") && arg.ends_with(&format!(":{}", one.port)));
    own && one.protocol == Protocol::Tcp
        && !one.addr.is_loopback()
        && (matches!(one.port, 2375 | 2376) || named())
}

/// Whether the engine asks its callers for a certificate.
fn asks(host: &Host, process: &Process) -> Result<bool, Gap> {
    if let Some(on) = process.switched_on("tlsverify") {
        return Ok(on);
    }
    let file = host.daemon_json.get()?;
    let config = file.value.as_ref().and_then(|file| file.parsed.as_ref().ok());
    Ok(config.and_then(|config| config.get("tlsverify")?.as_bool()).unwrap_or(false))
}
