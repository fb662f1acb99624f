use crate::model::node_entries::replacement;
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};

check! {
    /// The swarm has an even number of managers.
    ///
    /// ## Why it matters
    /// Raft needs a majority of the managers. An even number adds a host that can fail and no fault tolerance: two managers
    /// tolerate no failure, like one, and four tolerate one failure, like three.
    ///
    /// ## How to fix it
    /// Promote a worker, or demote a manager.
    ///
    /// ## When it is wrong
    /// During a planned replacement, between the promotion of the new manager and the demotion of the old one.
    ///
    /// Source: swarmkit `manager/state/raft/raft.go`, Docker docs "Administer and maintain a swarm".
    "swarm/even-managers": Warning, "the number of managers is even";
    healthy "the number of managers is odd";
    needs Nodes, Info;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let nodes = view.snapshot.nodes.get()?;
    let managers: Vec<_> = nodes.iter().filter(|node| node.manager.is_some()).collect();
    // A stale manager entry is removed first, which changes the number.
    if managers.iter().any(|node| replacement(node, nodes).is_some()) {
        return Ok(());
    }
    let count = managers.len();
    if count == 0 || count % 2 == 1 {
        return Ok(());
    }
    let failures = match (count - 1) / 2 {
        0 => "no failure".to_owned(),
        1 => "1 failure".to_owned(),
        more => format!("{more} failures"),
    };
    let summary = format!("{count} managers tolerate {failures}, the same as {}", count - 1);
    let names = managers.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", ");
    let worker = nodes.iter().find(|node| node.manager.is_none());
    let (text, command) = match worker {
        Some(worker) => (
            "promote a worker on a separate host",
            format!("docker node promote {}", shell_quote(worker.name.as_str())),
        ),
        None => ("demote a manager, or join one more", "docker swarm join-token manager".to_owned()),
    };
    out.report(Subject::Cluster, summary, Evidence::value(nodes, format!("managers: {names}"))).remedy(
        Remedy {
            title: "Make the number of managers odd".into(),
            risk: Risk::Safe,
            impact: "Running tasks are not affected.".into(),
            steps: vec![Step::Manual {
                node: view.manager().map_or(Target::AnyManager, Target::Node),
                text: text.into(),
                commands: vec![command],
            }],
        },
    );
    Ok(())
}
