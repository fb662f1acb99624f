use super::{compose, edit, line, subject};
use crate::model::workload::is_stateful;
use crate::{Findings, Judged, View};

check! {
    /// An update starts the new task first, and both tasks need the same port or data.
    ///
    /// ## Why it matters
    /// With `order: start-first` the old and the new task run together. A host port can only be held by one of them on a
    /// node, so the update waits. Two tasks of a database that write to one volume damage the data, or the second does not
    /// start.
    ///
    /// ## How to fix it
    /// Use `order: stop-first`, which is the default.
    ///
    /// ## When it is wrong
    /// There are more nodes than tasks and the port is the only obstacle, so that the new task runs on another node.
    ///
    /// Source: swarmkit `manager/orchestrator/update/updater.go`, `manager/scheduler/filter.go` (`HostPortFilter`).
    "stack/start-first-conflict": Warning, "an update starts a second task that needs the same port or data";
    healthy "no update of the stack starts two tasks that need the same port or data";
    needs Stack;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    for service in &compose(stack)?.services {
        let Some(order) = &service.start_first else { continue };
        let name = &service.name.value;
        let image = service.image.as_ref().map_or("", |image| image.value.as_str());
        let port = service.ports.iter().find(|port| !port.value.ingress && port.value.published.is_some());
        let data = service.mounts.iter().find(|mount| is_stateful(image) && !mount.value.source.is_empty());
        let (number, what) = match (port, data) {
            (Some(port), _) => (port.line, format!("host port {}", port.value.published.unwrap_or_default())),
            (None, Some(mount)) => (mount.line, format!("the data in {}", mount.value.source)),
            (None, None) => continue,
        };
        let summary = format!(
            "an update of {name} starts the new task first (order: start-first), and both need {what}"
        );
        out.report(subject(service), summary, line(stack, order.line)).with(line(stack, number)).remedy(
            edit(
                stack,
                format!("Let updates of {name} stop the old task first"),
                format!("line {}: order: stop-first", order.line),
            ),
        );
    }
    Ok(())
}
