//! What a swarm asks of a packet filter, who wrote its rules, and how to change them.

pub(super) mod author;
pub(super) mod cure;
pub(super) mod forwarding;
pub(super) mod traffic;
