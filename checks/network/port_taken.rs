use super::reach::GOSSIP_PORT;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::Host;
use facts::host::{Listener, Owner, Protocol};
use facts::swarm::LocalState;

check! {
    /// Another program holds a port that swarm needs.
    ///
    /// ## Why it matters
    /// The engine cannot listen: without 2377 a manager takes no part in raft, without 7946 gossip and with it
    /// the ingress network never come, without 4789 no overlay carries a packet. On a machine that is not in a
    /// swarm yet, creating or joining one fails.
    ///
    /// ## How to fix it
    /// Stop or move the other program, then restart the engine.
    ///
    /// ## When it is wrong
    /// On a worker a program may hold 2377, and the doctor says nothing; it is a manager's port.
    ///
    /// Source: moby `libnetwork/agent.go`, memberlist `net_transport.go`.
    "network/port-taken": Error, "another program holds a port of the swarm";
    needs Sockets, EngineProcess, Info, SwarmState, Certificates, Overlays, Join;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let listeners = host.listeners.get()?;
    let engine = host.engine.get();
    let engine_pid =
        engine.as_ref().ok().and_then(|engine| engine.process.as_ref()).map(|process| process.pid);
    let (member, manager) = standing(host);
    let data_path = host.data_path_port();
    let mut wanted = vec![
        (Protocol::Tcp, GOSSIP_PORT, "gossip"),
        (Protocol::Udp, GOSSIP_PORT, "gossip"),
        (Protocol::Udp, data_path, "the overlays"),
    ];
    if manager || !member {
        wanted.insert(0, (Protocol::Tcp, 2377, "the managers"));
    }
    let mut unclear = false;
    for (protocol, port, whose) in wanted {
        let holders = listeners.iter().filter(|l| l.protocol == protocol && l.port == port);
        let mut told = false;
        for Listener { addr, owner, .. } in holders {
            let (pid, name) = match owner {
                Owner::Process { pid, name } => (*pid, name),
                Owner::Kernel => continue,
                Owner::Unknown => {
                    // The kernel's own VXLAN socket is in no process, and cannot be told from one that is hidden.
                    unclear |= port != data_path;
                    continue;
                }
            };
            let engines =
                Some(pid) == engine_pid || name.starts_with("dockerd") || name.starts_with("docker-current");
            if engines || told {
                continue;
            }
            told = true;
            let summary = format!("{name} (pid {pid}) holds {port}/{protocol}, the port of {whose}");
            let shown = format!("{protocol} {addr}:{port} is held by pid {pid}, {name}");
            let finding =
                out.report(Subject::Node(host.name.clone()), summary, Evidence::value(listeners, shown));
            if !member && host.join.get().is_err() {
                finding.severity(Severity::Warning);
            }
            finding.remedy(Remedy {
                title: format!("Free {port}/{protocol}").into(),
                risk: Risk::Disruptive,
                impact: "the other program is interrupted, and the tasks of this node restart".into(),
                steps: vec![
                    Step::Manual {
                        node: host.name.clone(),
                        text: format!("see what {name} is, and stop it or give it another port"),
                        commands: vec![format!("ps -fp {pid}")],
                    },
                    Step::RestartEngine { node: host.name.clone() },
                ],
            });
        }
    }
    if unclear {
        // Without the right to look into other processes a port's holder stays unknown.
        engine?;
        let source = listeners.source.clone();
        let what = "who holds a port may be seen by root alone".to_owned();
        return Err(facts::Gap { source, why: facts::Why::Denied { what } });
    }
    Ok(())
}

/// Whether this node is in a swarm, and a manager there, from whoever can say.
fn standing(host: &Host) -> (bool, bool) {
    match host.info.get() {
        Ok(info) if info.swarm.state == LocalState::Active => (true, info.swarm.control_available),
        Ok(info) => (info.swarm.state != LocalState::Inactive, host.certified_manager().unwrap_or(false)),
        Err(_) => {
            let written = host.swarm_state.get().is_ok_and(|state| state.is_some());
            (written, host.certified_manager().unwrap_or(false))
        }
    }
}
