//! Membership, managers, raft, certificates.

mod certificate_expired;
mod certificate_overdue;
mod even_managers;
mod join_stalled;
mod locked;
mod lost_quorum;
mod manager_unreachable;
mod managers;
mod moved;
mod node_down;
mod stale_advertise_addr;

use crate::BuiltIn;

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[
    &certificate_expired::CHECK,
    &locked::CHECK,
    &stale_advertise_addr::CHECK,
    &lost_quorum::CHECK,
    &manager_unreachable::CHECK,
    &join_stalled::CHECK,
    &node_down::CHECK,
    &certificate_overdue::CHECK,
    &even_managers::CHECK,
];
