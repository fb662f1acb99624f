//! Ports, paths and networks between the nodes.

pub(crate) mod blocked;
mod crossing;
mod esp_blocked;
mod fdb_stale;
mod gossip_port_blocked;
mod ingress_missing;
mod manager_port_blocked;
mod path_mtu;
mod peer_unreachable;
mod port_taken;
mod reach;
mod vip_silent;
mod vxlan_blocked;

use crate::BuiltIn;

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[
    &port_taken::CHECK,
    &manager_port_blocked::CHECK,
    &gossip_port_blocked::CHECK,
    &peer_unreachable::CHECK,
    &ingress_missing::CHECK,
    &fdb_stale::CHECK,
    &vxlan_blocked::CHECK,
    &esp_blocked::CHECK,
    &path_mtu::CHECK,
    &vip_silent::CHECK,
];
