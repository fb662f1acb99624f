use crate::model::task_slots::{nodes_of, slots};
use crate::model::workload::is_stateful;
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::service::{Mount, Service, Task};

check! {
    /// A database runs on another node than before, and its data stayed in a local volume.
    ///
    /// ## Why it matters
    /// A volume of the local driver is on one node. After the task moved, swarm created an empty volume of the same name
    /// on the new node: the service runs without its data, which is still on the old node.
    ///
    /// ## How to fix it
    /// Constrain the service to the node with the data, or copy the data to shared storage first.
    ///
    /// ## When it is wrong
    /// The program replicates its data itself, or the data was copied.
    ///
    /// Source: Docker docs, "Volumes": a local volume is not shared between the tasks of a service.
    "service/volume-left-behind": Warning, "a task moved away from its local volume";
    healthy "no database moved away from its local volume";
    needs Services, Tasks, Nodes;
    caused_by "swarm/node-down";
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    let tasks = view.snapshot.tasks.get()?;
    view.snapshot.nodes.get()?;
    for service in services.iter().filter(|service| service.replicas.is_some() && is_stateful(&service.image))
    {
        let Some(volume) = service.mounts.iter().find(|mount| is_local(mount)) else { continue };
        for slot in slots(service, tasks) {
            let Some(now) = slot.running() else { continue };
            let before = slot.before(now).find(|task| task.exit_code.is_some() && task.node != now.node);
            let Some(before) =
                before.filter(|before| !ran_there_before(&slot.before(before).collect::<Vec<_>>(), now))
            else {
                continue;
            };
            report(service, volume, before, now, view, out);
            break;
        }
    }
    Ok(())
}

/// Whether the volume on the node of the task is from an earlier task of the slot.
fn ran_there_before(older: &[&Task], now: &Task) -> bool {
    older.iter().any(|task| task.exit_code.is_some() && task.node == now.node)
}

fn report(
    service: &Service,
    volume: &Mount,
    before: &Task,
    now: &Task,
    view: &View<'_>,
    out: &mut Findings<'_>,
) {
    let Ok(tasks) = view.snapshot.tasks.get() else { return };
    let node =
        |task: &Task| nodes_of([task], view).into_iter().next().unwrap_or_else(|| "another node".into());
    let (old, new) = (node(before), node(now));
    let source = &volume.source;
    let summary =
        format!("{} moved from {old} to {new}, and its local volume {source} stayed on {old}", service.name);
    let shown = |task: &Task| format!("task {}: {} on {}", task.id, task.state, node(task));
    let finding =
        out.report(Subject::Service(service.name.clone()), summary, Evidence::value(tasks, shown(now)));
    finding
        .with(Evidence::value(tasks, shown(before)))
        .confidence(Confidence::Medium)
        .on_nodes([old.clone()]);
    finding.remedy(Remedy {
        title: format!("Constrain {} to the node of its data", service.name).into(),
        risk: Risk::Disruptive,
        impact: "The task of the service restarts on the other node. Data written since the move stays on the new node.".into(),
        steps: vec![
            Step::Manual {
                node: old.clone().into(),
                text: "check that the volume is there".into(),
                commands: vec![format!("docker volume inspect {}", shell_quote(source))],
            },
            Step::Manual {
                node: Target::AnyManager,
                text: "run the service on the node with the data, or copy the data to shared storage".into(),
                commands: vec![format!(
                    "docker service update --constraint-add {} {}",
                    shell_quote(&format!("node.hostname=={old}")),
                    shell_quote(&service.name)
                )],
            },
        ],
    });
}

/// A named volume of the local driver without a server.
fn is_local(mount: &Mount) -> bool {
    mount.kind == "volume"
        && !mount.source.is_empty()
        && matches!(mount.driver.as_str(), "" | "local")
        && mount.options.is_empty()
}
