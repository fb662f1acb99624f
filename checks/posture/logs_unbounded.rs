use super::advice;
use crate::{Evidence, Findings, Judged, Subject, View};
use facts::Host;
use facts::swarm::LocalState;

check! {
    /// The log driver is json-file without `max-size`.
    ///
    /// ## Why it matters
    /// The log of a container grows until the disk is full; then the engine, the tasks and, on a manager, raft fail.
    ///
    /// ## How to fix it
    /// Set `log-opts` in daemon.json, or the log driver `local`, restart the engine, and create the tasks again: the setting
    /// applies to new containers.
    ///
    /// ## When it is wrong
    /// If every service sets its own log options.
    ///
    /// Source: Docker docs "JSON File logging driver"; moby `daemon/logger/jsonfilelog`.
    "posture/logs-unbounded": Info, "container logs grow without a limit";
    healthy "container logs are limited";
    needs DaemonJson, Info;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    if host.info.get()?.swarm.state != LocalState::Active {
        return Ok(());
    }
    let file = host.daemon_json.get()?;
    let key = |name| file.value.as_ref().and_then(|file| file.key(name));
    let limited = key("log-opts").is_some_and(|options| options.get("max-size").is_some());
    let driver = key("log-driver").and_then(|driver| driver.as_str());
    if limited || driver.is_some_and(|driver| driver != "json-file") {
        return Ok(());
    }
    let summary = format!("container logs on {} have no size limit", host.name);
    let first = Evidence::absent(file, "log-opts with max-size");
    out.report(Subject::Node(host.name.clone()), summary, first).remedy(advice(
        host.name.clone().into(),
        "Limit the size of container logs",
        "add to daemon.json: \"log-driver\": \"json-file\", \"log-opts\": {\"max-size\": \"10m\", \"max-file\": \"3\"}; restart the \
         engine, and create the tasks again",
        vec!["du -sh /var/lib/docker/containers".into(), host.engine_service().command("restart")],
    ));
    Ok(())
}
