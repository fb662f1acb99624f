use crate::model::node_entries::replacement;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};

check! {
    /// The swarm has more than seven managers.
    ///
    /// ## Why it matters
    /// Every change has to be confirmed by a majority of the managers. More than seven make writes and elections slower and
    /// add load on the leader, and the swarm already tolerates three failures with seven.
    ///
    /// ## How to fix it
    /// Demote managers until seven or five are left.
    ///
    /// ## When it is wrong
    /// During a planned replacement of managers.
    ///
    /// Source: Docker docs "Administer and maintain a swarm" (a maximum of seven managers).
    "swarm/too-many-managers": Warning, "the swarm has more than seven managers";
    healthy "the swarm has at most seven managers";
    needs Nodes;
    for each Cluster: run
}

/// The most managers that Docker recommends.
const MOST: usize = 7;

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let nodes = view.snapshot.nodes.get()?;
    let managers: Vec<_> =
        nodes.iter().filter(|node| node.manager.is_some() && replacement(node, nodes).is_none()).collect();
    if managers.len() <= MOST {
        return Ok(());
    }
    let names = managers.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", ");
    let summary = format!("the swarm has {} managers; Docker recommends at most {MOST}", managers.len());
    out.report(Subject::Cluster, summary, Evidence::value(nodes, format!("managers: {names}"))).remedy(
        Remedy {
            title: format!("Demote {} managers", managers.len() - MOST).into(),
            risk: Risk::Safe,
            impact: "Running tasks are not affected.".into(),
            steps: vec![Step::Manual {
                node: Target::AnyManager,
                text: "demote managers one after the other, and not the leader".into(),
                commands: vec![
                    "docker node ls --filter role=manager".into(),
                    "docker node demote NODE".into(),
                ],
            }],
        },
    );
    Ok(())
}
