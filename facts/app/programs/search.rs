//! Elasticsearch and OpenSearch.

use super::{is_wildcard, names};
use crate::app::program::{Config, Endpoint, HostSetting, Program, Requirement, Version};
use crate::app::settings::{Origin, Setting, Settings};

const SEARCH_KEYS: &[&str] = &[
    "network.host",
    "network.bind_host",
    "network.publish_host",
    "http.host",
    "http.port",
    "http.publish_host",
    "transport.host",
    "transport.bind_host",
    "transport.publish_host",
    "discovery.type",
    "discovery.seed_hosts",
    "discovery.zen.ping.unicast.hosts",
    "cluster.initial_master_nodes",
    "cluster.initial_cluster_manager_nodes",
    "node.name",
];

pub(in crate::app) const ELASTICSEARCH: Program = Program {
    name: "elasticsearch",
    title: "Elasticsearch",
    images: &["elasticsearch", "elasticsearch-oss"],
    signature_vars: &[],
    files: &["/usr/share/elasticsearch/config/elasticsearch.yml"],
    keys: SEARCH_KEYS,
    read: search,
};

pub(in crate::app) const OPENSEARCH: Program = Program {
    name: "opensearch",
    title: "OpenSearch",
    images: &["opensearch"],
    signature_vars: &[],
    files: &["/usr/share/opensearch/config/opensearch.yml"],
    keys: SEARCH_KEYS,
    read: search,
};

fn search(settings: &Settings, _: Version) -> Config {
    let single = settings.first(&["discovery.type"]).is_some_and(|setting| setting.value == "single-node");
    let seeds = settings.value(&["discovery.seed_hosts", "discovery.zen.ping.unicast.hosts"]);
    let masters = settings.value(&["cluster.initial_master_nodes", "cluster.initial_cluster_manager_nodes"]);
    let host_setting = |names: &[&str]| {
        settings
            .value(names)
            .filter(|setting| !setting.value.starts_with(['_', '[', '$']))
            .map(HostSetting::of)
    };
    let both = host_setting(&["network.host"]);
    // For a wildcard, one of the container's own addresses is published.
    let published = both.clone().filter(|host_setting| !is_wildcard(&host_setting.host));
    let local = settings
        .value(&["transport.publish_host", "transport.host", "network.publish_host", "network.host"])
        .filter(|setting| setting.value == "_local_")
        .map(|setting| HostSetting::host("localhost", setting));
    Config {
        clustered: !single && (seeds.is_some() || masters.is_some()),
        endpoints: vec![
            Endpoint {
                what: "transport".into(),
                bind: host_setting(&["transport.bind_host", "transport.host", "network.bind_host"]).or(both),
                advertise: local
                    .or(host_setting(&["transport.publish_host", "transport.host", "network.publish_host"]))
                    .or(published),
                port: Some(9300),
            },
            Endpoint {
                what: "HTTP".into(),
                port: settings.port(&["http.port"]).or(Some(9200)),
                ..Endpoint::default()
            },
        ],
        identity: settings.value(&["node.name"]).cloned(),
        requirements: picks_address(settings)
            .filter(|_| !single && (seeds.is_some() || masters.is_some()))
            .into_iter()
            .collect(),
        peers: seeds.map(|setting| names(&setting.value)).unwrap_or_default(),
        ..Config::default()
    }
}

/// Of a wildcard, the first of the container's addresses in order of value is published. That of the ingress network
/// comes before those of other overlay networks.
fn picks_address(settings: &Settings) -> Option<Requirement> {
    let publish = settings.value(&["transport.publish_host", "network.publish_host", "transport.host"]);
    // The official images listen on all addresses unless configured otherwise.
    let unset = || Setting { name: "network.host".into(), value: String::new(), origin: Origin::Unset };
    let host = settings.value(&["network.host"]).cloned().unwrap_or_else(unset);
    let wild = is_wildcard(&host.value) || matches!(host.value.as_str(), "" | "_site_" | "_global_");
    (publish.is_none() && wild).then_some(Requirement::OneNetwork {
        setting: host,
        how: "publishes the lowest of its own addresses",
        fix: "network.publish_host to _eth0_, or publish no port through the routing mesh",
        certain: true,
    })
}
