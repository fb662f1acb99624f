//! MongoDB's replica sets.

use crate::app::program::{Claim, Config, Endpoint, Program, Version};
use crate::app::settings::Settings;

pub(in crate::app) const MONGODB: Program = Program {
    name: "mongodb",
    title: "MongoDB",
    images: &["mongo", "mongodb", "mongodb-community-server", "percona-server-mongodb"],
    marks: &["MONGODB_REPLICA_SET_NAME", "MONGODB_ADVERTISED_HOSTNAME"],
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

/// Where nothing is said, `mongod` listens at localhost; the makers' images say `--bind_ip_all` then.
fn mongodb(settings: &Settings, _: Version) -> Config {
    let set = settings.value(&["replSet", "replSetName", "MONGODB_REPLICA_SET_NAME"]);
    let endpoint = |bind, advertise| Endpoint { what: "server".into(), bind, advertise, port: Some(27017) };
    let bound = settings.value(&["bind_ip", "bindIp"]).into_iter().flat_map(|said| {
        let hosts = said.value.split(',').map(str::trim);
        hosts.map(|host| Claim::host(host, said)).collect::<Vec<_>>()
    });
    let mut endpoints: Vec<Endpoint> = bound.map(|claim| endpoint(Some(claim), None)).collect();
    let advertised = settings.value(&["MONGODB_ADVERTISED_HOSTNAME"]);
    endpoints.extend(advertised.map(|said| endpoint(None, Some(Claim::of(said)))));
    Config { clustered: set.is_some(), endpoints, ..Config::default() }
}
