//! The engine itself and its configuration.

mod api_exposed;
mod containerd_unresponsive;
mod cure;
mod daemon_json_malformed;
mod daemon_json_refused;
mod directives;
mod ending;
mod file_limit_reached;
mod live_restore;
mod unreachable;

use crate::BuiltIn;

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[
    &daemon_json_malformed::CHECK,
    &daemon_json_refused::CHECK,
    &live_restore::CHECK,
    &containerd_unresponsive::CHECK,
    &unreachable::CHECK,
    &file_limit_reached::CHECK,
    &api_exposed::CHECK,
];
