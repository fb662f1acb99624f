use super::advice;
use crate::model::workload::is_stateful;
use crate::shell_quote;
use crate::{Evidence, Findings, Judged, Subject, Target, View};

check! {
    /// A service with a volume starts the new task of an update before the old one stops.
    ///
    /// ## Why it matters
    /// Two programs open the same data: the new one does not start because of a lock, or both write.
    ///
    /// ## How to fix it
    /// `docker service update --update-order stop-first SERVICE`.
    ///
    /// ## When it is wrong
    /// If the program is made for several writers on one volume.
    ///
    /// Source: Docker docs "docker service update", option `--update-order`.
    "posture/start-first-stateful": Warning, "an update runs two copies of a database on one volume";
    healthy "updates of databases stop the old task first";
    needs Services;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    for service in services.iter().filter(|service| {
        service.update_config.start_first && is_stateful(&service.image) && !service.mounts.is_empty()
    }) {
        let name = shell_quote(&service.name);
        let summary = format!(
            "updates of {} start the new task while the old one uses {}",
            service.name,
            volume(service)
        );
        let shown = format!("UpdateConfig.Order: start-first; mount {}", volume(service));
        out.report(Subject::Service(service.name.clone()), summary, Evidence::value(services, shown)).remedy(
            advice(
                Target::AnyManager,
                "Stop the old task first",
                "set the update order",
                vec![format!("docker service update --update-order stop-first {name}")],
            ),
        );
    }
    Ok(())
}

/// The first volume of the service.
fn volume(service: &facts::service::Service) -> &str {
    service.mounts.first().map_or("", |mount| mount.source.as_str())
}
