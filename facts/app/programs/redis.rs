//! Redis and Valkey: clusters, and replicas with Sentinel.

use super::{is_name, is_wildcard};
use crate::app::program::{Config, Endpoint, HostSetting, Program, Requirement, Version, host_of};
use crate::app::settings::Settings;

pub(in crate::app) const REDIS: Program = Program {
    name: "redis",
    title: "Redis",
    images: &["redis", "redis-cluster", "redis-sentinel", "redis-stack-server", "valkey", "valkey-cluster"],
    signature_vars: &["REDIS_CLUSTER_ANNOUNCE_IP", "REDIS_CLUSTER_ANNOUNCE_HOSTNAME", "REDIS_REPLICA_IP"],
    files: &["/usr/local/etc/redis/redis.conf", "/etc/redis/redis.conf", "/etc/redis.conf"],
    keys: &[
        "bind",
        "port",
        "cluster-enabled",
        "cluster-announce-ip",
        "cluster-announce-hostname",
        "replica-announce-ip",
        "slave-announce-ip",
        "replicaof",
        "slaveof",
        "REDIS_CLUSTER_ANNOUNCE_IP",
        "REDIS_CLUSTER_ANNOUNCE_HOSTNAME",
        "REDIS_REPLICA_IP",
        "REDIS_NODES",
        "REDIS_REPLICATION_MODE",
        "REDIS_MASTER_HOST",
        "REDIS_SENTINEL_*",
        "sentinel",
    ],
    read: redis,
};

/// Without an announced address, the primary takes the address that a replica's connection comes from. Behind a VIP
/// that is the balancer's.
fn redis(settings: &Settings, _: Version) -> Config {
    let announced = settings.value(&[
        "cluster-announce-ip",
        "cluster-announce-hostname",
        "replica-announce-ip",
        "slave-announce-ip",
        "REDIS_CLUSTER_ANNOUNCE_IP",
        "REDIS_CLUSTER_ANNOUNCE_HOSTNAME",
        "REDIS_REPLICA_IP",
    ]);
    let of_cluster = settings.first(&["cluster-enabled"]).is_some_and(|setting| setting.value == "yes");
    let mode = settings.first(&["REDIS_REPLICATION_MODE"]).map(|setting| setting.value.as_str());
    let of_image = settings.value(&["REDIS_MASTER_HOST"]);
    let primary = settings
        .value(&["replicaof", "slaveof"])
        .or(of_image.filter(|_| matches!(mode, Some("slave" | "replica"))));
    let is_sentinel = settings.first(&["sentinel"]).is_some()
        || settings.beginning("REDIS_SENTINEL_").next().is_some()
        || (of_image.is_some() && mode.is_none());
    let nodes = settings.value(&["REDIS_NODES"]);
    let port = settings.port(&["port"]).or(Some(6379));
    let endpoint = |bind, advertise| Endpoint { what: "server".into(), bind, advertise, port };
    // An address that begins with `-` may be missing on the host.
    let bound = settings.value(&["bind"]).into_iter().flat_map(|setting| {
        let addrs = setting.value.split_whitespace().map(|addr| addr.trim_start_matches('-'));
        addrs.map(|addr| HostSetting::host(addr, setting)).collect::<Vec<_>>()
    });
    let mut endpoints: Vec<Endpoint> = bound.map(|host_setting| endpoint(Some(host_setting), None)).collect();
    endpoints.extend(announced.map(|setting| endpoint(None, Some(HostSetting::of(setting)))));
    let listed = nodes.map(|setting| setting.value.as_str()).unwrap_or_default();
    let direct = primary.filter(|_| announced.is_none()).and_then(|setting| {
        let host = host_of(setting.value.split_whitespace().next()?).to_owned();
        Some(Requirement::DirectConnection {
            setting: setting.clone(),
            host,
            fix: "replica-announce-ip (REDIS_REPLICA_IP) to a unique hostname of the task, or the host of the primary to \
                  tasks.NAME",
        })
    });
    let primary = primary.and_then(|setting| setting.value.split_whitespace().next()).unwrap_or_default();
    let peers = listed.split([' ', ',']).chain([primary]).map(host_of);
    Config {
        clustered: of_cluster || announced.is_some() || !primary.is_empty() || nodes.is_some(),
        endpoints,
        requirements: direct.into_iter().collect(),
        is_sentinel,
        peers: peers.filter(|host| is_name(host) && !is_wildcard(host)).map(str::to_owned).collect(),
        ..Config::default()
    }
}
