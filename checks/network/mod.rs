//! Ports, paths and networks between the nodes.

mod addresses_exhausted;
mod addresses_low;
mod asymmetric;
mod attachment_missing;
mod bridge_down;
mod duplicate_address;
mod duplicate_ip;
mod duplicate_mac;
mod duplicate_name;
mod encrypted_in_clear;
mod endpoint_missing;
mod esp_blocked;
mod fdb_stale;
mod ghost_endpoint;
mod gossip_degraded;
mod gossip_flapping;
mod gossip_join_failed;
mod gossip_partition;
mod gossip_port_blocked;
mod ingress_half_removed;
mod ingress_missing;
mod ingress_sandbox_missing;
mod ipvs_backend_stale;
mod ipvs_idle_timeout;
mod macvlan_shared_range;
mod manager_port_blocked;
mod no_route;
mod not_attachable;
mod packet_loss;
mod path_mtu;
mod peer_unreachable;
mod permanent_neighbour_entry;
mod port_taken;
mod subnet_missing;
mod subnet_overlap;
mod tx_checksum_offload;
mod vip_unreachable;
mod vxlan_blocked;
mod vxlan_conflict;
mod vxlan_source_mismatch;

use crate::BuiltIn;

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[
    &port_taken::CHECK,
    &no_route::CHECK,
    &duplicate_ip::CHECK,
    &permanent_neighbour_entry::CHECK,
    &duplicate_mac::CHECK,
    &bridge_down::CHECK,
    &manager_port_blocked::CHECK,
    &asymmetric::CHECK,
    &gossip_port_blocked::CHECK,
    &gossip_join_failed::CHECK,
    &gossip_partition::CHECK,
    &gossip_flapping::CHECK,
    &gossip_degraded::CHECK,
    &peer_unreachable::CHECK,
    &ingress_half_removed::CHECK,
    &ingress_missing::CHECK,
    &ingress_sandbox_missing::CHECK,
    &fdb_stale::CHECK,
    &vxlan_source_mismatch::CHECK,
    &vxlan_blocked::CHECK,
    &vxlan_conflict::CHECK,
    &tx_checksum_offload::CHECK,
    &packet_loss::CHECK,
    &encrypted_in_clear::CHECK,
    &esp_blocked::CHECK,
    &path_mtu::CHECK,
    &subnet_overlap::CHECK,
    &subnet_missing::CHECK,
    &addresses_exhausted::CHECK,
    &duplicate_address::CHECK,
    &ghost_endpoint::CHECK,
    &endpoint_missing::CHECK,
    &ipvs_backend_stale::CHECK,
    &attachment_missing::CHECK,
    &addresses_low::CHECK,
    &duplicate_name::CHECK,
    &not_attachable::CHECK,
    &macvlan_shared_range::CHECK,
    &vip_unreachable::CHECK,
    &ipvs_idle_timeout::CHECK,
];
