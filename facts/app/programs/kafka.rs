//! Kafka.

use super::{is_loopback, is_name};
use crate::app::program::{Config, Endpoint, HostSetting, Program, Version, host_of, port_of};
use crate::app::settings::{Setting, Settings};

pub(in crate::app) const KAFKA: Program = Program {
    name: "kafka",
    title: "Kafka",
    images: &["kafka", "cp-kafka", "cp-server"],
    signature_vars: &[
        "KAFKA_ADVERTISED_LISTENERS",
        "KAFKA_CFG_ADVERTISED_LISTENERS",
        "KAFKA_CFG_LISTENERS",
        "KAFKA_ADVERTISED_HOST_NAME",
    ],
    files: &[
        "/opt/kafka/config/server.properties",
        "/opt/bitnami/kafka/config/server.properties",
        "/etc/kafka/kafka.properties",
        "/etc/kafka/server.properties",
    ],
    keys: &[
        "listeners",
        "advertised.listeners",
        "node.id",
        "broker.id",
        "controller.quorum.voters",
        "controller.quorum.bootstrap.servers",
        "zookeeper.connect",
        "KAFKA_LISTENERS",
        "KAFKA_ADVERTISED_LISTENERS",
        "KAFKA_ADVERTISED_HOST_NAME",
        "KAFKA_NODE_ID",
        "KAFKA_BROKER_ID",
        "KAFKA_CONTROLLER_QUORUM_VOTERS",
        "KAFKA_ZOOKEEPER_CONNECT",
        "KAFKA_CFG_LISTENERS",
        "KAFKA_CFG_ADVERTISED_LISTENERS",
        "KAFKA_CFG_NODE_ID",
        "KAFKA_CFG_BROKER_ID",
        "KAFKA_CFG_CONTROLLER_QUORUM_VOTERS",
        "KAFKA_CFG_ZOOKEEPER_CONNECT",
    ],
    read: kafka,
};

fn kafka(settings: &Settings, _: Version) -> Config {
    // The image writes the variables into the file, so they count before it is read.
    let of = |name: &str, variable: &str| {
        let names = [format!("KAFKA_{variable}"), format!("KAFKA_CFG_{variable}"), name.to_owned()];
        settings.value(&names.each_ref().map(String::as_str)).cloned()
    };
    let listeners = of("listeners", "LISTENERS");
    let advertised = of("advertised.listeners", "ADVERTISED_LISTENERS");
    let peers = of("controller.quorum.voters", "CONTROLLER_QUORUM_VOTERS")
        .or(of("zookeeper.connect", "ZOOKEEPER_CONNECT"));
    let parts = |setting: &Option<Setting>| -> Vec<String> {
        let text = setting.as_ref().map(|setting| setting.value.clone()).unwrap_or_default();
        let pairs = text.split(',').filter_map(|part| part.trim().split_once("://"));
        pairs.map(|(_, rest)| rest.to_owned()).collect()
    };
    let configured = parts(&advertised);
    // A listener for the host itself is right beside one for the cluster; it is wrong where all are so.
    let reachable = configured.iter().any(|rest| !is_loopback(host_of(rest)));
    let mut endpoints = Vec::new();
    for rest in parts(&listeners) {
        endpoints.extend(listeners.as_ref().map(|setting| Endpoint {
            what: "listener".into(),
            bind: Some(HostSetting::host(host_of(&rest), setting)),
            advertise: None,
            port: port_of(&rest),
        }));
    }
    for rest in configured {
        let host = host_of(&rest);
        endpoints.extend(advertised.as_ref().filter(|_| !reachable || !is_loopback(host)).map(|setting| {
            Endpoint {
                what: "listener".into(),
                bind: None,
                advertise: Some(HostSetting::host(host, setting)),
                port: port_of(&rest),
            }
        }));
    }
    let named = settings.value(&["KAFKA_ADVERTISED_HOST_NAME"]);
    // By default a broker advertises where it listens, and it refuses to advertise `0.0.0.0`.
    let listening = listeners.as_ref().filter(|_| advertised.is_none() && named.is_none());
    let wild = |part: &str| !part.contains("CONTROLLER") && part.contains("://0.0.0.0:");
    endpoints.extend(listening.filter(|setting| setting.value.split(',').any(wild)).map(|setting| {
        Endpoint {
            what: "listener".into(),
            bind: None,
            advertise: Some(HostSetting::host("0.0.0.0", setting)),
            port: setting.value.split(',').find(|part| wild(part)).and_then(port_of),
        }
    }));
    endpoints.extend(named.map(|setting| Endpoint {
        what: "broker".into(),
        advertise: Some(HostSetting::of(setting)),
        ..Endpoint::default()
    }));
    let hosts = peers.as_ref().map(|setting| setting.value.as_str()).unwrap_or_default().split(',');
    Config {
        // A single broker serves others, too.
        clustered: true,
        endpoints,
        identity: of("node.id", "NODE_ID")
            .or(of("broker.id", "BROKER_ID"))
            .filter(|setting| !setting.value.starts_with('-')),
        peers: hosts
            .map(|it| {
                host_of(it.split('/').next().unwrap_or_default().rsplit('@').next().unwrap_or_default())
                    .to_owned()
            })
            .filter(|it| is_name(it))
            .collect(),
        ..Config::default()
    }
}
