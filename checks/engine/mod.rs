//! The engine itself and its configuration.

mod api_exposed;
mod containerd_silent;
mod cure;
mod daemon_json_malformed;
mod daemon_json_refused;
mod directives;
mod ending;
mod files_exhausted;
mod live_restore;
mod unreachable;

use crate::BuiltIn;

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[
    &daemon_json_malformed::CHECK,
    &daemon_json_refused::CHECK,
    &live_restore::CHECK,
    &containerd_silent::CHECK,
    &unreachable::CHECK,
    &files_exhausted::CHECK,
    &api_exposed::CHECK,
];
