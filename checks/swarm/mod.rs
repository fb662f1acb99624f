//! Membership, managers, raft, certificates.

mod already_a_member;
mod autolock_locked;
mod certificate_expired;
mod certificate_overdue;
mod duplicate_node_identity;
mod even_managers;
mod foreign_gossip;
mod join_failed;
mod join_stalled;
mod listen_addr_mismatch;
mod local_advertise_addr;
mod lost_quorum;
mod manager_unreachable;
mod membership_lost;
mod node_down;
mod not_a_manager;
mod promotion_stalled;
mod raft_lost;
mod removed_from_swarm;
mod root_rotation_stuck;
mod session_failed;
mod stale_advertise_addr;
mod stale_manager_entry;
mod state_damaged;

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
    &lost_quorum::CHECK,
    &stale_manager_entry::CHECK,
    &manager_unreachable::CHECK,
    &promotion_stalled::CHECK,
    &join_stalled::CHECK,
    &duplicate_node_identity::CHECK,
    &removed_from_swarm::CHECK,
    &join_failed::CHECK,
    &node_down::CHECK,
    &session_failed::CHECK,
    &foreign_gossip::CHECK,
    &certificate_overdue::CHECK,
    &root_rotation_stuck::CHECK,
    &even_managers::CHECK,
    &already_a_member::CHECK,
    &not_a_manager::CHECK,
];
