//! Galera, in MariaDB and in Percona's XtraDB cluster.

use super::names;
use crate::app::program::{Config, Endpoint, HostSetting, Program, Version, host_of};
use crate::app::settings::Settings;

pub(in crate::app) const GALERA: Program = Program {
    name: "galera",
    title: "Galera",
    images: &["mariadb", "mariadb-galera", "percona-xtradb-cluster"],
    signature_vars: &["MARIADB_GALERA_CLUSTER_ADDRESS", "MARIADB_GALERA_NODE_ADDRESS"],
    files: &[
        "/etc/my.cnf",
        "/etc/mysql/my.cnf",
        "/etc/mysql/conf.d/galera.cnf",
        "/etc/mysql/mariadb.conf.d/60-galera.cnf",
    ],
    keys: &[
        "bind-address",
        "bind_address",
        "wsrep-node-address",
        "wsrep_node_address",
        "wsrep-cluster-address",
        "wsrep_cluster_address",
        "MARIADB_GALERA_CLUSTER_ADDRESS",
        "MARIADB_GALERA_NODE_ADDRESS",
    ],
    read: galera,
};

fn galera(settings: &Settings, _: Version) -> Config {
    let cluster =
        settings.value(&["wsrep-cluster-address", "wsrep_cluster_address", "MARIADB_GALERA_CLUSTER_ADDRESS"]);
    let node = settings.value(&["wsrep-node-address", "wsrep_node_address", "MARIADB_GALERA_NODE_ADDRESS"]);
    let list = cluster.map(|setting| setting.value.trim_start_matches("gcomm://")).unwrap_or_default();
    Config {
        clustered: cluster.is_some(),
        endpoints: vec![
            Endpoint {
                what: "group communication".into(),
                bind: None,
                advertise: node.map(|setting| HostSetting::host(host_of(&setting.value), setting)),
                port: Some(4567),
            },
            Endpoint {
                what: "SQL".into(),
                bind: settings.value(&["bind-address", "bind_address"]).map(HostSetting::of),
                advertise: None,
                port: Some(3306),
            },
        ],
        peers: names(list.split('?').next().unwrap_or_default()),
        ..Config::default()
    }
}
