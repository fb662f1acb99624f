use super::advice;
use crate::shell_quote;
use crate::{Evidence, Findings, Judged, Subject, Target, View};

check! {
    /// The swarm has several nodes and one manager.
    ///
    /// ## Why it matters
    /// When the manager is lost, nothing can be deployed, moved or repaired. When its disk is lost too, the swarm, its
    /// services, secrets and networks are gone, unless `/var/lib/docker/swarm` was saved.
    ///
    /// ## How to fix it
    /// Promote two workers, so that three managers tolerate the loss of one. Until then save the swarm directory of the
    /// manager while its engine is stopped, with the unlock key.
    ///
    /// ## When it is wrong
    /// If the swarm can be created again from stack files and the interruption does not matter.
    ///
    /// Source: Docker docs "Administer and maintain a swarm of Docker Engines".
    "posture/single-manager": Warning, "the swarm has one manager";
    healthy "the swarm has several managers";
    needs Nodes;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let nodes = view.snapshot.nodes.get()?;
    let mut managers = nodes.iter().filter(|node| node.manager.is_some());
    let (Some(manager), None) = (managers.next(), managers.next()) else { return Ok(()) };
    if nodes.len() < 2 {
        return Ok(());
    }
    let summary = format!("{} is the only manager of {} nodes", manager.name, nodes.len());
    let workers: Vec<String> = nodes
        .iter()
        .filter(|node| node.manager.is_none())
        .take(2)
        .map(|node| shell_quote(node.name.as_str()))
        .collect();
    let commands = vec![
        format!("docker node promote {}", workers.join(" ")),
        "systemctl stop docker && tar -C /var/lib/docker -czf /root/swarm.tar.gz swarm && systemctl start docker".into(),
    ];
    let text =
        "promote two workers; until then save the swarm directory of the manager while its engine is stopped";
    out.report(Subject::Cluster, summary, Evidence::value(nodes, format!("managers: {}", manager.name)))
        .remedy(advice(Target::AnyManager, "Have three managers", text, commands));
    Ok(())
}
