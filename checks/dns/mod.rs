//! Names and virtual addresses.

mod name_shared;
mod networks_apart;
mod resolver_bypassed;
mod resolver_silent;
mod server_silent;
mod told;
mod vip_pinned_in_hosts;

use crate::BuiltIn;
use facts::NetworkId;
use facts::container::Container;
use facts::network::Network;

/// Whether a container is on a network on which the engine's DNS server knows services: an overlay that is not the mesh's.
fn finds_services(container: &Container, networks: &[Network]) -> bool {
    let overlay =
        |id: &NetworkId| networks.iter().any(|it| it.id == *id && it.scope == "swarm" && !it.ingress);
    container.attachments.iter().any(|it| overlay(&it.network))
}

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[
    &resolver_silent::CHECK,
    &resolver_bypassed::CHECK,
    &networks_apart::CHECK,
    &name_shared::CHECK,
    &server_silent::CHECK,
    &vip_pinned_in_hosts::CHECK,
];
