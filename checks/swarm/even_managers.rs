use super::stale_manager_entry::twin;
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};

check! {
    /// The swarm has an even number of managers.
    ///
    /// ## Why it matters
    /// Raft needs more than half of the managers. An even one adds a machine that can fail and no failure that
    /// can be borne: two managers bear none, as one does, and four bear one, as three do.
    ///
    /// ## How to fix it
    /// Promote a worker, or demote a manager.
    ///
    /// ## When it is wrong
    /// For the minutes of a planned replacement, while the new manager is in and the old one not yet out.
    ///
    /// Source: swarmkit `manager/state/raft/raft.go`, Docker docs "Administer and maintain a swarm".
    "swarm/even-managers": Warning, "the number of managers is even";
    needs Nodes;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let nodes = view.snapshot.nodes.get()?;
    let managers: Vec<_> = nodes.iter().filter(|node| node.manager.is_some()).collect();
    // What a machine left behind goes first, and the number is another one then.
    if managers.iter().any(|node| twin(node, nodes).is_some()) {
        return Ok(());
    }
    let count = managers.len();
    if count == 0 || count % 2 == 1 {
        return Ok(());
    }
    let borne = (count - 1) / 2;
    let summary = format!("{count} managers bear the loss of {borne}, no more than {} would", count - 1);
    let names = managers.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", ");
    let worker = nodes.iter().find(|node| node.manager.is_none());
    let (text, command) = match worker {
        Some(worker) => (
            "promote a worker on a machine of its own",
            format!("docker node promote {}", shell_quote(worker.name.as_str())),
        ),
        None => ("demote one, or join one more", "docker swarm join-token manager".to_owned()),
    };
    out.report(Subject::Cluster, summary, Evidence::value(nodes, format!("managers: {names}"))).remedy(
        Remedy {
            title: "Make the number of managers odd".into(),
            risk: Risk::Safe,
            impact: "nothing that runs is touched".into(),
            steps: vec![Step::Manual {
                node: "a manager".into(),
                text: text.into(),
                commands: vec![command],
            }],
        },
    );
    Ok(())
}
