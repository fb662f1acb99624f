use crate::model::join_evidence::{message, progress};
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::log::Line;
use facts::network::Network;
use facts::swarm::LocalState;
use facts::way_in::WayIn;
use facts::{Gap, Host, Seen, Why};

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
    caused_by "host/disk-full", "swarm/local-advertise-addr", "host/firewall-drops-swarm", "network/port-taken", "network/gossip-port-blocked", "network/manager-port-blocked",
        "swarm/removed-from-swarm";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    if let Some(ingress) = networks.iter().find(|network| network.ingress) {
        return off_it(host, networks, ingress, out);
    }
    let info = host.info.get()?;
    if info.swarm.state != LocalState::Active {
        let reason = format!("the node's swarm state is {}", info.swarm.state.as_str());
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
                finding.with(Evidence::absent(services, "no service publishes a port through the mesh now"));
            }
            false => {
                finding.with(Evidence::value(
                    services,
                    format!("publish through the mesh: {}", publishing.join(", ")),
                ));
            }
        }
    }
    finding.remedy(Remedy {
        title: "Create the ingress network".into(),
        risk: Risk::Safe,
        impact: "published ports begin to answer".into(),
        steps: vec![Step::CreateIngress { node: host.name.clone() }],
    });
    Ok(())
}

/// A manager lists the network though it could not be made there, and then has no endpoint on it.
fn off_it(host: &Host, networks: &Seen<Vec<Network>>, ingress: &Network, out: &mut Findings<'_>) -> Judged {
    if ingress.peers.is_none() || !ingress.endpoints.is_empty() {
        return Ok(());
    }
    let log = host.log.get()?;
    // Without a complaint it was made anew, and comes with the first task that publishes a port.
    let Some(line) = WayIn::of(log).filter(|join| join.missing.is_none()).and_then(|join| join.trouble)
    else {
        return Ok(());
    };
    let summary = format!("this node has no part in the ingress network: {}", message(line));
    let shown = format!("{} has no endpoint here", ingress.name);
    out.report(Subject::Node(host.name.clone()), summary, Evidence::absent(networks, shown))
        .with(Evidence::log(log, line))
        .remedy(remedy(host, &message(line)));
    Ok(())
}

/// How long a join may take before it counts as stuck.
const JOIN_SECONDS: i64 = 60;

fn worker(host: &Host, view: &View<'_>, first: Evidence, out: &mut Findings<'_>) -> Judged {
    let log = host.log.get()?;
    // Where no step of a join is missing and nothing failed, the network was made anew, and comes with the first task
    // that publishes a port.
    let Some(join) = WayIn::of(log) else { return Ok(()) };
    let summary = "this worker has no ingress network";
    let subject = Subject::Node(host.name.clone());
    let finding = match (join.trouble, join.missing, join.reached) {
        (Some(line), _, _) => {
            let summary = format!("{summary}: {}", message(line));
            out.report(subject, summary, first).with(Evidence::log(log, line))
        }
        (None, Some((_, words)), Some((_, line))) if older(line, view, JOIN_SECONDS) => out
            .report(subject, format!("{summary}: {}", progress(&join)), first)
            .with(Evidence::log(log, line))
            .with(Evidence::absent(log, format!("no line \"{words}\" after that")))
            .confidence(Confidence::Medium),
        _ => return Ok(()),
    };
    let words = join.trouble.map(message).unwrap_or_default();
    finding.remedy(remedy(host, &words));
    Ok(())
}

/// What to do, by what the engine says.
fn remedy(host: &Host, words: &str) -> Remedy {
    let by_hand = |text: &str, commands: &[&str]| Step::Manual {
        node: host.name.clone(),
        text: text.to_owned(),
        commands: commands.iter().map(|command| (*command).to_owned()).collect(),
    };
    let first = if words.contains("same bridge name") {
        by_hand(
            "remove the network that has the bridge docker_gwbridge and another name",
            &[
                "docker network ls --quiet --filter driver=bridge | xargs docker network inspect --format '{{.Name}} \
                 {{index .Options \"com.docker.network.bridge.name\"}}' | grep docker_gwbridge",
                "docker network rm NAME",
            ],
        )
    } else if words.contains("external connectivity network") {
        by_hand(
            "make docker_gwbridge by hand with a subnet that nobody has, for the engine found none among its address \
             pools",
            &[
                "docker network create --subnet 10.201.0.0/24 --opt com.docker.network.bridge.name=docker_gwbridge --opt \
               com.docker.network.bridge.enable_icc=false --opt \
               com.docker.network.bridge.enable_ip_masquerade=true docker_gwbridge",
            ],
        )
    } else if words.contains("vxlan interface: file exists") {
        by_hand(
            "remove the VXLAN interface that was left over",
            &["ip -d link show type vxlan", "ip link del NAME"],
        )
    } else {
        by_hand(
            "see that nothing else holds 7946 and that the managers' 7946 answers",
            &["swarm-doctor run -v"],
        )
    };
    Remedy {
        title: "Let the node finish joining".into(),
        risk: Risk::Disruptive,
        impact: "the tasks of this node restart".into(),
        steps: vec![first, Step::RestartEngine { node: host.name.clone() }],
    }
}

fn older(line: &Line, view: &View<'_>, seconds: i64) -> bool {
    line.at.is_some_and(|at| view.snapshot.taken.as_second() - at.as_second() > seconds)
}
