use crate::{Certainty, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::swarm::LocalState;
use facts::{Gap, Host, Why};

check! {
    /// There is no ingress network, so no port is published through the routing mesh.
    ///
    /// ## Why it matters
    /// Swarm's published ports live on the ingress network. When the swarm has none, publishing fails with "no
    /// ingress network is present". When only a worker has none, ports do not listen there; that node never
    /// finished joining: its gossip did not start, or its bridge could not be made.
    ///
    /// ## How to fix it
    /// Where the swarm has none, create it on a manager. Where one worker has none, free or open its gossip
    /// port, then restart its engine; at last leave and join.
    ///
    /// ## When it is wrong
    /// On a worker, after the ingress network was made anew and before the first task with a published port
    /// came; the doctor then speaks of a hint.
    ///
    /// Source: moby `daemon/network.go`, `daemon/cluster/executor/container/executor.go`; moby#40184.
    "network/ingress-missing": Error, "the ingress network is missing";
    needs Networks, Info, Services, EngineLog;
    caused_by "network/port-taken", "network/gossip-port-blocked", "network/manager-port-blocked";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    if networks.iter().any(|network| network.ingress) {
        return Ok(());
    }
    let info = host.info.get()?;
    if info.swarm.state != LocalState::Active {
        let reason = format!("the node's swarm state is {}", info.swarm.state.word());
        return Err(Gap { source: info.source.clone(), why: Why::NotApplicable { reason } });
    }
    let names = networks.iter().map(|network| network.name.as_str()).collect::<Vec<_>>().join(", ");
    let first = Evidence::absent(networks, format!("no network with Ingress: true among {names}"));
    if info.swarm.control_available { cluster(host, view, first, out) } else { worker(host, first, out) }
}

fn cluster(host: &Host, view: &View<'_>, first: Evidence, out: &mut Findings<'_>) -> Judged {
    let finding = out.report(Subject::Cluster, "the swarm has no ingress network", first);
    let services = view.snapshot.services.get();
    let publishing: Vec<_> = services
        .iter()
        .flat_map(|services| services.iter())
        .filter(|service| service.ports.iter().any(|port| port.ingress))
        .map(|service| service.name.clone())
        .collect();
    if let Ok(services) = &services {
        match publishing.is_empty() {
            true => {
                finding.severity(Severity::Warning);
                finding.and(Evidence::absent(services, "no service publishes a port through the mesh now"));
            }
            false => {
                finding.and(Evidence::value(
                    services,
                    format!("publish through the mesh: {}", publishing.join(", ")),
                ));
            }
        }
    }
    finding.remedy(Remedy {
        title: "Create the ingress network".into(),
        risk: Risk::Harmless,
        impact: "published ports begin to answer".into(),
        steps: vec![Step::ByHand {
            node: host.name.clone(),
            text: "create it on a manager; choose a subnet that no other network of yours has".into(),
            commands: vec!["docker network create --driver overlay --ingress ingress".into()],
        }],
    });
    Ok(())
}

/// What the engine of a worker says when it could not make the network.
const FAILURES: [&str; 4] = [
    "Failed creating ingress",
    "Failed getting ingress network",
    "rror in agentInit",
    "node configure failed",
];

fn worker(host: &Host, first: Evidence, out: &mut Findings<'_>) -> Judged {
    let log = host.log.get();
    let failure = log.as_ref().ok().and_then(|log| {
        log.lines.iter().rev().find(|line| FAILURES.iter().any(|failure| line.message.contains(failure)))
    });
    let finding = out.report(Subject::Node(host.name.clone()), "this worker has no ingress network", first);
    match (&log, failure) {
        (Ok(log), Some(line)) => {
            finding.and(Evidence::log(log, line));
        }
        _ => {
            finding.severity(Severity::Warning).certainty(Certainty::Hint);
        }
    }
    finding.remedy(Remedy {
        title: "Let the worker finish joining".into(),
        risk: Risk::RestartsTasks,
        impact: "the tasks of this node restart".into(),
        steps: vec![
            Step::ByHand {
                node: host.name.clone(),
                text: "see that nothing else holds 7946 and that the managers' 7946 answers".into(),
                commands: vec!["swarm-doctor run -v".into()],
            },
            Step::RestartEngine { node: host.name.clone() },
        ],
    });
    Ok(())
}
