//! ZooKeeper.

use super::is_name;
use crate::app::program::{Config, Endpoint, HostSetting, Malformed, Program, Version, host_of};
use crate::app::settings::{Setting, Settings};

pub(in crate::app) const ZOOKEEPER: Program = Program {
    name: "zookeeper",
    title: "ZooKeeper",
    images: &["zookeeper", "cp-zookeeper"],
    signature_vars: &[
        "ZOO_MY_ID",
        "ZOO_SERVERS",
        "ZOO_SERVER_ID",
        "ZOOKEEPER_SERVER_ID",
        "ZOOKEEPER_SERVERS",
    ],
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
        "ZOO_CFG_EXTRA",
        "ZOO_LISTEN_ALLIPS_ENABLED",
        "ZOOKEEPER_SERVER_ID",
        "ZOOKEEPER_SERVERS",
        "ZOOKEEPER_CLIENT_PORT",
        "ZOOKEEPER_QUORUM_LISTEN_ON_ALL_IPS",
    ],
    read: zookeeper,
};

/// Each server binds the host of its own entry for elections, unless it is configured to listen on all addresses.
fn zookeeper(settings: &Settings, version: Version) -> Config {
    let id = settings.value(&["myid", "ZOO_MY_ID", "ZOO_SERVER_ID", "ZOOKEEPER_SERVER_ID"]);
    let servers = servers(settings);
    let everywhere =
        ["quorumListenOnAllIPs", "ZOO_LISTEN_ALLIPS_ENABLED", "ZOOKEEPER_QUORUM_LISTEN_ON_ALL_IPS"];
    let everywhere = everywhere.iter().any(|name| {
        settings
            .first(&[name])
            .is_some_and(|setting| ["true", "yes"].contains(&setting.value.to_lowercase().as_str()))
    });
    let extra = settings.value(&["ZOO_CFG_EXTRA"]);
    let everywhere =
        everywhere || extra.is_some_and(|setting| setting.value.contains("quorumListenOnAllIPs=true"));
    let endpoint = |(number, host, setting): &(String, String, Setting)| {
        let own = id.is_none_or(|id| id.value == *number);
        let host_setting = HostSetting::host(host, setting);
        Endpoint {
            what: format!("server.{number}"),
            bind: (own && id.is_some() && !everywhere).then(|| host_setting.clone()),
            // A server's own entry may be a wildcard; no other server reads it.
            advertise: (!own).then_some(host_setting),
            port: None,
        }
    };
    let client = settings.value(&["clientPortAddress"]).map(|setting| Endpoint {
        what: "client port".into(),
        bind: Some(HostSetting::of(setting)),
        advertise: None,
        port: settings.port(&["clientPort"]),
    });
    Config {
        clustered: servers.len() > 1,
        endpoints: servers.iter().map(endpoint).chain(client).collect(),
        identity: id.cloned(),
        malformed: unlisted(id, &servers)
            .into_iter()
            .chain(without_client_port(id, &servers, settings, version))
            .collect(),
        peers: servers.iter().map(|(_, host, _)| host.clone()).filter(|host| is_name(host)).collect(),
        ..Config::default()
    }
}

/// A number without an entry: such a server does not start.
fn unlisted(id: Option<&Setting>, servers: &[(String, String, Setting)]) -> Option<Malformed> {
    let id = id.filter(|id| servers.len() > 1 && !id.value.contains("{{"))?;
    let numbers: Vec<&str> = servers.iter().map(|(number, ..)| number.as_str()).collect();
    (!numbers.contains(&id.value.as_str())).then(|| Malformed {
        setting: id.clone(),
        why: format!("is server {}, and its list of servers has only {}", id.value, numbers.join(", ")),
        meant: None,
        advice: "set the number of its own entry in the list of servers, or add an entry for it".into(),
    })
}

/// From this version on the entry names the client port, which nothing else opens.
const CLIENT_PORT_IN_ENTRY: (u32, u32) = (3, 5);

/// An own entry without a client port, in the variable of the official image.
fn without_client_port(
    id: Option<&Setting>,
    servers: &[(String, String, Setting)],
    settings: &Settings,
    version: Version,
) -> Option<Malformed> {
    let (_, _, own) = servers.iter().find(|(number, ..)| id.is_some_and(|id| id.value == *number))?;
    let elsewhere = settings.value(&["clientPort"]).is_some()
        || settings.value(&["ZOO_CFG_EXTRA"]).is_some_and(|setting| setting.value.contains("clientPort"));
    let makers = own.name == "ZOO_SERVERS" && own.value.starts_with("server.");
    let meant = format!("{};2181", own.value);
    (makers && version >= Some(CLIENT_PORT_IN_ENTRY) && !elsewhere && !own.value.contains(';')).then(|| {
        Malformed {
            why: "opens no client port, because its own entry names none".into(),
            advice: format!("replace {} with {meant}, and each entry likewise", own.value),
            setting: own.clone(),
            meant: None,
        }
    })
}

/// The servers of an ensemble: number, host and setting. A variable lists them in one of three ways: `server.1=a:2888:3888;2181 …`, `a:2888:3888::1,…` or, numbered as they stand, `a:2888:3888;…`.
fn servers(settings: &Settings) -> Vec<(String, String, Setting)> {
    let first_host = |entry: &str| {
        let entry = entry.trim();
        match entry.starts_with('[') {
            true => host_of(entry).to_owned(),
            false => entry.split([':', '|', ';']).next().unwrap_or_default().to_owned(),
        }
    };
    let mut servers: Vec<_> = settings
        .beginning("server.")
        .map(|(number, setting)| (number.to_owned(), first_host(&setting.value), setting.clone()))
        .collect();
    if !servers.is_empty() {
        return servers;
    }
    let Some(setting) = settings.value(&["ZOO_SERVERS", "ZOOKEEPER_SERVERS"]) else { return servers };
    let parts: Vec<&str> = match setting.name.as_str() {
        "ZOOKEEPER_SERVERS" => setting.value.split(';').collect(),
        _ => setting.value.split([',', ' ']).collect(),
    };
    for (index, part) in parts.into_iter().filter(|part| !part.trim().is_empty()).enumerate() {
        let (number, entry) = match part.trim().strip_prefix("server.").and_then(|it| it.split_once('=')) {
            Some((number, entry)) => (number.to_owned(), entry),
            None => match part.rsplit_once("::") {
                Some((entry, number)) => (number.to_owned(), entry),
                None => ((index + 1).to_string(), part),
            },
        };
        let shown = Setting { value: part.trim().to_owned(), ..setting.clone() };
        servers.push((number, first_host(entry), shown));
    }
    servers
}
