use crate::network::blocked::story;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, View};
use facts::Host;
use facts::join::{Found, Manager};
use facts::link::Outcome;
use facts::swarm::MANAGER_PORT;

check! {
    /// The manager that is to be joined cannot be reached.
    ///
    /// ## Why it matters
    /// A join to a port that refuses fails after 10 s. One to a port that drops says "Timeout was reached before
    /// node joined" after 20 s, goes on in the background, and leaves the node in state pending, then in error.
    ///
    /// ## How to fix it
    /// A port that refuses while 7946 answers is that of a worker: name a manager. Else see whether the engine there
    /// runs, and open 2377/tcp in the firewalls between.
    ///
    /// ## When it is wrong
    /// Where a manager listens on another port than 2377: name it, `ADDRESS:PORT`.
    ///
    /// Source: swarmkit `ca/certificates.go`, moby `daemon/cluster/swarm.go`.
    "join/manager-unreachable": Error, "the manager to join cannot be reached";
    needs Join;
    caused_by "join/own-address", "join/already-a-member";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let join = host.join.get()?;
    let manager = match &join.found {
        Found::At(manager) => manager,
        Found::Nowhere { what } => {
            let summary = format!("the name of the manager, {}, has no address", join.target);
            let shown = format!("looking up {}: {what}", join.target);
            out.report(super::way(host, join), summary, Evidence::value(join, shown))
                .remedy(name_a_manager());
            return Ok(());
        }
    };
    if manager.port == Outcome::Open {
        return Ok(());
    }
    let port = manager.addr.port();
    let answers = matches!(manager.gossip, Outcome::Open | Outcome::Refused { .. });
    let (why, remedy) = match (&manager.port, &manager.gossip) {
        (Outcome::Unreachable { .. }, _) if manager.from.is_none() => {
            ("out of reach: this machine has no route to it", find_a_route(host, manager))
        }
        (Outcome::Refused { .. }, Outcome::Open) if port == MANAGER_PORT => (
            "refused while 7946/tcp answers: the node is a worker, or a firewall rejects it",
            name_a_manager(),
        ),
        (Outcome::Refused { .. }, Outcome::Refused { .. }) => (
            "refused, and so is 7946/tcp: no engine of a swarm runs there, or a firewall rejects both",
            bring_back(),
        ),
        (Outcome::Filtered, _) if !answers => {
            ("silent, and so is 7946/tcp: the machine is off, or all is dropped on the way", bring_back())
        }
        (outcome, _) => (story(outcome), super::open(host, manager, outcome, port)),
    };
    let summary = format!("{port}/tcp of {} is {why}", manager.addr.ip());
    let shown = format!("{port}/tcp {}, 7946/tcp {}", manager.port, manager.gossip);
    out.report(super::way(host, join), summary, Evidence::value(join, shown)).remedy(remedy);
    Ok(())
}

/// What to do where the one who was named is none, or nobody.
pub(super) fn name_a_manager() -> Remedy {
    Remedy {
        title: "Name a manager of the swarm".into(),
        risk: Risk::Safe,
        impact: "nothing that runs is touched".into(),
        steps: vec![Step::Manual {
            node: "a node of the swarm".into(),
            text: "list the managers: on a manager by their status, on a worker by the addresses it knows"
                .into(),
            commands: vec![
                "docker node ls --filter role=manager".into(),
                "docker info --format '{{json .Swarm.RemoteManagers}}'".into(),
            ],
        }],
    }
}

fn find_a_route(host: &Host, manager: &Manager) -> Remedy {
    Remedy {
        title: "Find a way to the manager, or another address of it".into(),
        risk: Risk::Manual,
        impact: "a new route may carry other traffic as well".into(),
        steps: vec![Step::Manual {
            node: host.name.clone(),
            text: "see the routes, and compare the address with those that the manager has".into(),
            commands: vec!["ip route".into(), format!("ip route get {}", manager.addr.ip())],
        }],
    }
}

fn bring_back() -> Remedy {
    Remedy {
        title: "See whether the manager runs, or name another".into(),
        risk: Risk::Safe,
        impact: "looking changes nothing".into(),
        steps: vec![Step::Manual {
            node: "the manager that was named".into(),
            text: "see whether its engine runs and is in the swarm, and what its firewall lets in".into(),
            commands: vec!["systemctl status docker".into(), "swarm-doctor run".into()],
        }],
    }
}
