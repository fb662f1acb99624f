use crate::model::join_evidence::{message, progress};
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::join_progress::JoinProgress;
use facts::log::Line;
use facts::network::Network;
use facts::swarm::LocalState;
use facts::{Gap, Host, Seen, Why};

check! {
    /// The ingress network is missing, so that no port is published through the ingress routing mesh.
    ///
    /// ## Why it matters
    /// Ports published in ingress mode need the ingress network. If the swarm has none, publishing fails with "no ingress
    /// network is present". If a single worker has none, published ports do not answer on it; that node did not finish
    /// joining: its gossip did not start, or `docker_gwbridge` could not be created.
    ///
    /// ## How to fix it
    /// If the swarm has none, create it on a manager. If a worker has none, free or open its gossip port, then restart its
    /// engine; as a last resort leave and join again.
    ///
    /// ## When it is wrong
    /// On a worker the network is absent after it was re-created, until the first task with a published port arrives. The
    /// check reports nothing then, because the log has no failure.
    ///
    /// Source: moby `daemon/network.go`, `daemon/cluster/executor/container/executor.go`,
    /// `libnetwork/default_gateway_linux.go`; moby#40184.
    "network/ingress-missing": Error, "the ingress network is missing";
    healthy "the ingress network is present";
    needs Networks, Info, Services, EngineLog;
    caused_by "host/kernel-updated-no-reboot", "host/vxlan-missing", "host/br-netfilter-missing", "network/vxlan-conflict", "host/disk-full", "swarm/local-advertise-addr", "host/firewall-drops-swarm", "network/port-taken", "network/gossip-port-blocked", "network/manager-port-blocked",
        "swarm/removed-from-swarm";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    if let Some(ingress) = networks.iter().find(|network| network.ingress) {
        return without_endpoint(host, networks, ingress, out);
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
        // A manager without a leader lists only the networks on itself.
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
        if publishing.is_empty() {
            finding.severity(Severity::Warning);
            finding.with(Evidence::absent(services, "no service publishes a port in ingress mode"));
        } else {
            let shown = format!("services that publish a port in ingress mode: {}", publishing.join(", "));
            finding.with(Evidence::value(services, shown));
        }
    }
    finding.remedy(Remedy {
        title: "Create the ingress network".into(),
        risk: Risk::Safe,
        impact: "published ports start to answer".into(),
        steps: vec![Step::CreateIngress { node: host.name.clone().into() }],
    });
    Ok(())
}

/// A manager lists the network even if it failed to join it; then it has no endpoint on it.
fn without_endpoint(
    host: &Host,
    networks: &Seen<Vec<Network>>,
    ingress: &Network,
    out: &mut Findings<'_>,
) -> Judged {
    if ingress.peers.is_none() || !ingress.endpoints.is_empty() {
        return Ok(());
    }
    let log = host.log.get()?;
    // Without a failure the network was re-created, and the endpoint comes with the first task that publishes a port.
    let failed = JoinProgress::of(log).filter(|join| join.missing.is_none()).and_then(|join| join.error);
    let Some(line) = failed.filter(|line| !is_older_than(line, ingress)) else {
        return Ok(());
    };
    let summary = format!("this node has no endpoint on the ingress network: {}", message(line));
    let shown = format!("{}: no endpoint on this node", ingress.name);
    out.report(Subject::Node(host.name.clone()), summary, Evidence::absent(networks, shown))
        .with(Evidence::log(log, line))
        .remedy(remedy(host, &message(line)));
    Ok(())
}

/// Whether the network was created after the line, which then is about a network that was removed.
fn is_older_than(line: &Line, network: &Network) -> bool {
    line.at.zip(network.created).is_some_and(|(at, created)| at < created)
}

/// How many seconds a join may take.
const JOIN_SECONDS: i64 = 60;

