//! Membership, managers, raft, certificates.

mod advertise_addr_behind_nat;
mod already_a_member;
mod autolock_locked;
mod certificate_expired;
mod certificate_overdue;
mod clock_skew;
mod component_failed;
mod data_path_addr_missing;
mod different_swarms;
mod duplicate_hostname;
mod duplicate_node_identity;
mod even_managers;
mod external_ca_failing;
mod foreign_gossip;
mod join_failed;
mod join_stalled;
mod leader_unstable;
mod listen_addr_mismatch;
mod local_advertise_addr;
mod lost_quorum;
mod manager_unreachable;
mod membership_lost;
mod message_too_large;
mod node_down;
mod not_a_manager;
mod promotion_stalled;
mod raft_disk_slow;
mod raft_lost;
mod removed_from_swarm;
mod root_rotation_stuck;
mod session_failed;
mod stale_advertise_addr;
mod stale_manager_entry;
mod state_damaged;
mod too_many_managers;

use crate::BuiltIn;

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[
    &certificate_expired::CHECK,
    &autolock_locked::CHECK,
    &state_damaged::CHECK,
    &raft_lost::CHECK,
    &membership_lost::CHECK,
    &listen_addr_mismatch::CHECK,
    &local_advertise_addr::CHECK,
    &stale_advertise_addr::CHECK,
    &advertise_addr_behind_nat::CHECK,
    &data_path_addr_missing::CHECK,
    &lost_quorum::CHECK,
    &component_failed::CHECK,
    &message_too_large::CHECK,
    &stale_manager_entry::CHECK,
    &manager_unreachable::CHECK,
    &promotion_stalled::CHECK,
    &join_stalled::CHECK,
    &duplicate_node_identity::CHECK,
    &different_swarms::CHECK,
    &duplicate_hostname::CHECK,
    &removed_from_swarm::CHECK,
    &join_failed::CHECK,
    &node_down::CHECK,
    &session_failed::CHECK,
    &foreign_gossip::CHECK,
    &external_ca_failing::CHECK,
    &clock_skew::CHECK,
    &raft_disk_slow::CHECK,
    &leader_unstable::CHECK,
    &certificate_overdue::CHECK,
    &root_rotation_stuck::CHECK,
    &even_managers::CHECK,
    &too_many_managers::CHECK,
    &already_a_member::CHECK,
    &not_a_manager::CHECK,
];
