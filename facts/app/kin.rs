//! Programs with the same trouble as NiFi, each with its own words for it.

use super::program::{Claim, Config, Endpoint, Program, Version, host_of, port_of};
use super::settings::{Said, Settings};

pub(super) const ZOOKEEPER: Program = Program {
    name: "zookeeper",
    title: "ZooKeeper",
    images: &["zookeeper", "cp-zookeeper"],
    marks: &["ZOO_MY_ID", "ZOO_SERVERS", "ZOO_SERVER_ID", "ZOOKEEPER_SERVER_ID", "ZOOKEEPER_SERVERS"],
    files: &[
        "/conf/zoo.cfg",
        "/etc/zookeeper/conf/zoo.cfg",
        "/opt/bitnami/zookeeper/conf/zoo.cfg",
        "/data/myid",
        "/var/lib/zookeeper/myid",
        "/bitnami/zookeeper/data/myid",
        "/var/lib/zookeeper/data/myid",
    ],
    keys: &[
        "server.*",
        "myid",
        "clientPort",
        "clientPortAddress",
        "quorumListenOnAllIPs",
        "ZOO_MY_ID",
        "ZOO_SERVERS",
        "ZOO_SERVER_ID",
        "ZOO_PORT",
        "ZOO_LISTEN_ALLIPS_ENABLED",
        "ZOOKEEPER_SERVER_ID",
        "ZOOKEEPER_SERVERS",
        "ZOOKEEPER_CLIENT_PORT",
        "ZOOKEEPER_QUORUM_LISTEN_ON_ALL_IPS",
    ],
    read: zookeeper,
};

/// Each server binds for elections what its list says of itself, unless it is told to listen everywhere.
fn zookeeper(settings: &Settings, _: Version) -> Config {
    let id = settings.value(&["myid", "ZOO_MY_ID", "ZOO_SERVER_ID", "ZOOKEEPER_SERVER_ID"]);
    let servers = servers(settings);
    let everywhere =
        ["quorumListenOnAllIPs", "ZOO_LISTEN_ALLIPS_ENABLED", "ZOOKEEPER_QUORUM_LISTEN_ON_ALL_IPS"];
    let everywhere = everywhere.iter().any(|name| {
        settings
            .first(&[name])
            .is_some_and(|said| ["true", "yes"].contains(&said.value.to_lowercase().as_str()))
    });
    let endpoint = |(number, host, said): &(String, String, Said)| {
        let own = id.is_none_or(|id| id.value == *number);
        let claim = Claim::host(host, said);
        Endpoint {
            what: format!("server.{number}"),
            bind: (own && id.is_some() && !everywhere).then(|| claim.clone()),
            // A server's own entry may say that it listens everywhere; nobody else reads it.
            advertise: (!own).then_some(claim),
            port: None,
        }
    };
    let client = settings.value(&["clientPortAddress"]).map(|said| Endpoint {
        what: "client port".into(),
        bind: Some(Claim::of(said)),
        advertise: None,
        port: settings.port(&["clientPort"]),
    });
    Config {
        clustered: servers.len() > 1,
        endpoints: servers.iter().map(endpoint).chain(client).collect(),
        identity: id.cloned(),
        peers: servers.iter().map(|(_, host, _)| host.clone()).filter(|host| is_name(host)).collect(),
        ..Config::default()
    }
}

/// The servers of an ensemble: number, host, and the setting that says so. One variable lists them in one of
/// three ways: `server.1=a:2888:3888;2181 …`, `a:2888:3888::1,…` or, numbered as they stand, `a:2888:3888;…`.
fn servers(settings: &Settings) -> Vec<(String, String, Said)> {
    let first_host = |entry: &str| {
        let entry = entry.trim();
        match entry.starts_with('[') {
            true => host_of(entry).to_owned(),
            false => entry.split([':', '|', ';']).next().unwrap_or_default().to_owned(),
        }
    };
    let mut servers: Vec<_> = settings
        .beginning("server.")
        .map(|(number, said)| (number.to_owned(), first_host(&said.value), said.clone()))
        .collect();
    if !servers.is_empty() {
        return servers;
    }
    let Some(said) = settings.value(&["ZOO_SERVERS", "ZOOKEEPER_SERVERS"]) else { return servers };
    let parts: Vec<&str> = match said.name.as_str() {
        "ZOOKEEPER_SERVERS" => said.value.split(';').collect(),
        _ => said.value.split([',', ' ']).collect(),
    };
    for (index, part) in parts.into_iter().filter(|part| !part.trim().is_empty()).enumerate() {
        let (number, entry) = match part.trim().strip_prefix("server.").and_then(|it| it.split_once('=')) {
            Some((number, entry)) => (number.to_owned(), entry),
            None => match part.rsplit_once("::") {
                Some((entry, number)) => (number.to_owned(), entry),
                None => ((index + 1).to_string(), part),
            },
        };
        let shown = Said { value: part.trim().to_owned(), ..said.clone() };
        servers.push((number, first_host(entry), shown));
    }
    servers
}

