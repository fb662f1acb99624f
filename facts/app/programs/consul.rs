//! Consul.

use super::{is_name, is_wildcard};
use crate::app::program::{Config, Endpoint, HostSetting, Program, Version, host_of};
use crate::app::settings::Settings;

pub(in crate::app) const CONSUL: Program = Program {
    name: "consul",
    title: "Consul",
    images: &["consul"],
    signature_vars: &["CONSUL_BIND_INTERFACE", "CONSUL_LOCAL_CONFIG"],
    files: &[],
    keys: &[
        "bind",
        "advertise",
        "node",
        "retry-join",
        "join",
        "bootstrap-expect",
        "bind_addr",
        "advertise_addr",
        "node_name",
        "retry_join",
        "start_join",
        "bootstrap_expect",
    ],
    read: consul,
};

fn consul(settings: &Settings, _: Version) -> Config {
    // Templates such as `{{ GetInterfaceIP "eth0" }}` select one of the container's own addresses.
    let host_setting = |names: &[&str]| {
        settings.value(names).filter(|setting| !setting.value.contains("{{")).map(HostSetting::of)
    };
    let bind = host_setting(&["bind", "bind_addr"]);
    let joins = ["retry-join", "join", "retry_join", "start_join"];
    let peers: Vec<_> =
        settings.entries.iter().filter(|setting| joins.contains(&setting.name.as_str())).collect();
    let expected = settings.port(&["bootstrap-expect", "bootstrap_expect"]);
    let several = expected.is_some_and(|expected| expected > 1);
    Config {
        clustered: !peers.is_empty() || several,
        endpoints: vec![Endpoint {
            what: "serf".into(),
            advertise: host_setting(&["advertise", "advertise_addr"])
                .or(bind.clone().filter(|host_setting| !is_wildcard(&host_setting.host))),
            bind,
            port: Some(8301),
        }],
        identity: settings.value(&["node", "node_name"]).cloned(),
        peers: peers
            .iter()
            .map(|setting| host_of(&setting.value).to_owned())
            .filter(|it| is_name(it))
            .collect(),
        ..Config::default()
    }
}
