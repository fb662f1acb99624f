use super::advice;
use crate::model::workload::is_stateful;
use crate::shell_quote;
use crate::{Evidence, Findings, Judged, Subject, Target, View};

check! {
    /// A program that keeps data is killed when it does not stop within 10 seconds.
    ///
    /// ## Why it matters
    /// Swarm sends SIGTERM and, after the grace period, SIGKILL: a database or a NiFi node that flushes its data meanwhile
    /// has to repair it at the next start, or loses it.
    ///
    /// ## How to fix it
    /// `docker service update --stop-grace-period 1m SERVICE`.
    ///
    /// ## When it is wrong
    /// If the program stops within seconds.
    ///
    /// Source: Docker docs "docker service create", option `--stop-grace-period`; Apache NiFi docs "Administration",
    /// `nifi.flowcontroller.graceful.shutdown.period`.
    "posture/stop-grace-short": Info, "a database may be killed before it has stopped";
    healthy "databases have time to stop";
    needs Services;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    for service in services.iter().filter(|service| is_stateful(&service.image)) {
        let grace = service.stop_grace.unwrap_or(10);
        if grace > 10 {
            continue;
        }
        let name = shell_quote(&service.name);
        let summary = format!("{} has {grace} s to stop before it is killed", service.name);
        let shown = format!("StopGracePeriod: {grace} s");
        out.report(Subject::Service(service.name.clone()), summary, Evidence::value(services, shown)).remedy(
            advice(
                Target::AnyManager,
                "Give the program time to stop",
                "set a grace period that the program needs at most",
                vec![format!("docker service update --stop-grace-period 1m {name}")],
            ),
        );
    }
    Ok(())
}
