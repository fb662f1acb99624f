use crate::model::reachability::GOSSIP_PORT;
use crate::{Evidence, Findings, Flow, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::Host;
use facts::host::{Listener, Owner, Protocol};
use facts::swarm::LocalState;

check! {
    /// Another program listens on a port that swarm needs.
    ///
    /// ## Why it matters
    /// The engine cannot listen on the port: without 2377 a manager takes no part in raft, without 7946 neither gossip
    /// nor the ingress network starts, without 4789 no overlay carries packets. On a host that is not in a swarm, `docker
    /// swarm init` and `docker swarm join` fail.
    ///
    /// ## How to fix it
    /// Stop the other program or change its port, then restart the engine.
    ///
    /// ## When it is wrong
    /// A program on a worker may use 2377, which only managers need; the check ignores it.
    ///
    /// Source: moby `libnetwork/agent.go`, memberlist `net_transport.go`.
    "network/port-taken": Error, "another program listens on a port of the swarm";
    healthy "no other program listens on the ports of the swarm";
    needs Sockets, EngineProcess, Info, SwarmState, Certificates, Overlays, Join;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let listeners = host.listeners.get()?;
    let engine = host.engine.get();
    let engine_pid =
        engine.as_ref().ok().and_then(|engine| engine.process.as_ref()).map(|process| process.pid);
    let (member, manager) = membership(host);
    let data_path = host.data_path_port();
    let mut wanted = vec![
        (Protocol::Tcp, GOSSIP_PORT, "gossip"),
        (Protocol::Udp, GOSSIP_PORT, "gossip"),
        (Protocol::Udp, data_path, "VXLAN"),
    ];
    if manager || !member {
        wanted.insert(0, (Protocol::Tcp, 2377, "the manager API"));
    }
    let mut unclear = false;
    for (protocol, port, purpose) in wanted {
        let holders = listeners.iter().filter(|l| l.protocol == protocol && l.port == port);
        let mut reported = false;
        for Listener { addr, owner, .. } in holders {
            let (pid, name) = match owner {
                Owner::Process { pid, name } => (*pid, name),
                Owner::Kernel => continue,
                Owner::Unknown => {
                    // The kernel's VXLAN socket belongs to no process, and looks like a socket that we may not inspect.
                    unclear |= port != data_path;
                    continue;
                }
            };
            let is_engine =
                Some(pid) == engine_pid || name.starts_with("dockerd") || name.starts_with("docker-current");
            if is_engine || reported {
                continue;
            }
            reported = true;
            let summary = format!("{name} (pid {pid}) listens on {port}/{protocol}, the port of {purpose}");
            let shown = format!("{protocol} {addr}:{port}: pid {pid}, {name}");
            let finding =
                out.report(Subject::Node(host.name.clone()), summary, Evidence::value(listeners, shown));
            // Gossip is a condition of every overlay; the other ports stand for themselves.
            if port != GOSSIP_PORT {
                finding.explains(Flow { protocol, port });
            }
            if !member && host.join.get().is_err() {
                finding.severity(Severity::Warning);
            }
            finding.remedy(Remedy {
                title: format!("Free {port}/{protocol} on {}", host.name).into(),
                risk: Risk::Disruptive,
                impact: "the other program is interrupted, and all tasks on this node restart".into(),
                steps: vec![
                    Step::Manual {
                        node: host.name.clone().into(),
                        text: format!("stop {name} or change its port"),
                        commands: vec![format!("ps -fp {pid}")],
                    },
                    Step::RestartEngine { node: host.name.clone().into() },
                ],
            });
        }
    }
    if unclear {
        // Without root the owner of a socket is unknown.
        engine?;
        let source = listeners.source.clone();
        let what = "the owner of a socket is visible to root only".to_owned();
        return Err(facts::Gap { source, why: facts::Why::Denied { what } });
    }
    Ok(())
}

/// Whether this node is in a swarm, and whether it is a manager: from the engine, else from its files.
fn membership(host: &Host) -> (bool, bool) {
    match host.info.get() {
        Ok(info) if info.swarm.state == LocalState::Active => (true, info.swarm.control_available),
        Ok(info) => (info.swarm.state != LocalState::Inactive, host.certified_manager().unwrap_or(false)),
        Err(_) => {
            let written = host.swarm_state.get().is_ok_and(|state| state.is_some());
            (written, host.certified_manager().unwrap_or(false))
        }
    }
}
