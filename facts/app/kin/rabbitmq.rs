//! RabbitMQ.

use crate::app::program::{Claim, Config, Endpoint, Program, Version};
use crate::app::settings::Settings;

pub(in crate::app) const RABBITMQ: Program = Program {
    name: "rabbitmq",
    title: "RabbitMQ",
    images: &["rabbitmq"],
    marks: &["RABBITMQ_NODENAME", "RABBITMQ_NODE_NAME"],
    files: &["/etc/rabbitmq/rabbitmq.conf"],
    keys: &[
        "RABBITMQ_NODENAME",
        "RABBITMQ_NODE_NAME",
        "RABBITMQ_CLUSTER_NODE_NAME",
        "cluster_formation.peer_discovery_backend",
        "cluster_formation.classic_config.nodes.*",
    ],
    read: rabbitmq,
};

/// The part of a node's name behind the `@` is the address at which the others look for it.
fn rabbitmq(settings: &Settings, _: Version) -> Config {
    let name = settings.value(&["RABBITMQ_NODENAME", "RABBITMQ_NODE_NAME"]);
    let peers: Vec<String> = settings
        .beginning("cluster_formation.classic_config.nodes.")
        .filter_map(|(_, said)| Some(said.value.split_once('@')?.1.to_owned()))
        .collect();
    let joins = settings.value(&["RABBITMQ_CLUSTER_NODE_NAME", "cluster_formation.peer_discovery_backend"]);
    let advertise = name.and_then(|said| Some(Claim::host(said.value.split_once('@')?.1, said)));
    Config {
        clustered: joins.is_some() || !peers.is_empty(),
        endpoints: vec![Endpoint { what: "node name".into(), bind: None, advertise, port: Some(25672) }],
        identity: name.cloned(),
        peers,
        ..Config::default()
    }
}
