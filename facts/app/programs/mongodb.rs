//! MongoDB's replica sets.

use crate::app::program::{Config, Endpoint, HostSetting, Program, Version};
use crate::app::settings::Settings;

pub(in crate::app) const MONGODB: Program = Program {
    name: "mongodb",
    title: "MongoDB",
    images: &["mongo", "mongodb", "mongodb-community-server", "percona-server-mongodb"],
    signature_vars: &["MONGODB_REPLICA_SET_NAME", "MONGODB_ADVERTISED_HOSTNAME"],
    files: &["/etc/mongod.conf", "/etc/mongo/mongod.conf", "/data/configdb/mongod.conf"],
    keys: &[
        "bind_ip",
        "bindIp",
        "replSet",
        "replSetName",
        "MONGODB_REPLICA_SET_NAME",
        "MONGODB_ADVERTISED_HOSTNAME",
    ],
    read: mongodb,
};

/// Where nothing is setting, `mongod` listens at localhost; the makers' images say `--bind_ip_all` then.
fn mongodb(settings: &Settings, _: Version) -> Config {
    let set = settings.value(&["replSet", "replSetName", "MONGODB_REPLICA_SET_NAME"]);
    let endpoint = |bind, advertise| Endpoint { what: "server".into(), bind, advertise, port: Some(27017) };
    let bound = settings.value(&["bind_ip", "bindIp"]).into_iter().flat_map(|setting| {
        let hosts = setting.value.split(',').map(str::trim);
        hosts.map(|host| HostSetting::host(host, setting)).collect::<Vec<_>>()
    });
    let mut endpoints: Vec<Endpoint> = bound.map(|host_setting| endpoint(Some(host_setting), None)).collect();
    let advertised = settings.value(&["MONGODB_ADVERTISED_HOSTNAME"]);
    endpoints.extend(advertised.map(|setting| endpoint(None, Some(HostSetting::of(setting)))));
    Config { clustered: set.is_some(), endpoints, ..Config::default() }
}
