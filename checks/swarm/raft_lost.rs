use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::{Host, Timestamp};

/// By how many seconds a certificate begins before it was issued.
const BACKDATED: i64 = 60 * 60;
/// How much later than the certificate the records of a new swarm may begin: its dates are rounded to minutes.
const ROUNDED: i64 = 60;
/// The same for the file that it was written to.
const SLOW: i64 = 10;

check! {
    /// The only manager has lost its raft log, and founded the swarm anew without a word.
    ///
    /// ## Why it matters
    /// A manager that finds its certificates and no raft log starts an empty swarm under the old name: it is the leader,
    /// all looks well, and nodes, services, networks and secrets are gone. The other nodes are strangers to it: their
    /// sessions fail with "node not found".
    ///
    /// ## How to fix it
    /// Put `swarm/raft` back from a backup, or from where it was moved, with the engine stopped. Where there is none,
    /// the workers leave and join again, and the stacks are deployed anew.
    ///
    /// ## When it is wrong
    /// When a swarm was made with certificates that were put there beforehand.
    ///
    /// Source: swarmkit `manager/state/raft/storage.go` (`loadAndStart`), `manager/manager.go` (`becomeLeader`).
    "swarm/raft-lost": Error, "the only manager has lost the records of its swarm";
    needs Info, Swarm, Certificates;
    caused_by "host/disk-full";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    // With others beside it, it would have been given the records by them.
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
        "the records of the swarm begin at {}, and this manager had its certificate at {} already: its raft log was lost, \
         and it founded the swarm anew, without nodes, services and secrets",
        shown(created),
        shown(earlier)
    );
    let by_hand = |node: facts::NodeName, text: &str, commands: &[&str]| Step::Manual {
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
        title: "Put the raft log back".into(),
        risk: Risk::Disruptive,
        impact: "what was made in the new swarm since is gone, and what was in the old one is there again".into(),
        steps: vec![
            by_hand(
                host.name.clone(),
                "stop the engine, keep what is there, and put swarm/raft back from its backup; then start the engine",
                &[
                    "systemctl stop docker",
                    "cp -a /var/lib/docker/swarm /var/lib/docker/swarm.kept",
                    "rm -rf /var/lib/docker/swarm/raft && cp -a BACKUP/swarm/raft /var/lib/docker/swarm/raft",
                    "systemctl start docker",
                ],
            ),
            by_hand(
                "each worker".into(),
                "only where there is no backup: leave, and join with the command that the manager prints",
                &["docker swarm leave --force"],
            ),
            by_hand(
                host.name.clone(),
                "and then deploy the stacks anew",
                &["docker swarm join-token worker", "docker stack deploy -c FILE NAME"],
            ),
        ],
    });
    Ok(())
}
