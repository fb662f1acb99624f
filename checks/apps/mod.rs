//! Applications that form their own cluster, such as NiFi, ZooKeeper and Kafka.

mod advertises_foreign_address;
mod advertises_loopback;
mod advertises_wildcard;
mod ambiguous_address;
mod balancer_address;
mod binds_foreign_address;
mod binds_loopback;
mod not_in_cluster;
mod port_disagrees;
mod request_refused;
mod setting_malformed;
mod shared_identity;
mod short_hostname;

use crate::BuiltIn;

/// A host with its port, where that is known.
fn at(host: &str, port: Option<u16>) -> String {
    match port {
        Some(port) if host.contains(':') => format!("[{host}]:{port}"),
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[
    &setting_malformed::CHECK,
    &binds_foreign_address::CHECK,
    &binds_loopback::CHECK,
    &advertises_wildcard::CHECK,
    &advertises_loopback::CHECK,
    &shared_identity::CHECK,
    &advertises_foreign_address::CHECK,
    &ambiguous_address::CHECK,
    &balancer_address::CHECK,
    &short_hostname::CHECK,
    &port_disagrees::CHECK,
    &request_refused::CHECK,
    &not_in_cluster::CHECK,
];
