use super::advice;
use crate::{Evidence, Findings, Judged, Subject, Target, View};

check! {
    /// The election or heartbeat tick of raft is not the default.
    ///
    /// ## Why it matters
    /// With a short election tick a slow disk or a busy network changes the leader. With a long one the swarm has no leader
    /// for longer after a failure.
    ///
    /// ## How to fix it
    /// `swarm-raft-heartbeat-tick` 1 and `swarm-raft-election-tick` 10 in daemon.json are the defaults.
    ///
    /// ## When it is wrong
    /// If the values were chosen for links with a high RTT.
    ///
    /// Source: swarmkit `manager/state/raft/raft.go`; moby `daemon/config/config.go`.
    "posture/raft-ticks": Info, "the raft timing is not the default";
    healthy "the raft timing is the default";
    needs Swarm;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let cluster = view.snapshot.cluster.get()?;
    if let Some((election, heartbeat)) =
        cluster.raft_ticks.filter(|ticks| *ticks != (10, 1) && *ticks != (3, 1))
    {
        let summary = format!("raft has the election tick {election} and the heartbeat tick {heartbeat}");
        let shown = format!("Raft.ElectionTick: {election}, Raft.HeartbeatTick: {heartbeat}");
        out.report(Subject::Cluster, summary, Evidence::value(cluster, shown)).remedy(advice(
            Target::EachNode,
            "Use the default raft timing",
            "remove swarm-raft-heartbeat-tick and swarm-raft-election-tick from daemon.json of the managers",
            vec!["grep -n swarm-raft /etc/docker/daemon.json".into()],
        ));
    }
    Ok(())
}
