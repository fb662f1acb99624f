//! Elasticsearch and OpenSearch.

use super::{is_wildcard, names};
use crate::app::program::{Claim, Config, Endpoint, Program, Version};
use crate::app::settings::Settings;

const SEARCH_KEYS: &[&str] = &[
    "network.host",
    "network.bind_host",
    "network.publish_host",
    "http.host",
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
    marks: &[],
    files: &["/usr/share/elasticsearch/config/elasticsearch.yml"],
    keys: SEARCH_KEYS,
    read: search,
};

pub(in crate::app) const OPENSEARCH: Program = Program {
    name: "opensearch",
    title: "OpenSearch",
    images: &["opensearch"],
    marks: &[],
    files: &["/usr/share/opensearch/config/opensearch.yml"],
    keys: SEARCH_KEYS,
    read: search,
};

fn search(settings: &Settings, _: Version) -> Config {
    let single = settings.first(&["discovery.type"]).is_some_and(|said| said.value == "single-node");
    let seeds = settings.value(&["discovery.seed_hosts", "discovery.zen.ping.unicast.hosts"]);
    let masters = settings.value(&["cluster.initial_master_nodes", "cluster.initial_cluster_manager_nodes"]);
    let claim = |names: &[&str]| {
        settings.value(names).filter(|said| !said.value.starts_with(['_', '[', '$'])).map(Claim::of)
    };
    let both = claim(&["network.host"]);
    // Of a host that is a wildcard one of the container's own addresses is published.
    let published = both.clone().filter(|claim| !is_wildcard(&claim.host));
    let local = settings
        .value(&["transport.publish_host", "transport.host", "network.publish_host", "network.host"])
        .filter(|said| said.value == "_local_")
        .map(|said| Claim::host("localhost", said));
    Config {
        clustered: !single && (seeds.is_some() || masters.is_some()),
        endpoints: vec![Endpoint {
            what: "transport".into(),
            bind: claim(&["transport.bind_host", "transport.host", "network.bind_host"]).or(both),
            advertise: local
                .or(claim(&["transport.publish_host", "transport.host", "network.publish_host"]))
                .or(published),
            port: Some(9300),
        }],
        identity: settings.value(&["node.name"]).cloned(),
        peers: seeds.map(|said| names(&said.value)).unwrap_or_default(),
        ..Config::default()
    }
}
