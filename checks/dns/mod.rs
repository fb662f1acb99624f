//! Names and VIPs of services, as containers resolve them.

mod embedded_resolver_unreachable;
mod health_check_deadlock;
mod name_shared;
mod no_common_network;
mod record_missing;
mod resolver_bypassed;
mod server_unreachable;
mod stale_record;
mod upstream_unreachable;
mod vip_pinned_in_hosts;

use crate::BuiltIn;
use facts::NetworkId;
use facts::container::Container;
use facts::network::Network;

/// Whether the embedded DNS server knows services for this container: it is on an overlay other than ingress.
fn resolves_services(container: &Container, networks: &[Network]) -> bool {
    let overlay = |id: &NetworkId| {
        networks.iter().any(|network| network.id == *id && network.scope == "swarm" && !network.ingress)
    };
    container.attachments.iter().any(|attachment| overlay(&attachment.network))
}

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[
    &health_check_deadlock::CHECK,
    &embedded_resolver_unreachable::CHECK,
    &resolver_bypassed::CHECK,
    &no_common_network::CHECK,
    &name_shared::CHECK,
    &server_unreachable::CHECK,
    &upstream_unreachable::CHECK,
    &record_missing::CHECK,
    &stale_record::CHECK,
    &vip_pinned_in_hosts::CHECK,
];
