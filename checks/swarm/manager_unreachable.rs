use super::managers::Managers;
use super::stale_manager_entry::twin;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::swarm::Node;

check! {
    /// A manager does not answer the leader.
    ///
    /// ## Why it matters
    /// Raft writes nothing without more than half of the managers. The swarm works on while enough are left; the
    /// finding says how many more may go before no service can be changed and nothing is healed any more. A
    /// manager that was given up for good and never removed counts against the majority all the same.
    ///
    /// ## How to fix it
    /// Bring it back: machine, engine, port 2377 in both directions. If it is gone for good, demote and remove it
    /// while there is a majority to agree to that, and promote another node; `--force-new-cluster` is not for
    /// this, as long as there is a leader.
    ///
    /// ## When it is wrong
    /// For some seconds while its engine restarts.
    ///
    /// Source: swarmkit `manager/state/raft/raft.go`, Docker docs "Administer and maintain a swarm".
    "swarm/manager-unreachable": Error, "a manager does not answer the leader";
    needs Nodes, Probes, Networks;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "host/firewall-drops-swarm", "swarm/local-advertise-addr", "swarm/stale-advertise-addr", "network/manager-port-blocked";
    for each Node: run
}

fn run(node: &Node, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let Some(manager) = &node.manager else { return Ok(()) };
    let nodes = view.snapshot.nodes.get()?;
    // An entry that a re-joined node left behind has a finding of its own.
    if manager.reachable || manager.leader || twin(node, nodes).is_some() {
        return Ok(());
    }
    let all = nodes.iter().filter(|node| node.manager.is_some()).count();
    let left =
        nodes.iter().filter_map(|node| node.manager.as_ref()).filter(|m| m.reachable || m.leader).count();
    let needed = all / 2 + 1;
    let margin = match left.saturating_sub(needed) {
        0 if left < needed => "the swarm cannot have a leader".to_owned(),
        0 => "one more and the swarm has no leader".to_owned(),
        1 => "one more may go".to_owned(),
        more => format!("{more} more may go"),
    };
    let summary = format!(
        "manager {} does not answer the leader: {left} of {all} managers are left and {needed} are needed, {margin}",
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
        "see whether the machine runs, then its engine",
        ["systemctl status docker", "swarm-doctor run"].as_slice(),
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
    }
    let (text, commands) = advice;
    let mut steps = vec![Step::Manual {
        node: node.name.clone(),
        text: text.into(),
        commands: commands.iter().map(|command| (*command).into()).collect(),
    }];
    if left >= needed {
        steps.push(Step::Manual {
            node: "a manager that is left".into(),
            text: "only if it is gone for good: remove it, then promote another node; --force-new-cluster is not for \
                   this, for there is a leader"
                .into(),
            commands: vec![format!("docker node demote {}", node.id), format!("docker node rm --force {}", node.id)],
        });
    }
    finding.remedy(Remedy {
        title: format!("Bring manager {} back", node.name).into(),
        risk: Risk::Manual,
        impact: "looking changes nothing".into(),
        steps,
    });
    Ok(())
}
