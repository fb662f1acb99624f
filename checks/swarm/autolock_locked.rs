use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::Host;
use facts::swarm::LocalState;

check! {
    /// The manager restarted with autolock enabled and waits for the unlock key.
    ///
    /// ## Why it matters
    /// A locked manager takes no part in raft, does not listen on the swarm ports and starts none of its tasks. The other
    /// managers see it as down and unreachable, and it counts against the quorum.
    ///
    /// ## How to fix it
    /// Run `docker swarm unlock` with the key. Another unlocked manager prints the key: `docker swarm unlock-key`.
    ///
    /// ## When it is wrong
    /// Never.
    ///
    /// Source: Docker docs "Lock your swarm", moby `daemon/cluster/errors.go`.
    "swarm/autolock-locked": Error, "the manager is locked and waits for its unlock key";
    healthy "the swarm state of this node is not locked";
    needs Info;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    if info.swarm.state != LocalState::Locked {
        return Ok(());
    }
    let shown = format!("Swarm.LocalNodeState: locked; Swarm.Error: {}", info.swarm.error);
    let node = host.name.clone();
    out.report(
        Subject::Node(node.clone()),
        "the swarm state of this manager is encrypted and locked",
        Evidence::value(info, shown),
    )
    .remedy(Remedy {
        title: format!("Unlock manager {node}").into(),
        risk: Risk::Safe,
        impact: "The manager starts within seconds, and its tasks with it.".into(),
        steps: vec![
            Step::Unlock { node: node.into() },
            Step::Manual {
                node: Target::OtherManager,
                text: "if the key is not known, print it on another unlocked manager".into(),
                commands: vec!["docker swarm unlock-key -q".into()],
            },
        ],
    });
    Ok(())
}
