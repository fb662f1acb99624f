//! Names and virtual addresses.

mod embedded_resolver_unreachable;
mod name_shared;
mod no_common_network;
mod resolver_bypassed;
mod server_unreachable;
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
    &embedded_resolver_unreachable::CHECK,
    &resolver_bypassed::CHECK,
    &no_common_network::CHECK,
    &name_shared::CHECK,
    &server_unreachable::CHECK,
    &vip_pinned_in_hosts::CHECK,
];
