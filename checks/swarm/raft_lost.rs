use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::{Host, Timestamp};

/// By how many seconds a certificate is valid before it was issued.
const BACKDATED: i64 = 60 * 60;
/// How many seconds after the certificate a new swarm may be created: certificate dates are rounded to minutes.
const ROUNDED: i64 = 60;
/// The same for the modification time of the certificate file.
const SLOW: i64 = 10;

check! {
    /// The only manager lost its raft log and created an empty swarm without an error.
    ///
    /// ## Why it matters
    /// A manager that finds its certificates and no raft log starts an empty swarm with the old ID: it is the leader and shows
    /// no error, and all nodes, services, networks and secrets are gone. It does not know the other nodes: their sessions
    /// fail with "node not found".
    ///
    /// ## How to fix it
    /// Restore `swarm/raft` from a backup with the engine stopped. Without a backup, let the workers leave and join again, and
    /// deploy the stacks again.
    ///
    /// ## When it is wrong
    /// When a swarm was created with certificates that were copied there beforehand.
    ///
    /// Source: swarmkit `manager/state/raft/storage.go` (`loadAndStart`), `manager/manager.go` (`becomeLeader`).
    "swarm/raft-lost": Error, "the only manager lost the raft log of its swarm";
    healthy "the raft log is as old as the swarm";
    needs Info, Swarm, Certificates;
    caused_by "host/disk-full";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    // With other managers it would have received the records from them.
    if !info.swarm.control_available || info.swarm.managers.len() > 1 {
        return Ok(());
    }
    let cluster = view.snapshot.cluster.get()?;
    let certificate = host.certificate.get()?;
    let (Some(created), Some(own)) = (cluster.created, &certificate.value) else { return Ok(()) };
    let later = |than: Timestamp| created.duration_since(than).as_secs();
    let issued = Timestamp::from_second(own.not_before.as_second().saturating_add(BACKDATED))
        .unwrap_or(Timestamp::MAX);
    let earlier = match own.written.filter(|written| later(*written) > SLOW) {
        Some(written) => written,
        None if later(issued) > ROUNDED => issued,
        None => return Ok(()),
    };
    let shown = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let summary = format!(
        "the swarm was created at {}, and this manager has had its certificate since {}: its raft log was lost, and it \
         created an empty swarm without the nodes, services and secrets",
        shown(created),
        shown(earlier)
    );
    let by_hand = |node: Target, text: &str, commands: &[&str]| Step::Manual {
        node,
        text: text.to_owned(),
        commands: commands.iter().map(|command| (*command).to_owned()).collect(),
    };
    out.report(
        Subject::Node(host.name.clone()),
        summary,
        Evidence::value(cluster, format!("CreatedAt: {created}")),
    )
    .with(Evidence::value(
        certificate,
        format!("of node {}, issued {}, written {}", own.common_name, shown(issued), own.written.map_or_else(|| "unknown".into(), shown)),
    ))
    .with(Evidence::value(info, format!("Managers: 1, Nodes: {}", info.swarm.node_count)))
    .remedy(Remedy {
        title: format!("Restore swarm/raft on {} from a backup", host.name).into(),
        risk: Risk::Disruptive,
        impact: "All tasks restart. Changes since the loss are lost, and the old nodes, services and secrets return.".into(),
        steps: vec![
            by_hand(
                Target::from(&host.name),
                "stop dockerd, copy the present state, restore swarm/raft from BACKUP, and start dockerd",
                &[
                    "systemctl stop docker",
                    "cp -a /var/lib/docker/swarm /var/lib/docker/swarm.before",
                    "rm -rf /var/lib/docker/swarm/raft && cp -a BACKUP/swarm/raft /var/lib/docker/swarm/raft",
                    "systemctl start docker",
                ],
            ),
            by_hand(
                Target::EachWorker,
                "only without a backup: leave, and join with the command that the manager prints",
                &["docker swarm leave --force"],
            ),
            by_hand(
                Target::from(&host.name),
                "only without a backup: print the join command, and deploy the stacks again",
                &["docker swarm join-token worker", "docker stack deploy -c FILE NAME"],
            ),
        ],
    });
    Ok(())
}
