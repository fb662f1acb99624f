use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::swarm::LocalState;

check! {
    /// The manager is locked: it restarted with autolock on, and waits for the unlock key.
    ///
    /// ## Why it matters
    /// A locked manager takes no part in raft, listens on no swarm port and starts none of its tasks. The
    /// others see it down and unreachable, and it counts against the quorum.
    ///
    /// ## How to fix it
    /// `docker swarm unlock` with the key. Another manager that is unlocked shows it:
    /// `docker swarm unlock-key`.
    ///
    /// ## When it is wrong
    /// Never.
    ///
    /// Source: Docker docs "Lock your swarm", moby `daemon/cluster/errors.go`.
    "swarm/autolock-locked": Error, "the manager waits for its unlock key";
    needs Info;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    if info.swarm.state != LocalState::Locked {
        return Ok(());
    }
    let shown = format!("Swarm.LocalNodeState: autolock_locked; Swarm.Error: {}", info.swarm.error);
    let node = host.name.clone();
    out.report(
        Subject::Node(node.clone()),
        "the swarm state of this manager is encrypted and locked",
        Evidence::value(info, shown),
    )
    .remedy(Remedy {
        title: "Unlock the manager".into(),
        risk: Risk::Safe,
        impact: "the manager comes back within seconds and starts its tasks".into(),
        steps: vec![
            Step::Unlock { node },
            Step::Manual {
                node: "another manager".into(),
                text: "where the key is not at hand, another unlocked manager shows it".into(),
                commands: vec!["docker swarm unlock-key -q".into()],
            },
        ],
    });
    Ok(())
}
