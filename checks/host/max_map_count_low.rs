use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use std::collections::BTreeSet;

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
    /// When the program runs as a single node (`discovery.type=single-node`), which skips the check.
    ///
    /// Source: Elasticsearch docs "Virtual memory" and "Bootstrap checks"; OpenSearch docs "Important settings".
    "host/max-map-count-low": Warning, "vm.max_map_count is too low for a search engine on this node";
    healthy "vm.max_map_count suffices for the services on this node";
    needs Sysctls, Containers, Services;
    for each Host: run
}

const KEY: &str = "vm.max_map_count";
const REQUIRED: u64 = 262_144;
/// Images whose programs check the setting.
const IMAGES: [&str; 2] = ["elasticsearch", "opensearch"];

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let sysctls = host.sysctls.get()?;
    let Some(value) = sysctls.value(KEY).and_then(|value| value.trim().parse::<u64>().ok()) else {
        return Ok(());
    };
    if value >= REQUIRED {
        return Ok(());
    }
    let containers = host.containers.get()?;
    let services = view.snapshot.services.get().map(|services| services.value.as_slice()).unwrap_or_default();
    let single = |name: &str| {
        let service = services.iter().find(|service| service.name == name);
        service.is_some_and(|service| {
            service.env.get("discovery.type").is_some_and(|kind| kind == "single-node")
        })
    };
    // `docker.elastic.co/elasticsearch/elasticsearch:8.13.0@sha256:...`, not `elasticsearch-exporter`.
    let program = |image: &str| {
        let path = image.split('@').next().unwrap_or(image);
        let name = path.rsplit('/').next().unwrap_or(path);
        let name = name.split(':').next().unwrap_or(name);
        IMAGES.contains(&name)
    };
    let affected: BTreeSet<&str> = containers
        .iter()
        .filter(|container| program(&container.image) && !single(&container.service_name))
        .map(|container| container.service_name.as_str())
        .collect();
    if affected.is_empty() {
        return Ok(());
    }
    let names = affected.into_iter().collect::<Vec<_>>().join(", ");
    let summary = format!("{KEY} is {value} on {}, and {names} needs {REQUIRED}", host.name);
    out.report(
        Subject::Node(host.name.clone()),
        summary,
        Evidence::value(sysctls, format!("{KEY} = {value}")),
    )
    .with(Evidence::value(containers, format!("tasks of {names} on this node")))
    .remedy(Remedy {
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
