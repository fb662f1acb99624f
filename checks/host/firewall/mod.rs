//! The flows that a swarm needs from a firewall, the owner of its rules, and how to change them.

pub(super) mod blocked;
pub(super) mod engine_rules;
pub(super) mod forwarding;
pub(super) mod remedy;
pub(super) mod required_flow;
pub(super) mod rule_owner;
