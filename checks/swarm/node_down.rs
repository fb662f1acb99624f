use crate::model::node_entries::replacement;
use crate::remedies::remove_node::remove_node;
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, Target, View};
use facts::NodeName;
use facts::link::{Attempt, Outcome};
use facts::swarm::{Node, NodeState};

check! {
    /// The managers receive no heartbeat from a node.
    ///
    /// ## Why it matters
    /// Its tasks start on other nodes, as far as there is room. If it is a manager, the swarm has lost fault tolerance.
    ///
    /// ## How to fix it
    /// Run swarm-doctor on that node: it checks the host, the engine, the path to port 2377 of the managers, and the
    /// certificate. Remove an entry that a rejoined node left behind with `docker node rm`.
    ///
    /// ## When it is wrong
    /// When the node was switched off or left the swarm on purpose. Remove its entry then.
    ///
    /// Source: swarmkit `manager/dispatcher/dispatcher.go`: a node is down after three missed heartbeats.
    "swarm/node-down": Error, "the managers receive no heartbeat from the node";
    healthy "the managers receive heartbeats from every node";
    needs Nodes, Probes, Info;
    caused_by "engine/unreachable", "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac",
        "host/firewall-drops-swarm", "network/asymmetric", "swarm/local-advertise-addr", "swarm/stale-advertise-addr",
        "network/manager-port-blocked", "swarm/manager-unreachable";
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
    if let Some(present) = replacement(node, nodes) {
        // stale-manager-entry reports a manager's entry.
        if node.manager.is_some() {
            return Ok(());
        }
        let summary = format!(
            "{} is listed twice: entry {} is ready, entry {} is down and stale",
            node.name, present.id, node.id
        );
        // Only a manager lists nodes, so the host that was examined is one.
        let here =
            view.snapshot.hosts.first().map_or(Target::AnyManager, |host| Target::Node(host.name.clone()));
        let labels = lost_labels(node, present);
        let mut steps = Vec::new();
        let finding = out.report(subject, summary, first).severity(Severity::Warning);
        if !labels.is_empty() {
            let shown = format!("labels of {} that {} lacks: {}", node.id, present.id, labels.join(", "));
            finding.with(Evidence::value(nodes, shown));
            let flags: Vec<_> =
                labels.iter().map(|label| format!("--label-add {}", shell_quote(label))).collect();
            steps.push(Step::Manual {
                node: here.clone(),
                text: "if services need the labels of the old entry, copy them before it is removed".into(),
                commands: vec![format!("docker node update {} {}", flags.join(" "), present.id)],
            });
        }
        steps.push(remove_node(here, node, present));
        finding.remedy(Remedy {
            title: format!("Remove the stale entry of {}", node.name).into(),
            risk: Risk::Safe,
            impact: "Running tasks are not affected.".into(),
            steps,
        });
        return Ok(());
    }
    let role = if node.manager.is_some() { "manager" } else { "worker" };
    let message = if node.message.is_empty() { "no heartbeat" } else { &node.message };
    let summary = format!("{role} {} is down: {message}", node.name);
    let finding = out.report(subject, summary, first);
    // A problem of that manager then shows here.
    if let Some(manager) = cut_off_manager(nodes, view) {
        finding.also_affects(Subject::Node(manager));
    }
    let mut advice =
        ("check the power and the network of the host; once it is up, run swarm-doctor there", false);
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
            let text = "its port accepts connections and it has no session with the managers: run swarm-doctor there; it \
                        shows whether dockerd hangs and whether 2377/tcp of the managers is reachable";
            advice = (text, false);
        } else if connect(|o| matches!(o, Outcome::Refused { .. })) {
            let text = "the host answers and nothing listens on its swarm ports: run swarm-doctor there; dockerd is \
                        stopped, or the node left the swarm";
            advice = (text, true);
        }
    }
    let (text, may_have_left) = advice;
    let mut steps = vec![Step::Manual {
        node: node.name.clone().into(),
        text: text.into(),
        commands: vec!["sudo swarm-doctor run".into(), "systemctl status docker".into()],
    }];
    if may_have_left {
        steps.push(Step::Manual {
            node: view.manager().filter(|name| *name != node.name).map_or(Target::AnyManager, Target::Node),
            text: "only if it left the swarm on purpose: remove its entry".into(),
            commands: vec![format!("docker node rm {}", node.id)],
        });
    }
    finding.remedy(Remedy {
        title: format!("Restore {} or remove it from the swarm", node.name).into(),
        risk: Risk::Manual,
        impact: "Running tasks are not affected.".into(),
        steps,
    });
    Ok(())
}

/// The labels of the stale entry that the present entry does not have, as `key=value`.
fn lost_labels(old: &Node, present: &Node) -> Vec<String> {
    let lost = old.labels.iter().filter(|(key, _)| !present.labels.contains_key(*key));
    lost.map(|(key, value)| format!("{key}={value}")).collect()
}

/// The manager that was examined, where every other node is down and accepts connections: the nodes have nothing in common
/// but this manager and the path to it.
fn cut_off_manager(nodes: &[Node], view: &View<'_>) -> Option<NodeName> {
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
