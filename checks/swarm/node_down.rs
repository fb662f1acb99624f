use super::stale_manager_entry::{removal, twin};
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::NodeName;
use facts::link::{Attempt, Outcome};
use facts::swarm::{Node, NodeState};

check! {
    /// The managers have not heard from a node.
    ///
    /// ## Why it matters
    /// Its tasks are started elsewhere, as far as there is room. If it is a manager, the swarm is one failure
    /// nearer to losing its quorum.
    ///
    /// ## How to fix it
    /// Look at that node: its machine, its engine, its way to port 2377 of the managers, its certificate. An
    /// entry that a re-joined node left behind is removed with `docker node rm`.
    ///
    /// ## When it is wrong
    /// A node that was switched off on purpose. Drain and remove it, or live with the finding.
    ///
    /// Source: swarmkit `manager/dispatcher/dispatcher.go`: down after three missed heartbeats.
    "swarm/node-down": Error, "the managers do not hear from the node";
    needs Nodes, Probes, Info;
    caused_by "engine/unreachable", "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "host/firewall-drops-swarm", "network/asymmetric", "swarm/local-advertise-addr", "swarm/stale-advertise-addr", "network/manager-port-blocked", "swarm/manager-unreachable";
    for each Node: run
}

fn run(node: &Node, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    if node.state != NodeState::Down {
        return Ok(());
    }
    let nodes = view.snapshot.nodes.get()?;
    let subject = Subject::Node(node.name.clone());
    let shown = format!("{} {}: Status.State: down; Status.Message: {}", node.name, node.id, node.message);
    let first = Evidence::value(nodes, shown);
    if let Some(twin) = twin(node, nodes) {
        // Of a manager more is to be said than that it is down.
        if node.manager.is_some() {
            return Ok(());
        }
        let summary =
            format!("{} is listed twice: {} is ready, {} is down and left over", node.name, twin.id, node.id);
        // Only a manager lists nodes, so that this is one.
        let here = view.snapshot.hosts.first().map_or_else(|| "a manager".into(), |host| host.name.clone());
        out.report(subject, summary, first).severity(Severity::Warning).remedy(Remedy {
            title: "Remove the entry that was left over".into(),
            risk: Risk::Safe,
            impact: "nothing that runs is touched".into(),
            steps: vec![removal(here, node, twin)],
        });
        return Ok(());
    }
    let role = if node.manager.is_some() { "manager" } else { "worker" };
    let silence = if node.message.is_empty() { "no word from it" } else { &node.message };
    let summary = format!("the {role} {} is down: {silence}", node.name);
    let finding = out.report(subject, summary, first);
    // What ails that manager is then what is felt here.
    if let Some(manager) = common_end(nodes, view) {
        finding.also_affects(Subject::Node(manager));
    }
    let mut advice = "see whether the machine runs, then its engine";
    for host in &view.snapshot.hosts {
        let Ok(probes) = host.probes.get() else { continue };
        let own: Vec<_> =
            probes.iter().filter(|probe| probe.peer.node_id.as_ref() == Some(&node.id)).collect();
        if own.is_empty() {
            continue;
        }
        let shown = own.iter().map(|p| format!("{} {}", p.attempt, p.outcome)).collect::<Vec<_>>().join(", ");
        finding.with(Evidence::value(probes, format!("from {}: {shown}", host.name)));
        let connect = |outcome: fn(&Outcome) -> bool| {
            own.iter().any(|p| matches!(p.attempt, Attempt::Connect { .. }) && outcome(&p.outcome))
        };
        if connect(|o| *o == Outcome::Open) {
            advice = "its port takes connections and its session to the managers is gone: see from there whether its \
                      engine is frozen, and whether 2377 of the managers answers";
        } else if connect(|o| matches!(o, Outcome::Refused { .. })) {
            advice = "the machine answers and no engine listens on its swarm ports: start it, or see there why it left";
        }
    }
    finding.remedy(Remedy {
        title: "Find out what became of the node".into(),
        risk: Risk::Manual,
        impact: "looking changes nothing".into(),
        steps: vec![Step::Manual {
            node: node.name.clone(),
            text: advice.into(),
            commands: vec!["systemctl status docker".into(), "swarm-doctor run".into()],
        }],
    });
    Ok(())
}

/// Where no other node beats and the engines of all are there, what they have in common is the one manager that this
/// was asked on, and the way to it.
fn common_end(nodes: &[Node], view: &View<'_>) -> Option<NodeName> {
    let [host] = view.snapshot.hosts.as_slice() else { return None };
    let own = view.node_of(host).ok().flatten()?;
    let probes = host.probes.get().ok()?;
    let answers = |node: &Node| {
        probes.iter().any(|p| {
            p.peer.node_id.as_ref() == Some(&node.id)
                && matches!(p.attempt, Attempt::Connect { .. })
                && p.outcome == Outcome::Open
        })
    };
    let mut others = nodes.iter().filter(|node| node.id != own.id);
    let all_cut_off =
        others.all(|node| node.state == NodeState::Down && node.manager.is_none() && answers(node));
    (all_cut_off && nodes.len() > 2).then(|| host.name.clone())
}
