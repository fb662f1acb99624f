//! RabbitMQ.

use crate::app::program::{Config, Endpoint, HostSetting, Program, Requirement, Version};
use crate::app::settings::Settings;

pub(in crate::app) const RABBITMQ: Program = Program {
    name: "rabbitmq",
    title: "RabbitMQ",
    images: &["rabbitmq"],
    signature_vars: &["RABBITMQ_NODENAME", "RABBITMQ_NODE_NAME"],
    files: &["/etc/rabbitmq/rabbitmq.conf"],
    keys: &[
        "RABBITMQ_NODENAME",
        "RABBITMQ_NODE_NAME",
        "RABBITMQ_CLUSTER_NODE_NAME",
        "RABBITMQ_USE_LONGNAME",
        "cluster_formation.peer_discovery_backend",
        "cluster_formation.classic_config.nodes.*",
    ],
    read: rabbitmq,
};

/// The part of a node's name behind the `@` is the host to which peers connect.
fn rabbitmq(settings: &Settings, _: Version) -> Config {
    let name = settings.value(&["RABBITMQ_NODENAME", "RABBITMQ_NODE_NAME"]);
    let peers: Vec<String> = settings
        .beginning("cluster_formation.classic_config.nodes.")
        .filter_map(|(_, setting)| Some(setting.value.split_once('@')?.1.to_owned()))
        .collect();
    let long = settings
        .first(&["RABBITMQ_USE_LONGNAME"])
        .filter(|setting| setting.value.eq_ignore_ascii_case("true"))
        // A node name with a full host needs no hostname.
        .filter(|_| {
            !name.is_some_and(|name| name.value.split_once('@').is_some_and(|(_, host)| host.contains('.')))
        });
    let joins = settings.value(&["RABBITMQ_CLUSTER_NODE_NAME", "cluster_formation.peer_discovery_backend"]);
    let advertise =
        name.and_then(|setting| Some(HostSetting::host(setting.value.split_once('@')?.1, setting)));
    Config {
        clustered: joins.is_some() || !peers.is_empty(),
        endpoints: vec![Endpoint { what: "node name".into(), bind: None, advertise, port: Some(25672) }],
        requirements: long
            .map(|setting| Requirement::FullHostname { setting: setting.clone() })
            .into_iter()
            .collect(),
        identity: name.cloned(),
        peers,
        ..Config::default()
    }
}
