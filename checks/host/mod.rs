//! Checks of the host: kernel, clock, disk, firewall.

mod br_netfilter_missing;
mod bridge_address_missing;
mod clock_not_synchronised;
mod conntrack_full;
mod d_type_missing;
mod data_root_file_system;
mod disk_errors;
mod disk_full;
mod docker_chains_missing;
mod firewall;
mod firewall_drops_access;
mod firewall_drops_swarm;
mod forward_drop;
mod ingress_rules_missing;
mod ip_forward_off;
mod ipsec_modules_missing;
mod iptables_backends_mixed;
mod iptables_disabled;
mod ipvs_missing;
mod kernel_log;
mod kernel_updated_no_reboot;
mod max_map_count_low;
mod neighbour_table_full;
mod netfilter_modules_missing;
mod out_of_memory;
mod packages;
mod port_range_overlap;
mod reverse_path_filter;
mod sandbox_forwarding_off;
mod unsupported_environment;
mod vxlan_missing;

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
    &br_netfilter_missing::CHECK,
    &bridge_address_missing::CHECK,
    &data_root_file_system::CHECK,
    &d_type_missing::CHECK,
    &disk_errors::CHECK,
    &ingress_rules_missing::CHECK,
    &ipsec_modules_missing::CHECK,
    &iptables_backends_mixed::CHECK,
    &iptables_disabled::CHECK,
    &kernel_updated_no_reboot::CHECK,
    &max_map_count_low::CHECK,
    &neighbour_table_full::CHECK,
    &netfilter_modules_missing::CHECK,
    &out_of_memory::CHECK,
    &port_range_overlap::CHECK,
    &reverse_path_filter::CHECK,
    &sandbox_forwarding_off::CHECK,
    &unsupported_environment::CHECK,
    &vxlan_missing::CHECK,
];
