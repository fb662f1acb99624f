use super::advice;
use crate::{Evidence, Findings, Judged, Subject, Target, View};

check! {
    /// Autolock is off.
    ///
    /// ## Why it matters
    /// A person who has a disk, snapshot or backup of a manager can decrypt all secrets and configs of the swarm, and join it with
    /// the keys of the manager.
    ///
    /// ## How to fix it
    /// `docker swarm update --autolock=true`, and keep the unlock key outside of the swarm: every restart of a manager then
    /// needs it.
    ///
    /// ## When it is wrong
    /// If the disks of the managers are encrypted, or unattended restarts matter more.
    ///
    /// Source: Docker docs "Lock your swarm to protect its encryption key".
    "posture/autolock-off": Info, "the raft log and the TLS keys can be read from a copy of the disk";
    healthy "the managers are locked at rest";
    needs Swarm;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let cluster = view.snapshot.cluster.get()?;
    if !cluster.autolock {
        let shown = "Spec.EncryptionConfig.AutoLockManagers: false";
        out.report(Subject::Cluster, "autolock is off", Evidence::value(cluster, shown)).remedy(advice(
            Target::AnyManager,
            "Lock the managers at rest",
            "turn autolock on, and save the unlock key outside of the swarm",
            vec!["docker swarm update --autolock=true".into()],
        ));
    }
    Ok(())
}
