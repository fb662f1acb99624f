//! Checks of the host: kernel, clock, disk, firewall.

mod clock_not_synchronised;
mod conntrack_full;
mod disk_full;
mod docker_chains_missing;
mod firewall;
mod firewall_drops_access;
mod firewall_drops_swarm;
mod forward_drop;
mod ip_forward_off;
mod ipvs_missing;
mod packages;

use crate::BuiltIn;

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[
    &firewall_drops_swarm::CHECK,
    &docker_chains_missing::CHECK,
    &forward_drop::CHECK,
    &disk_full::CHECK,
    &conntrack_full::CHECK,
    &ip_forward_off::CHECK,
    &clock_not_synchronised::CHECK,
    &ipvs_missing::CHECK,
    &firewall_drops_access::CHECK,
];
