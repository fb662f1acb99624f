//! etcd.

use super::{host_of_url, is_loopback, is_name};
use crate::app::program::{Config, Endpoint, HostSetting, Program, Version};
use crate::app::settings::Settings;

pub(in crate::app) const ETCD: Program = Program {
    name: "etcd",
    title: "etcd",
    images: &["etcd"],
    signature_vars: &["ETCD_INITIAL_CLUSTER", "ETCD_INITIAL_ADVERTISE_PEER_URLS"],
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
        .map(|setting| {
            setting
                .value
                .split(',')
                .filter_map(|it| Some(host_of_url(it.split_once('=')?.1).0.to_owned()))
                .collect()
        })
        .unwrap_or_default();
    let host_settings = |flag: &str, variable: &str| -> Vec<(HostSetting, Option<u16>)> {
        let Some(setting) = settings.value(&[flag, variable]) else { return Vec::new() };
        let each = |url: &str| {
            let (host, port) = host_of_url(url);
            (HostSetting::host(host, setting), port)
        };
        setting.value.split(',').map(each).collect()
    };
    let listens = |what: &str, host_settings: Vec<(HostSetting, Option<u16>)>| -> Vec<Endpoint> {
        // An address for the container itself is right beside one that others reach.
        let one = |(host_setting, port)| Endpoint {
            what: what.into(),
            bind: Some(host_setting),
            advertise: None,
            port,
        };
        host_settings.into_iter().map(one).collect()
    };
    let tells = |what: &str, host_settings: Vec<(HostSetting, Option<u16>)>| -> Vec<Endpoint> {
        let reachable = host_settings.iter().any(|(host_setting, _)| !is_loopback(&host_setting.host));
        let configured = host_settings
            .into_iter()
            .filter(move |(host_setting, _)| !reachable || !is_loopback(&host_setting.host));
        configured
            .map(|(host_setting, port)| Endpoint {
                what: what.into(),
                bind: None,
                advertise: Some(host_setting),
                port,
            })
            .collect()
    };
    let mut endpoints = listens("peer port", host_settings("listen-peer-urls", "ETCD_LISTEN_PEER_URLS"));
    endpoints.extend(listens("client port", host_settings("listen-client-urls", "ETCD_LISTEN_CLIENT_URLS")));
    endpoints.extend(tells(
        "peer port",
        host_settings("initial-advertise-peer-urls", "ETCD_INITIAL_ADVERTISE_PEER_URLS"),
    ));
    endpoints
        .extend(tells("client port", host_settings("advertise-client-urls", "ETCD_ADVERTISE_CLIENT_URLS")));
    Config {
        clustered: peers.len() > 1,
        endpoints,
        identity: settings.value(&["name", "ETCD_NAME"]).cloned(),
        peers: peers.into_iter().filter(|host| is_name(host)).collect(),
        ..Config::default()
    }
}
