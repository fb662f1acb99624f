use crate::model::reachability::describe_outcome;
use crate::remedies::join_token::name_a_manager;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Target, View};
use facts::Host;
use facts::join::{Found, Manager};
use facts::link::Outcome;
use facts::swarm::MANAGER_PORT;

check! {
    /// The manager to join is not reachable.
    ///
    /// ## Why it matters
    /// A join to a port that refuses connections fails after 10 s. A join to a port that drops packets prints "Timeout was
    /// reached before node joined" after 20 s, continues in the background, and leaves the node in state pending, then
    /// error.
    ///
    /// ## How to fix it
    /// A host that refuses the port while 7946 answers is a worker: give the address of a manager. Otherwise check that the
    /// engine runs there, and open 2377/tcp in the firewalls on the path.
    ///
    /// ## When it is wrong
    /// When the manager listens on another port than 2377: give it as `ADDRESS:PORT`.
    ///
    /// Source: swarmkit `ca/certificates.go`, moby `daemon/cluster/swarm.go`.
    "join/manager-unreachable": Error, "the manager to join is not reachable";
    healthy "the manager to join is reachable";
    needs Join;
    caused_by "join/own-address", "join/already-a-member";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let join = host.join.get()?;
    let manager = match &join.found {
        Found::Resolved(manager) => manager,
        Found::Unresolved { what } => {
            let summary = format!("the hostname of the manager, {}, cannot be resolved", join.target);
            let shown = format!("looking up {}: {what}", join.target);
            out.report(super::link(host, join), summary, Evidence::value(join, shown))
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
            ("unreachable: this host has no route to it", find_a_route(host, manager))
        }
        (Outcome::Refused { .. }, Outcome::Open) if port == MANAGER_PORT => (
            "refused while 7946/tcp answers: the host is a worker, or a firewall rejects it",
            name_a_manager(),
        ),
        (Outcome::Refused { .. }, Outcome::Refused { .. }) => (
            "refused, and so is 7946/tcp: dockerd is stopped or in no swarm there, or a firewall rejects both",
            restore(manager),
        ),
        (Outcome::Filtered, _) if !answers => (
            "not answered, and neither is 7946/tcp: the host is down, or a firewall drops both",
            restore(manager),
        ),
        (outcome, _) => (describe_outcome(outcome), super::open(host, manager, outcome, port)),
    };
    let summary = format!("{port}/tcp of {} is {why}", manager.addr.ip());
    let shown = format!("{port}/tcp {}, 7946/tcp {}", manager.port, manager.gossip);
    out.report(super::link(host, join), summary, Evidence::value(join, shown)).remedy(remedy);
    Ok(())
}

fn find_a_route(host: &Host, manager: &Manager) -> Remedy {
    Remedy {
        title: format!("Add a route to {}, or use another address of the manager", manager.addr.ip()).into(),
        risk: Risk::Manual,
        impact: "A new route may carry other traffic as well.".into(),
        steps: vec![Step::Manual {
            node: host.name.clone().into(),
            text: "check the routes, and compare the address with the addresses of the manager".into(),
            commands: vec!["ip route".into(), format!("ip route get {}", manager.addr.ip())],
        }],
    }
}

fn restore(manager: &Manager) -> Remedy {
    Remedy {
        title: format!("Start dockerd on {}, or join through another manager", manager.addr.ip()).into(),
        risk: Risk::Safe,
        impact: "Running tasks are not affected.".into(),
        steps: vec![Step::Manual {
            node: Target::Peer(manager.addr.ip().to_string()),
            text: "run swarm-doctor there; it checks the engine, its swarm state and its firewall".into(),
            commands: vec!["sudo swarm-doctor run".into(), "systemctl status docker".into()],
        }],
    }
}
