use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::swarm::{Node, NodeState};
use std::collections::BTreeMap;

check! {
    /// Two nodes of the swarm have the same hostname.
    ///
    /// ## Why it matters
    /// Commands that take a hostname fail with "node name is ambiguous". A constraint on `node.hostname` matches both nodes,
    /// and logs and reports do not show which of them they mean.
    ///
    /// ## How to fix it
    /// Set a unique hostname on one of the hosts, and restart its engine.
    ///
    /// ## When it is wrong
    /// Never, while both nodes are ready. An entry that is down beside a ready one is stale, which node-down reports.
    ///
    /// Source: swarmkit `manager/controlapi/node.go`, docker/cli `node is ambiguous`.
    "swarm/duplicate-hostname": Warning, "two nodes have the same hostname";
    healthy "every ready node has a unique hostname";
    needs Nodes;
    caused_by "swarm/duplicate-node-identity";
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let nodes = view.snapshot.nodes.get()?;
    let mut by_name: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
    for node in nodes.iter().filter(|node| node.state == NodeState::Ready) {
        by_name.entry(node.name.as_str()).or_default().push(node);
    }
    for (name, mut same) in by_name.into_iter().filter(|(_, same)| same.len() > 1) {
        same.sort_by(|one, other| one.id.cmp(&other.id));
        let one = |node: &&Node| match node.addr {
            Some(addr) => format!("{} ({addr})", node.id),
            None => node.id.to_string(),
        };
        let list = same.iter().map(one).collect::<Vec<_>>().join(", ");
        let summary = format!("{} ready nodes have the hostname {name}: {list}", same.len());
        let shown = format!("Description.Hostname: {name} for {list}");
        let last = same.last().map_or("NODE-ID", |node| node.id.as_str()).to_owned();
        out.report(Subject::Node(name.into()), summary, Evidence::value(nodes, shown)).remedy(Remedy {
            title: format!("Set a unique hostname on one of the nodes named {name}").into(),
            risk: Risk::Disruptive,
            impact: "All tasks on the renamed node restart.".into(),
            steps: vec![Step::Manual {
                node: facts::NodeName(last).into(),
                text: "set a new hostname, and restart dockerd".into(),
                commands: vec!["hostnamectl set-hostname NAME".into(), "systemctl restart docker".into()],
            }],
        });
    }
    Ok(())
}
