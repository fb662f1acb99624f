//! Cassandra.

use super::names;
use crate::app::program::{Claim, Config, Endpoint, Program, Version};
use crate::app::settings::Settings;

pub(in crate::app) const CASSANDRA: Program = Program {
    name: "cassandra",
    title: "Cassandra",
    images: &["cassandra"],
    marks: &["CASSANDRA_BROADCAST_ADDRESS", "CASSANDRA_LISTEN_ADDRESS", "CASSANDRA_SEEDS"],
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
    let claim = |name: &str| settings.value(&[name]).filter(|said| said.value != "auto").map(Claim::of);
    let seeds = settings.value(&["CASSANDRA_SEEDS"]);
    let endpoint = |what: &str, bind: &str, advertise: &str, port| Endpoint {
        what: what.into(),
        bind: claim(bind),
        advertise: claim(advertise),
        port: Some(port),
    };
    Config {
        clustered: seeds.is_some(),
        endpoints: vec![
            endpoint("gossip", "CASSANDRA_LISTEN_ADDRESS", "CASSANDRA_BROADCAST_ADDRESS", 7000),
            endpoint("client port", "CASSANDRA_RPC_ADDRESS", "CASSANDRA_BROADCAST_RPC_ADDRESS", 9042),
        ],
        identity: None,
        peers: seeds.map(|said| names(&said.value)).unwrap_or_default(),
        ..Config::default()
    }
}
