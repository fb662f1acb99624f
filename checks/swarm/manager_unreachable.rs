use crate::model::managers::Managers;
use crate::model::moved_manager::unlisted_caller;
use crate::model::node_entries::replacement;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::swarm::Node;

check! {
    /// The leader does not reach a manager.
    ///
    /// ## Why it matters
    /// Raft writes nothing without a majority of the managers. The swarm works while enough of them are reachable. The
    /// finding states how many more failures it tolerates before no service can be changed or rescheduled. A manager that is
    /// permanently lost and was never removed still counts in the majority.
    ///
    /// ## How to fix it
    /// Restore its host, its engine, and port 2377 in both directions. If it is permanently lost, demote and remove it while
    /// there is a quorum, and promote another node. Do not use `--force-new-cluster` while there is a leader.
    ///
    /// ## When it is wrong
    /// For some seconds while its engine restarts.
    ///
    /// Source: swarmkit `manager/state/raft/raft.go`, Docker docs "Administer and maintain a swarm".
    "swarm/manager-unreachable": Error, "the leader does not reach a manager";
    healthy "the leader reaches every manager";
    needs Nodes, Probes, Networks, Sockets, Interfaces, Info;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac",
        "host/firewall-drops-swarm", "swarm/local-advertise-addr", "swarm/stale-advertise-addr",
        "network/manager-port-blocked";
    for each Node: run
}

fn run(node: &Node, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let Some(manager) = &node.manager else { return Ok(()) };
    let nodes = view.snapshot.nodes.get()?;
    // stale-manager-entry reports an entry that a rejoined node left behind.
    if manager.reachable || manager.leader || replacement(node, nodes).is_some() {
        return Ok(());
    }
    let all = nodes.iter().filter(|node| node.manager.is_some()).count();
    let left =
        nodes.iter().filter_map(|node| node.manager.as_ref()).filter(|m| m.reachable || m.leader).count();
    let needed = all / 2 + 1;
    let margin = match left.saturating_sub(needed) {
        0 if left < needed => "the swarm has no quorum".to_owned(),
        0 => "one more failure and the swarm has no leader".to_owned(),
        1 => "one more failure is tolerated".to_owned(),
        more => format!("{more} more failures are tolerated"),
    };
    let summary = format!(
        "the leader does not reach manager {}: {left} of {all} managers are reachable and {needed} are needed; {margin}",
        node.name
    );
    let raft = manager.addr.map(|addr| addr.to_string()).unwrap_or_default();
    let shown = format!(
        "{} {}: Status.State: {}; ManagerStatus: {raft}, unreachable",
        node.name,
        node.id,
        node.state.as_str()
    );
    let finding = out.report(Subject::Node(node.name.clone()), summary, Evidence::value(nodes, shown));
    let mut advice = (
        "check the host, then run swarm-doctor there",
        ["sudo swarm-doctor run", "systemctl status docker"].as_slice(),
    );
    for host in &view.snapshot.hosts {
        let managers = match Managers::seen_from(host, 1) {
            Ok(managers) => managers,
            Err(_) => continue,
        };
        let Some(seen) = managers.others.iter().find(|other| other.id.as_ref() == Some(&node.id)) else {
            continue;
        };
        if let Ok(probes) = host.probes.get() {
            finding.with(Evidence::value(probes, format!("from {}: {}", host.name, seen.standing.story())));
        }
        advice = seen.standing.advice();
        // A hint only, which the run on that node confirms or refutes.
        if let Ok(Some(caller)) = unlisted_caller(host, view) {
            let shown =
                format!("{} is connected to 2377/tcp of {} and is no listed node", caller.value, host.name);
            finding.with(Evidence::value(&caller, shown));
        }
    }
    let (text, commands) = advice;
    let mut steps = vec![Step::Manual {
        node: node.name.clone().into(),
        text: text.into(),
        commands: commands.iter().map(|command| (*command).into()).collect(),
    }];
    if left >= needed {
        steps.push(Step::Manual {
            node: view.manager().filter(|name| *name != node.name).map_or(Target::RemainingManager, Target::Node),
            text: "only if it is permanently lost: remove it, then promote another node; do not use --force-new-cluster, \
                   because there is a leader"
                .into(),
            commands: vec![format!("docker node demote {}", node.id), format!("docker node rm --force {}", node.id)],
        });
    }
    finding.remedy(Remedy {
        title: format!("Restore manager {}", node.name).into(),
        risk: Risk::Manual,
        impact: "Running tasks are not affected.".into(),
        steps,
    });
    Ok(())
}