fn worker(host: &Host, view: &View<'_>, first: Evidence, out: &mut Findings<'_>) -> Judged {
    let log = host.log.get()?;
    // If no step of the join is missing and nothing failed, the network was re-created, and it comes with the first task
    // that publishes a port.
    let Some(join) = JoinProgress::of(log) else { return Ok(()) };
    // Another node that was examined with this one may list a network that is newer than the failure.
    let elsewhere = view.snapshot.hosts.iter().filter_map(|other| other.networks.get().ok());
    let mut current = elsewhere.flat_map(|networks| networks.iter()).filter(|network| network.ingress);
    if join.error.is_some_and(|line| current.any(|network| is_older_than(line, network))) {
        return Ok(());
    }
    let summary = "this worker has no ingress network";
    let subject = Subject::Node(host.name.clone());
    // A step that is absent from the log proves nothing where lines are missing.
    if join.error.is_none() && join.missing.is_some() {
        facts::log::Log::gap_since(log, join.reached.and_then(|(_, line)| line.at))?;
    }
    let finding = match (join.error, join.missing, join.reached) {
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
    let words = join.error.map(message).unwrap_or_default();
    finding.remedy(remedy(host, &words));
    Ok(())
}

/// The remedy for the error that the engine logged.
fn remedy(host: &Host, error: &str) -> Remedy {
    let manual = |text: &str, commands: &[&str]| Step::Manual {
        node: host.name.clone().into(),
        text: text.to_owned(),
        commands: commands.iter().map(|command| (*command).to_owned()).collect(),
    };
    let (title, first) = if error.contains("same bridge name") {
        (
            "Remove the network that uses the bridge docker_gwbridge",
            manual(
                "remove the network that has another name and uses the bridge docker_gwbridge",
                &[
                    "docker network ls --quiet --filter driver=bridge | xargs docker network inspect --format '{{.Name}} \
                     {{index .Options \"com.docker.network.bridge.name\"}}' | grep docker_gwbridge",
                    "docker network rm NAME",
                ],
            ),
        )
    } else if error.contains("br_netfilter") || error.contains("bridge-nf-call") {
        (
            "Load the br_netfilter kernel module",
            manual(
                "load the module now and at every boot: docker_gwbridge needs it",
                &["modprobe br_netfilter", "echo br_netfilter > /etc/modules-load.d/br_netfilter.conf"],
            ),
        )
    } else if error.contains("address pool") {
        (
            "Create docker_gwbridge with a free subnet",
            manual(
                "create docker_gwbridge with a free subnet, because the engine's address pools are exhausted",
                &[
                    "docker network create --subnet 10.201.0.0/24 --opt com.docker.network.bridge.name=docker_gwbridge --opt \
                   com.docker.network.bridge.enable_icc=false --opt \
                   com.docker.network.bridge.enable_ip_masquerade=true docker_gwbridge",
                ],
            ),
        )
    } else if error.contains("external connectivity network") {
        (
            "Fix the error that prevents docker_gwbridge",
            manual(
                "fix the error that the engine logged for docker_gwbridge (the text after \"external connectivity network\")",
                &[
                    "journalctl -u docker | grep 'external connectivity network'",
                    "docker network inspect docker_gwbridge",
                ],
            ),
        )
    } else if error.contains("vxlan interface: file exists") {
        (
            "Delete the stale VXLAN interface",
            manual("delete the stale VXLAN interface", &["ip -d link show type vxlan", "ip link del NAME"]),
        )
    } else {
        (
            "Free and open port 7946",
            manual(
                "check that no other program uses 7946 and that 7946 of the managers is open",
                &["sudo swarm-doctor run -v"],
            ),
        )
    };
    Remedy {
        title: format!("{title}, then restart the engine").into(),
        risk: Risk::Disruptive,
        impact: "all tasks on this node restart".into(),
        steps: vec![first, Step::RestartEngine { node: host.name.clone().into() }],
    }
}

fn older(line: &Line, view: &View<'_>, seconds: i64) -> bool {
    line.at.is_some_and(|at| view.snapshot.taken.as_second() - at.as_second() > seconds)
}
