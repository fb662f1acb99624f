//! Programs that advertise addresses as NiFi does, each with its own settings.

mod cassandra;
mod consul;
mod etcd;
mod galera;
mod hazelcast;
mod kafka;
mod mongodb;
mod rabbitmq;
mod redis;
mod search;
mod zookeeper;

use super::program::{host_of, port_of};
pub(super) use cassandra::CASSANDRA;
pub(super) use consul::CONSUL;
pub(super) use etcd::ETCD;
pub(super) use galera::GALERA;
pub(super) use hazelcast::HAZELCAST;
pub(super) use kafka::KAFKA;
pub(super) use mongodb::MONGODB;
pub(super) use rabbitmq::RABBITMQ;
pub(super) use redis::REDIS;
pub(super) use search::{ELASTICSEARCH, OPENSEARCH};
pub(super) use zookeeper::ZOOKEEPER;

/// The names in a list.
fn names(list: &str) -> Vec<String> {
    let parts = list.split([',', ' ', '[', ']', '"']).map(|part| host_of(part).to_owned());
    parts.filter(|host| is_name(host)).collect()
}

/// Host and port of `http://host:port`.
fn host_of_url(url: &str) -> (&str, Option<u16>) {
    let rest = url.trim().split_once("://").map_or(url.trim(), |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    (host_of(authority), port_of(authority))
}

/// A host that means a thing among others: neither blank, a wildcard nor loopback.
fn is_name(host: &str) -> bool {
    !host.is_empty() && !is_wildcard(host) && !is_loopback(host)
}

fn is_wildcard(host: &str) -> bool {
    matches!(host, "0.0.0.0" | "::" | "*")
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "::1" || host.starts_with("127.")
}

#[cfg(test)]
mod tests {
    use crate::app::program::{Config, Program};
    use crate::app::settings::Settings;

    fn config(program: &str, env: &[(&str, &str)], args: &[&str]) -> Config {
        let program = Program::named(program).unwrap();
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let settings = Settings::from_env_and_args(env.iter().copied(), &args, &|name| program.wants(name));
        (program.read)(&settings, None)
    }

    fn binds(config: &Config) -> Vec<&str> {
        config
            .endpoints
            .iter()
            .filter_map(|it| it.bind.as_ref())
            .map(|host_setting| host_setting.host.as_str())
            .collect()
    }

    fn advertises(config: &Config) -> Vec<&str> {
        config
            .endpoints
            .iter()
            .filter_map(|it| it.advertise.as_ref())
            .map(|host_setting| host_setting.host.as_str())
            .collect()
    }

    #[test]
    fn an_ensemble_is_read_in_each_of_its_spellings() {
        for (name, list, id) in [
            ("ZOO_SERVERS", "server.1=0.0.0.0:2888:3888;2181 server.2=zoo2:2888:3888;2181", "ZOO_MY_ID"),
            ("ZOO_SERVERS", "0.0.0.0:2888:3888::1,zoo2:2888:3888::2", "ZOO_SERVER_ID"),
            ("ZOOKEEPER_SERVERS", "0.0.0.0:2888:3888;zoo2:2888:3888", "ZOOKEEPER_SERVER_ID"),
        ] {
            let config = config("zookeeper", &[(name, list), (id, "1")], &[]);
            assert_eq!((binds(&config), advertises(&config)), (vec!["0.0.0.0"], vec!["zoo2"]), "{list}");
            assert!(config.clustered && config.peers == ["zoo2"], "{config:?}");
        }
    }

    #[test]
    fn an_entry_of_zookeeper_that_is_not_its_own_is_for_others() {
        let list = "server.1=0.0.0.0:2888:3888 server.2=zoo2:2888:3888";
        let config = config("zookeeper", &[("ZOO_SERVERS", list), ("ZOO_MY_ID", "2")], &[]);
        assert_eq!((binds(&config), advertises(&config)), (vec!["zoo2"], vec!["0.0.0.0"]));
    }

    #[test]
    fn a_listener_for_the_host_beside_one_for_the_cluster_is_no_fault() {
        let both = "PLAINTEXT://kafka:9092,HOST://localhost:29092";
        assert_eq!(advertises(&config("kafka", &[("KAFKA_ADVERTISED_LISTENERS", both)], &[])), ["kafka"]);
        let alone = "PLAINTEXT://localhost:9092";
        assert_eq!(
            advertises(&config("kafka", &[("KAFKA_ADVERTISED_LISTENERS", alone)], &[])),
            ["localhost"]
        );
        let voters = config("kafka", &[("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@k1:9093,2@k2:9093")], &[]);
        assert_eq!(voters.peers, ["k1", "k2"]);
    }

    #[test]
    fn a_database_is_clustered_where_it_is_told_so() {
        let args = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let read = |program: &str, env: &[(&str, &str)], line: &str| {
            let program = Program::named(program).unwrap();
            let settings =
                Settings::from_env_and_args(env.iter().copied(), &args(line), &|name| program.wants(name));
            (program.read)(&settings, None)
        };
        let redis = read(
            "redis",
            &[],
            "redis-server --bind 127.0.0.1 --cluster-enabled yes --cluster-announce-ip 10.0.1.7",
        );
        assert_eq!((binds(&redis), advertises(&redis)), (vec!["127.0.0.1"], vec!["10.0.1.7"]));
        assert!(redis.clustered && !read("redis", &[], "redis-server --bind 127.0.0.1").clustered);
        let mongodb = read("mongodb", &[], "mongod --replSet rs0 --bind_ip localhost,db1");
        assert!(mongodb.clustered && binds(&mongodb) == ["localhost", "db1"], "{mongodb:?}");
        assert!(!read("mongodb", &[], "mongod --bind_ip_all").clustered);
        let list = "mariadbd --wsrep-cluster-address=gcomm://db1,db2:4567?pc.wait_prim=no";
        let galera = read("galera", &[("MARIADB_GALERA_NODE_ADDRESS", "localhost:4567")], list);
        assert!(galera.clustered && galera.peers == ["db1", "db2"], "{galera:?}");
        assert_eq!(advertises(&galera), ["localhost"]);
        assert!(!read("galera", &[], "mariadbd").clustered);
    }

    #[test]
    fn arguments_count_as_variables_do() {
        let args = [
            "etcd",
            "--initial-cluster=a=http://a:2380,b=http://b:2380",
            "--listen-peer-urls",
            "http://a:2380",
        ];
        let config = config("etcd", &[("ETCD_INITIAL_ADVERTISE_PEER_URLS", "http://localhost:2380")], &args);
        assert_eq!((binds(&config), advertises(&config)), (vec!["a"], vec!["localhost"]));
        assert!(config.clustered);
    }
}
