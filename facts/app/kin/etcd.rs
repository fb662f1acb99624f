//! etcd.

use super::{host_of_url, is_loopback, is_name};
use crate::app::program::{Claim, Config, Endpoint, Program, Version};
use crate::app::settings::Settings;

pub(in crate::app) const ETCD: Program = Program {
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
