use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::{Gap, Why};

check! {
    /// A list of the swarm is too large for one gRPC message.
    ///
    /// ## Why it matters
    /// The engine reads its lists from the managers in one message of at most 4 MiB. Above the limit `docker service ps`,
    /// `docker stack ps` and `docker node ps` fail with "ResourceExhausted", and so do programs that read the tasks, such as
    /// Traefik.
    ///
    /// ## How to fix it
    /// Lower the task history limit, and remove services that restart without end.
    ///
    /// ## When it is wrong
    /// Never.
    ///
    /// Source: grpc-go `rpc_util.go` ("received message larger than max"), swarmkit `manager/state/raft/raft.go`
    /// (`ErrRequestTooLarge`).
    "swarm/message-too-large": Error, "a list of the swarm is too large for one message";
    healthy "the lists of the swarm fit into one message";
    needs Tasks, Services, Nodes;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let snapshot = view.snapshot;
    let lists = [
        ("task list", snapshot.tasks.get().err()),
        ("service list", snapshot.services.get().err()),
        ("node list", snapshot.nodes.get().err()),
    ];
    let mut open = None;
    for (name, gap) in lists.into_iter().filter_map(|(name, gap)| Some((name, gap?))) {
        let Some((size, limit)) = sizes(&gap) else {
            open = open.or(Some(gap));
            continue;
        };
        let summary = format!("the {name} is too large for one message: {size} bytes, the limit is {limit}");
        out.report(Subject::Cluster, summary, Evidence::gap(&gap)).remedy(Remedy {
            title: "Lower the task history limit of the swarm".into(),
            risk: Risk::Safe,
            impact: "Running tasks are not affected. Entries of ended tasks are removed.".into(),
            steps: vec![Step::Manual {
                node: Target::AnyManager,
                text: "keep one ended task per slot, and find services that restart without end".into(),
                commands: vec![
                    "docker swarm update --task-history-limit 1".into(),
                    "docker service ls".into(),
                ],
            }],
        });
    }
    open.map_or(Ok(()), Err)
}

/// Size and limit of `grpc: received message larger than max (4825921 vs. 4194304)`.
fn sizes(gap: &Gap) -> Option<(u64, u64)> {
    let Why::Refused { what, .. } = &gap.why else { return None };
    let (_, numbers) = what.split_once("message larger than max (")?;
    let (size, limit) = numbers.split_once(')')?.0.split_once(" vs. ")?;
    Some((size.trim().parse().ok()?, limit.trim().parse().ok()?))
}
