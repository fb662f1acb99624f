use super::slot::{lacks_image, listed, nodes_of, slots};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::service::{Service, Task};

check! {
    /// Nodes have not got the service's image, and cannot pull it.
    ///
    /// ## Why it matters
    /// Each node pulls for itself. An image that was only built on one node, a tag that does not exist, a registry
    /// that is not reached or wants a login leaves the tasks rejected, with a new try every few seconds.
    ///
    /// ## How to fix it
    /// Pull the image by hand on one of the nodes named: docker then says what the task's error leaves out. Push
    /// what is missing, give the nodes the login with `--with-registry-auth`, or mend the way to the registry.
    ///
    /// ## When it is wrong
    /// It is not, while the tasks are rejected; an image that arrives ends it with the next try.
    ///
    /// Source: moby `daemon/cluster/executor/container/adapter.go`; moby#34245, #32158.
    "service/image-unavailable": Error, "nodes have not got the image and cannot pull it";
    needs Services, Tasks, Nodes, EngineLog;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    let tasks = view.snapshot.tasks.get()?;
    view.snapshot.nodes.get()?;
    for service in services.iter() {
        let refused: Vec<&Task> = slots(service, tasks)
            .iter()
            .flat_map(|slot| slot.refused(view))
            .filter(|t| lacks_image(t))
            .collect();
        let Some(first) = refused.first() else { continue };
        let nodes = nodes_of(refused.iter().copied(), view);
        // What the task was made with; the service may have been rolled back since.
        let image = if first.image.is_empty() { &service.image } else { &first.image };
        let short = image.split_once('@').map_or(image.as_str(), |(name, _)| name);
        let verb = if nodes.len() == 1 { "has" } else { "have" };
        let summary =
            format!("{} {verb} no image {short} for {}, and cannot pull it", listed(&nodes), service.name);
        let shown = format!("task {}: {}: {}", first.id, first.state, first.error);
        let finding =
            out.report(Subject::Service(service.name.clone()), summary, Evidence::value(tasks, shown));
        finding.on_nodes(nodes.clone());
        for host in &view.snapshot.hosts {
            // A log that cannot be read takes nothing from what the tasks say.
            let Ok(log) = host.log.get() else { continue };
            let pull = log.lines.iter().rev().find(|line| {
                line.message == "pulling image failed"
                    && refused
                        .iter()
                        .any(|task| line.fields.get("task.id").is_some_and(|id| id == task.id.as_str()))
            });
            if let Some(line) = pull {
                let error = line.fields.get("error").map_or("", String::as_str);
                let mut evidence = Evidence::log(log, line);
                if let Evidence::Line { text, .. } = &mut evidence {
                    *text = format!("{}: {error}", line.message);
                }
                finding.with(evidence);
            }
        }
        let elsewhere = running_elsewhere(service, tasks, view);
        if let Some(shown) = &elsewhere {
            finding.with(Evidence::value(tasks, shown.clone()));
        }
        let node = nodes.into_iter().next().unwrap_or_else(|| "a manager".into());
        finding.remedy(Remedy {
            title: format!("Make {short} available to the nodes").into(),
            risk: Risk::Safe,
            impact: "the next try starts the tasks".into(),
            steps: vec![
                Step::Manual {
                    node,
                    text: "pull it by hand; docker says there what is wrong".into(),
                    commands: vec![format!("docker pull {}", shell_quote(short))],
                },
                Step::Manual {
                    node: "a manager".into(),
                    text: "if the registry wants a login, log in and hand it to the nodes; if the name was mistyped, correct it".into(),
                    commands: vec![format!(
                        "docker service update --with-registry-auth --image {} {}",
                        shell_quote(short),
                        shell_quote(&service.name)
                    )],
                },
            ],
        });
    }
    Ok(())
}

/// The nodes on which tasks of the service run from the very image.
fn running_elsewhere(service: &Service, tasks: &[Task], view: &View<'_>) -> Option<String> {
    let run = tasks.iter().filter(|task| {
        task.service == service.id
            && task.state == "running"
            && task.desired == "running"
            && task.image == service.image
    });
    let nodes = nodes_of(run, view);
    (!nodes.is_empty())
        .then(|| format!("tasks of {} run from this image on {}", service.name, listed(&nodes)))
}
