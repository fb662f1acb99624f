//! Cassandra.

use super::names;
use crate::app::program::{Config, Endpoint, HostSetting, Program, Requirement, Version};
use crate::app::settings::Settings;

pub(in crate::app) const CASSANDRA: Program = Program {
    name: "cassandra",
    title: "Cassandra",
    images: &["cassandra"],
    signature_vars: &["CASSANDRA_BROADCAST_ADDRESS", "CASSANDRA_LISTEN_ADDRESS", "CASSANDRA_SEEDS"],
    files: &[],
    keys: &[
        "CASSANDRA_LISTEN_ADDRESS",
        "CASSANDRA_BROADCAST_ADDRESS",
        "CASSANDRA_RPC_ADDRESS",
        "CASSANDRA_BROADCAST_RPC_ADDRESS",
        "CASSANDRA_SEEDS",
    ],
    read: cassandra,
};

fn cassandra(settings: &Settings, _: Version) -> Config {
    // `auto` is the container's own address.
    let host_setting =
        |name: &str| settings.value(&[name]).filter(|setting| setting.value != "auto").map(HostSetting::of);
    let seeds = settings.value(&["CASSANDRA_SEEDS"]);
    let endpoint = |what: &str, bind: &str, advertise: &str, port| Endpoint {
        what: what.into(),
        bind: host_setting(bind),
        advertise: host_setting(advertise),
        port: Some(port),
    };
    Config {
        clustered: seeds.is_some(),
        endpoints: vec![
            endpoint("gossip", "CASSANDRA_LISTEN_ADDRESS", "CASSANDRA_BROADCAST_ADDRESS", 7000),
            endpoint("client port", "CASSANDRA_RPC_ADDRESS", "CASSANDRA_BROADCAST_RPC_ADDRESS", 9042),
        ],
        identity: None,
        requirements: seeds
            .filter(|_| picks_address(settings))
            .map(|seeds| Requirement::OneNetwork {
                setting: settings.value(&["CASSANDRA_LISTEN_ADDRESS"]).unwrap_or(seeds).clone(),
                how: "broadcasts the first of its own addresses",
                fix: "CASSANDRA_LISTEN_ADDRESS and CASSANDRA_BROADCAST_ADDRESS to a unique hostname of the task, or \
                      publish its ports with mode: host",
                certain: false,
            })
            .into_iter()
            .collect(),
        peers: seeds.map(|setting| names(&setting.value)).unwrap_or_default(),
        ..Config::default()
    }
}

/// Whether neither the listening nor the broadcast address is configured; `auto` is the first address.
fn picks_address(settings: &Settings) -> bool {
    ["CASSANDRA_LISTEN_ADDRESS", "CASSANDRA_BROADCAST_ADDRESS"]
        .iter()
        .all(|name| settings.value(&[name]).is_none_or(|setting| setting.value == "auto"))
}
