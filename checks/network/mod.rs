//! Ports, paths and networks between the nodes.

pub(crate) mod blocked;
mod gossip_port_blocked;
mod ingress_missing;
mod manager_port_blocked;
mod peer_unreachable;
mod port_taken;
mod reach;
mod vip_silent;

use crate::BuiltIn;

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[
    &port_taken::CHECK,
    &manager_port_blocked::CHECK,
    &gossip_port_blocked::CHECK,
    &peer_unreachable::CHECK,
    &ingress_missing::CHECK,
    &vip_silent::CHECK,
];
