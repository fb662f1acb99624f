use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::Host;
use facts::join_progress::since_start;
use facts::log::{Line, Log};
use facts::network::Network;

check! {
    /// The ingress network was removed from the swarm, and this node still has it.
    ///
    /// ## Why it matters
    /// `docker network rm ingress` removes the network from the swarm at once. A node that still has an endpoint on it fails
    /// to delete it and does not try again. Then `docker network ls` lists the network, `docker service create --publish`
    /// fails with "no ingress network is present", and `docker network create --ingress` fails with "already exists".
    ///
    /// ## How to fix it
    /// Restart the engine of every node that still has the network, then create the ingress network on a manager.
    ///
    /// ## When it is wrong
    /// If the network was deleted by hand after the failure and the list of networks is older.
    ///
    /// Source: moby `daemon/network.go` (`releaseIngress`), `daemon/cluster/executor/container/executor.go`.
    "network/ingress-half-removed": Error, "the ingress network was removed only in part";
    healthy "the ingress network was not removed in part";
    needs Networks, EngineLog, Info;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    let log = host.log.get()?;
    let remains = networks.iter().filter(|network| network.ingress);
    let Some((network, line)) =
        remains.filter_map(|network| Some((network, failed_removal(log, network)?))).next()
    else {
        return Ok(());
    };
    let summary = format!(
        "the ingress network was removed from the swarm, and {} still has it: publishing ports fails, and so does creating the \
         network again",
        host.name
    );
    let endpoints = match network.endpoints.as_slice() {
        [] => "no endpoint on this node".to_owned(),
        some => format!("endpoints {}", some.join(", ")),
    };
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, line));
    finding.with(Evidence::value(networks, format!("{} {}: {endpoints}", network.name, network.id)));
    let manager = view.manager().map_or(Target::AnyManager, Target::Node);
    finding.remedy(Remedy {
        title: format!("Restart the engine of {}, then create the ingress network", host.name).into(),
        risk: Risk::Disruptive,
        impact: "all tasks on this node restart".into(),
        steps: vec![
            Step::RestartEngine { node: host.name.clone().into() },
            Step::Manual {
                node: manager,
                text: "after every node that still has the network restarted its engine, create the network"
                    .into(),
                commands: vec!["docker network create --driver overlay --ingress ingress".into()],
            },
        ],
    });
    Ok(())
}

/// The line in which the engine failed to delete this very network, if the network was created before it.
fn failed_removal<'a>(log: &'a Log, network: &Network) -> Option<&'a Line> {
    let start = format!("Failed to delete ingress network {}", network.id);
    let line = since_start(log).iter().rev().find(|line| line.message.starts_with(&start))?;
    let older = line.at.zip(network.created).is_some_and(|(at, created)| at < created);
    (!older).then_some(line)
}
