use super::advice;
use crate::{Evidence, Findings, Judged, Subject, Target, View};

check! {
    /// The managers store more than 20 old tasks for each slot.
    ///
    /// ## Why it matters
    /// Old tasks are in the raft snapshot and in the memory of each manager. A crash loop of a large service then fills both,
    /// and lists exceed the message limit of 4 MiB.
    ///
    /// ## How to fix it
    /// `docker swarm update --task-history-limit 5`.
    ///
    /// ## When it is wrong
    /// If the swarm has few services.
    ///
    /// Source: swarmkit `manager/orchestrator/taskreaper`; Docker docs "docker swarm update".
    "posture/task-history-long": Info, "the managers store many old tasks";
    healthy "the managers store few old tasks";
    needs Swarm;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let cluster = view.snapshot.cluster.get()?;
    if let Some(limit) = cluster.task_history.filter(|limit| *limit > 20) {
        let summary = format!("the managers store {limit} old tasks for each slot");
        let shown = format!("Orchestration.TaskHistoryRetentionLimit: {limit}");
        out.report(Subject::Cluster, summary, Evidence::value(cluster, shown)).remedy(advice(
            Target::AnyManager,
            "Store fewer old tasks",
            "set the default limit",
            vec!["docker swarm update --task-history-limit 5".into()],
        ));
    }
    Ok(())
}
