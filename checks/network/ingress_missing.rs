use crate::{Certainty, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::log::Line;
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
    /// On a worker the network is rightly absent after it was made anew and until the first task with a published
    /// port comes. The doctor then says nothing, for nothing in the log says that making it failed.
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
    if info.swarm.control_available {
        cluster(host, view, first, out)
    } else {
        worker(host, view, first, out)
    }
}

fn cluster(host: &Host, view: &View<'_>, first: Evidence, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get();
    if let Err(gap) = &services
        && matches!(gap.why, Why::Refused { .. } | Why::TimedOut { .. })
    {
        // A manager without a leader lists what is on itself alone.
        return Err(gap.clone());
    }
    let finding = out.report(Subject::Cluster, "the swarm has no ingress network", first);
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

/// What an engine says when it starts, and 17.03 when it is told to join.
const BEGINNINGS: [&str; 2] = ["Starting up", "{Action=join,"];

/// How long a join may take before it counts as stuck.
const JOIN_SECONDS: i64 = 60;

fn worker(host: &Host, view: &View<'_>, first: Evidence, out: &mut Findings<'_>) -> Judged {
    let log = host.log.get()?;
    let began =
        log.lines.iter().rposition(|line| BEGINNINGS.iter().any(|words| line.message.contains(words)));
    let since = began.map_or(log.lines.as_slice(), |at| log.lines.get(at..).unwrap_or_default());
    let failure = since.iter().rev().find(|line| FAILURES.iter().any(|words| line.message.contains(words)));
    let gossip = since.iter().any(|line| line.message.starts_with("Initializing Libnetwork Agent"));
    let summary = "this worker has no ingress network";
    let subject = Subject::Node(host.name.clone());
    let finding = match (failure, began.and_then(|at| log.lines.get(at))) {
        (Some(line), _) => out.report(subject, summary, first).and(Evidence::log(log, line)),
        (None, Some(line)) if !gossip && older(line, view, JOIN_SECONDS) => out
            .report(subject, format!("{summary}: since it began to join, its gossip never started"), first)
            .and(Evidence::log(log, line))
            .and(Evidence::absent(log, "no line \"Initializing Libnetwork Agent\" after that"))
            .certainty(Certainty::Likely),
        // Nothing failed: the network was made anew, and comes with the first task that publishes a port.
        _ => return Ok(()),
    };
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

fn older(line: &Line, view: &View<'_>, seconds: i64) -> bool {
    line.at.is_some_and(|at| view.snapshot.taken.as_second() - at.as_second() > seconds)
}
