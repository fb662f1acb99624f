//! Consul.

use super::{is_name, is_wildcard};
use crate::app::program::{Claim, Config, Endpoint, Program, Version, host_of};
use crate::app::settings::Settings;

pub(in crate::app) const CONSUL: Program = Program {
    name: "consul",
    title: "Consul",
    images: &["consul"],
    marks: &["CONSUL_BIND_INTERFACE", "CONSUL_LOCAL_CONFIG"],
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
    // Templates such as `{{ GetInterfaceIP "eth0" }}` choose among the container's own addresses.
    let claim =
        |names: &[&str]| settings.value(names).filter(|said| !said.value.contains("{{")).map(Claim::of);
    let bind = claim(&["bind", "bind_addr"]);
    let joins = ["retry-join", "join", "retry_join", "start_join"];
    let peers: Vec<_> = settings.said.iter().filter(|said| joins.contains(&said.name.as_str())).collect();
    let expected = settings.port(&["bootstrap-expect", "bootstrap_expect"]);
    let several = expected.is_some_and(|expected| expected > 1);
    Config {
        clustered: !peers.is_empty() || several,
        endpoints: vec![Endpoint {
            what: "serf".into(),
            advertise: claim(&["advertise", "advertise_addr"])
                .or(bind.clone().filter(|claim| !is_wildcard(&claim.host))),
            bind,
            port: Some(8301),
        }],
        identity: settings.value(&["node", "node_name"]).cloned(),
        peers: peers.iter().map(|said| host_of(&said.value).to_owned()).filter(|it| is_name(it)).collect(),
        ..Config::default()
    }
}
