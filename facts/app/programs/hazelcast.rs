//! Hazelcast.

use crate::app::program::{Config, Endpoint, HostSetting, Program, Version, host_of};
use crate::app::settings::Settings;

pub(in crate::app) const HAZELCAST: Program = Program {
    name: "hazelcast",
    title: "Hazelcast",
    images: &["hazelcast", "hazelcast-enterprise"],
    signature_vars: &["HZ_NETWORK_PUBLICADDRESS"],
    files: &[
        "/opt/hazelcast/config/hazelcast-docker.xml",
        "/opt/hazelcast/config/hazelcast.yaml",
        "/opt/hazelcast/hazelcast.yaml",
    ],
    keys: &[
        "HZ_NETWORK_PUBLICADDRESS",
        "hazelcast.local.publicAddress",
        "hazelcast.local.localAddress",
        "public-address",
    ],
    read: hazelcast,
};

fn hazelcast(settings: &Settings, _: Version) -> Config {
    let public =
        settings.value(&["hazelcast.local.publicAddress", "HZ_NETWORK_PUBLICADDRESS", "public-address"]);
    Config {
        clustered: true,
        endpoints: vec![Endpoint {
            what: "member".into(),
            bind: settings.value(&["hazelcast.local.localAddress"]).map(HostSetting::of),
            advertise: public.map(|setting| HostSetting::host(host_of(&setting.value), setting)),
            port: Some(5701),
        }],
        ..Config::default()
    }
}
