use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use std::collections::BTreeMap;

check! {
    /// `vm.max_map_count` is too low for Elasticsearch or OpenSearch on this node.
    ///
    /// ## Why it matters
    /// Elasticsearch and OpenSearch check the setting when they start as a cluster member and exit with "max virtual memory areas
    /// vm.max_map_count [65530] is too low, increase to at least [262144]". The task restarts in a loop, on this node only.
    /// Containers use the setting of the host.
    ///
    /// ## How to fix it
    /// Set `vm.max_map_count` to 262144 on each node that may run the service.
    ///
    /// ## When it is wrong
    /// When the value was raised after the line was logged, until the task has restarted.
    ///
    /// Source: Elasticsearch docs "Virtual memory" and "Bootstrap checks"; OpenSearch docs "Important settings".
    "host/max-map-count-low": Error, "vm.max_map_count is too low for a search engine on this node";
    healthy "vm.max_map_count suffices for the services on this node";
    needs Sysctls, Apps;
    for each Host: run
}

const KEY: &str = "vm.max_map_count";
const REQUIRED: u64 = 262_144;
/// What both programs log when they exit for it.
const LOGGED: &str = "vm.max_map_count";

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let sysctls = host.sysctls.get()?;
    let Some(value) = sysctls.value(KEY).and_then(|value| value.trim().parse::<u64>().ok()) else {
        return Ok(());
    };
    if value >= REQUIRED {
        return Ok(());
    }
    let apps = host.apps.get()?;
    // A single node and an old version run with a low value, so the value alone is no finding.
    let logged = apps.apps.iter().filter_map(|app| {
        let line = app.log.iter().rfind(|line| line.contains(LOGGED) && line.contains("too low"))?;
        Some((app, line))
    });
    let lines: BTreeMap<&str, (&str, &String)> =
        logged.map(|(app, line)| (app.service_name.as_str(), (app.name.as_str(), line))).collect();
    if lines.is_empty() {
        return Ok(());
    }
    let names = lines.keys().copied().collect::<Vec<_>>().join(", ");
    let summary = format!("{KEY} is {value} on {}, and {names} needs {REQUIRED}", host.name);
    let first = Evidence::value(sysctls, format!("{KEY} = {value}"));
    let finding = out.report(Subject::Node(host.name.clone()), summary, first);
    for (container, line) in lines.values() {
        finding.with(Evidence::value(apps, format!("log of {container}: {line}")));
    }
    for service in lines.keys() {
        finding.also_affects(Subject::Service((*service).to_owned()));
    }
    finding.remedy(Remedy {
        title: format!("Set {KEY} to {REQUIRED} on {}", host.name).into(),
        risk: Risk::Safe,
        impact: "Running tasks are not affected.".into(),
        steps: vec![Step::SetSysctl {
            node: host.name.clone().into(),
            key: KEY.into(),
            to: REQUIRED.to_string(),
        }],
    });
    Ok(())
}
