//! Membership, managers, raft, certificates.

mod already_a_member;
mod certificate_expired;
mod certificate_overdue;
mod damage;
mod even_managers;
mod failure;
mod foreign_gossip;
mod identity_shared;
mod join_failed;
mod join_stalled;
mod listens_elsewhere;
mod local_advertise_addr;
mod locked;
mod lost_quorum;
pub(crate) mod manager_left_over;
mod manager_unreachable;
mod managers;
mod membership_lost;
mod moved;
mod moved_manager;
mod node_down;
mod not_a_manager;
mod promotion_stalled;
mod raft_lost;
mod refounding;
mod refusals;
mod rejoin;
mod removed_from_swarm;
mod root_rotation_stuck;
mod session_failed;
mod stale_advertise_addr;
mod state_cure;
mod state_damaged;

use crate::BuiltIn;

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[
    &certificate_expired::CHECK,
    &locked::CHECK,
    &state_damaged::CHECK,
    &raft_lost::CHECK,
    &membership_lost::CHECK,
    &listens_elsewhere::CHECK,
    &local_advertise_addr::CHECK,
    &stale_advertise_addr::CHECK,
    &lost_quorum::CHECK,
    &manager_left_over::CHECK,
    &manager_unreachable::CHECK,
    &promotion_stalled::CHECK,
    &join_stalled::CHECK,
    &identity_shared::CHECK,
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
