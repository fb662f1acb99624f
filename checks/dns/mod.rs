//! Names and virtual addresses.

mod networks_apart;
mod resolver_bypassed;
mod resolver_silent;
mod server_silent;
mod vip_pinned_in_hosts;

use crate::BuiltIn;

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[
    &resolver_silent::CHECK,
    &resolver_bypassed::CHECK,
    &networks_apart::CHECK,
    &server_silent::CHECK,
    &vip_pinned_in_hosts::CHECK,
];
