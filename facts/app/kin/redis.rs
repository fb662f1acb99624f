//! Redis and Valkey: clusters, and replicas beneath a sentinel.

use super::{is_name, is_wildcard};
use crate::app::program::{Claim, Config, Endpoint, Program, Version, host_of};
use crate::app::settings::Settings;

pub(in crate::app) const REDIS: Program = Program {
    name: "redis",
    title: "Redis",
    images: &["redis", "redis-cluster", "redis-sentinel", "redis-stack-server", "valkey", "valkey-cluster"],
    marks: &["REDIS_CLUSTER_ANNOUNCE_IP", "REDIS_CLUSTER_ANNOUNCE_HOSTNAME", "REDIS_REPLICA_IP"],
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
    ],
    read: redis,
};

/// What is announced counts; where nothing is, the others see where a connection comes from, which is right.
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
    let of_cluster = settings.first(&["cluster-enabled"]).is_some_and(|said| said.value == "yes");
    let primary = settings.value(&["replicaof", "slaveof"]);
    let nodes = settings.value(&["REDIS_NODES"]);
    let port = settings.port(&["port"]).or(Some(6379));
    let endpoint = |bind, advertise| Endpoint { what: "server".into(), bind, advertise, port };
    // Of several addresses one that begins with `-` may be missing.
    let bound = settings.value(&["bind"]).into_iter().flat_map(|said| {
        let addrs = said.value.split_whitespace().map(|addr| addr.trim_start_matches('-'));
        addrs.map(|addr| Claim::host(addr, said)).collect::<Vec<_>>()
    });
    let mut endpoints: Vec<Endpoint> = bound.map(|claim| endpoint(Some(claim), None)).collect();
    endpoints.extend(announced.map(|said| endpoint(None, Some(Claim::of(said)))));
    let listed = nodes.map(|said| said.value.as_str()).unwrap_or_default();
    let primary = primary.and_then(|said| said.value.split_whitespace().next()).unwrap_or_default();
    let peers = listed.split([' ', ',']).chain([primary]).map(host_of);
    Config {
        clustered: of_cluster || announced.is_some() || !primary.is_empty() || nodes.is_some(),
        endpoints,
        peers: peers.filter(|host| is_name(host) && !is_wildcard(host)).map(str::to_owned).collect(),
        ..Config::default()
    }
}
