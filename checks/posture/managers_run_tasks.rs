use super::advice;
use crate::shell_quote;
use crate::{Evidence, Findings, Judged, Subject, Target, View};

check! {
    /// Managers run tasks of replicated services although there are workers.
    ///
    /// ## Why it matters
    /// A task that uses all CPU, memory or disk of a manager delays raft: the leader changes, or the swarm loses its quorum.
    /// A program that is reached from the Internet runs on a host with the keys of the swarm.
    ///
    /// ## How to fix it
    /// Drain the managers, or constrain the services to workers.
    ///
    /// ## When it is wrong
    /// In a small swarm whose managers have room.
    ///
    /// Source: Docker docs "Administer and maintain a swarm of Docker Engines", section "Run manager-only nodes".
    "posture/managers-run-tasks": Info, "managers run tasks of services";
    healthy "the managers run no tasks of replicated services";
    needs Nodes, Services, Tasks;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let nodes = view.snapshot.nodes.get()?;
    let services = view.snapshot.services.get()?;
    let tasks = view.snapshot.tasks.get()?;
    let workers = nodes.iter().filter(|node| node.manager.is_none()).count();
    for node in nodes.iter().filter(|node| node.manager.is_some() && workers > 0) {
        let here = |id| {
            let mut own = tasks.iter().filter(|task| task.service == id && task.state == "running");
            own.any(|task| task.node.as_ref() == Some(&node.id))
        };
        let run: Vec<_> = services
            .iter()
            .filter(|service| service.replicas.is_some() && here(service.id.clone()))
            .collect();
        if run.is_empty() {
            continue;
        }
        let public = run.iter().any(|service| !service.ports.is_empty());
        let names: Vec<&str> = run.iter().take(8).map(|service| service.name.as_str()).collect();
        let what = if public { ", one of which publishes a port" } else { "" };
        let summary = format!("manager {} runs tasks of {} services{what}", node.name, run.len());
        out.report(Subject::Node(node.name.clone()), summary, Evidence::value(tasks, names.join(", ")))
            .remedy(advice(
                Target::AnyManager,
                "Keep managers free of services",
                "drain the manager, or constrain the services to workers",
                vec![
                    format!("docker node update --availability drain {}", shell_quote(node.name.as_str())),
                    "docker service update --constraint-add node.role==worker SERVICE".into(),
                ],
            ));
    }
    Ok(())
}