pub(super) const KAFKA: Program = Program {
    name: "kafka",
    title: "Kafka",
    images: &["kafka", "cp-kafka", "cp-server"],
    marks: &[
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
    // What the variables say is written into the file, so that they tell of it before it is read.
    let of = |name: &str, variable: &str| {
        let names = [format!("KAFKA_{variable}"), format!("KAFKA_CFG_{variable}"), name.to_owned()];
        settings.value(&names.each_ref().map(String::as_str)).cloned()
    };
    let listeners = of("listeners", "LISTENERS");
    let advertised = of("advertised.listeners", "ADVERTISED_LISTENERS");
    let peers = of("controller.quorum.voters", "CONTROLLER_QUORUM_VOTERS")
        .or(of("zookeeper.connect", "ZOOKEEPER_CONNECT"));
    let parts = |said: &Option<Said>| -> Vec<String> {
        let text = said.as_ref().map(|said| said.value.clone()).unwrap_or_default();
        let pairs = text.split(',').filter_map(|part| part.trim().split_once("://"));
        pairs.map(|(_, rest)| rest.to_owned()).collect()
    };
    let told = parts(&advertised);
    // A listener for the host alone stands beside one for the cluster; only where all are so is nobody reached.
    let reachable = told.iter().any(|rest| !is_loopback(host_of(rest)));
    let mut endpoints = Vec::new();
    for rest in parts(&listeners) {
        endpoints.extend(listeners.as_ref().map(|said| Endpoint {
            what: "listener".into(),
            bind: Some(Claim::host(host_of(&rest), said)),
            advertise: None,
            port: port_of(&rest),
        }));
    }
    for rest in told {
        let host = host_of(&rest);
        endpoints.extend(advertised.as_ref().filter(|_| !reachable || !is_loopback(host)).map(|said| {
            Endpoint {
                what: "listener".into(),
                bind: None,
                advertise: Some(Claim::host(host, said)),
                port: port_of(&rest),
            }
        }));
    }
    endpoints.extend(settings.value(&["KAFKA_ADVERTISED_HOST_NAME"]).map(|said| Endpoint {
        what: "broker".into(),
        advertise: Some(Claim::of(said)),
        ..Endpoint::default()
    }));
    let hosts = peers.as_ref().map(|said| said.value.as_str()).unwrap_or_default().split(',');
    Config {
        // A broker is for others even where it is alone.
        clustered: true,
        endpoints,
        identity: of("node.id", "NODE_ID")
            .or(of("broker.id", "BROKER_ID"))
            .filter(|said| !said.value.starts_with('-')),
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

pub(super) const ELASTICSEARCH: Program = Program {
    name: "elasticsearch",
    title: "Elasticsearch",
    images: &["elasticsearch", "elasticsearch-oss"],
    marks: &[],
    files: &["/usr/share/elasticsearch/config/elasticsearch.yml"],
    keys: SEARCH_KEYS,
    read: search,
};

pub(super) const OPENSEARCH: Program = Program {
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

pub(super) const RABBITMQ: Program = Program {
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

pub(super) const CONSUL: Program = Program {
    name: "consul",
    title: "Consul",
    images: &["consul"],
    marks: &["CONSUL_BIND_INTERFACE", "CONSUL_LOCAL_CONFIG"],
    files: &[],
    keys: &["bind", "advertise", "node", "retry-join", "join", "bootstrap-expect"],
    read: consul,
};

fn consul(settings: &Settings, _: Version) -> Config {
    // Templates such as `{{ GetInterfaceIP "eth0" }}` choose among the container's own addresses.
    let claim = |name: &str| settings.value(&[name]).filter(|said| !said.value.contains("{{")).map(Claim::of);
    let bind = claim("bind");
    let peers: Vec<_> =
        settings.said.iter().filter(|said| ["retry-join", "join"].contains(&said.name.as_str())).collect();
    let several = settings.port(&["bootstrap-expect"]).is_some_and(|expected| expected > 1);
    Config {
        clustered: !peers.is_empty() || several,
        endpoints: vec![Endpoint {
            what: "serf".into(),
            advertise: claim("advertise").or(bind.clone().filter(|claim| !is_wildcard(&claim.host))),
            bind,
            port: Some(8301),
        }],
        identity: settings.value(&["node"]).cloned(),
        peers: peers.iter().map(|said| host_of(&said.value).to_owned()).filter(|it| is_name(it)).collect(),
        ..Config::default()
    }
}

pub(super) const HAZELCAST: Program = Program {
    name: "hazelcast",
    title: "Hazelcast",
    images: &["hazelcast", "hazelcast-enterprise"],
    marks: &["HZ_NETWORK_PUBLICADDRESS"],
    files: &[],
    keys: &["HZ_NETWORK_PUBLICADDRESS", "hazelcast.local.publicAddress", "hazelcast.local.localAddress"],
    read: hazelcast,
};

fn hazelcast(settings: &Settings, _: Version) -> Config {
    let public = settings.value(&["hazelcast.local.publicAddress", "HZ_NETWORK_PUBLICADDRESS"]);
    Config {
        clustered: true,
        endpoints: vec![Endpoint {
            what: "member".into(),
            bind: settings.value(&["hazelcast.local.localAddress"]).map(Claim::of),
            advertise: public.map(|said| Claim::host(host_of(&said.value), said)),
            port: Some(5701),
        }],
        ..Config::default()
    }
}

pub(super) const ETCD: Program = Program {
    name: "etcd",
    title: "etcd",
    images: &["etcd"],
    marks: &["ETCD_INITIAL_CLUSTER", "ETCD_INITIAL_ADVERTISE_PEER_URLS"],
    files: &[],
    keys: &[
        "listen-peer-urls",
        "listen-client-urls",
        "initial-advertise-peer-urls",
        "advertise-client-urls",
        "initial-cluster",
        "name",
        "ETCD_LISTEN_PEER_URLS",
        "ETCD_LISTEN_CLIENT_URLS",
        "ETCD_INITIAL_ADVERTISE_PEER_URLS",
        "ETCD_ADVERTISE_CLIENT_URLS",
        "ETCD_INITIAL_CLUSTER",
        "ETCD_NAME",
    ],
    read: etcd,
};

fn etcd(settings: &Settings, _: Version) -> Config {
    let members = settings.value(&["initial-cluster", "ETCD_INITIAL_CLUSTER"]);
    let peers: Vec<String> = members
        .map(|said| {
            said.value
                .split(',')
                .filter_map(|it| Some(host_of_url(it.split_once('=')?.1).0.to_owned()))
                .collect()
        })
        .unwrap_or_default();
    let claims = |flag: &str, variable: &str| -> Vec<(Claim, Option<u16>)> {
        let Some(said) = settings.value(&[flag, variable]) else { return Vec::new() };
        let each = |url: &str| {
            let (host, port) = host_of_url(url);
            (Claim::host(host, said), port)
        };
        said.value.split(',').map(each).collect()
    };
    let listens = |what: &str, claims: Vec<(Claim, Option<u16>)>| -> Vec<Endpoint> {
        // Beside an address that others reach, one for the container itself is no fault.
        let one = |(claim, port)| Endpoint { what: what.into(), bind: Some(claim), advertise: None, port };
        claims.into_iter().map(one).collect()
    };
    let tells = |what: &str, claims: Vec<(Claim, Option<u16>)>| -> Vec<Endpoint> {
        let reachable = claims.iter().any(|(claim, _)| !is_loopback(&claim.host));
        let told = claims.into_iter().filter(move |(claim, _)| !reachable || !is_loopback(&claim.host));
        told.map(|(claim, port)| Endpoint { what: what.into(), bind: None, advertise: Some(claim), port })
            .collect()
    };
    let mut endpoints = listens("peer port", claims("listen-peer-urls", "ETCD_LISTEN_PEER_URLS"));
    endpoints.extend(listens("client port", claims("listen-client-urls", "ETCD_LISTEN_CLIENT_URLS")));
    endpoints.extend(tells(
        "peer port",
        claims("initial-advertise-peer-urls", "ETCD_INITIAL_ADVERTISE_PEER_URLS"),
    ));
    endpoints.extend(tells("client port", claims("advertise-client-urls", "ETCD_ADVERTISE_CLIENT_URLS")));
    Config {
        clustered: peers.len() > 1,
        endpoints,
        identity: settings.value(&["name", "ETCD_NAME"]).cloned(),
        peers: peers.into_iter().filter(|host| is_name(host)).collect(),
        ..Config::default()
    }
}

pub(super) const CASSANDRA: Program = Program {
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
    use super::super::program::Program;
    use super::*;

    fn config(program: &str, env: &[(&str, &str)], args: &[&str]) -> Config {
        let program = Program::named(program).unwrap();
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let settings = Settings::told(env.iter().copied(), &args, &|name| program.wants(name));
        (program.read)(&settings, None)
    }

    fn binds(config: &Config) -> Vec<&str> {
        config.endpoints.iter().filter_map(|it| it.bind.as_ref()).map(|claim| claim.host.as_str()).collect()
    }

    fn advertises(config: &Config) -> Vec<&str> {
        config
            .endpoints
            .iter()
            .filter_map(|it| it.advertise.as_ref())
            .map(|claim| claim.host.as_str())
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
