//! The engine and its configuration.

mod api_exposed;
mod api_version_too_old;
mod containerd_unresponsive;
mod crashed;
mod daemon_json_malformed;
mod daemon_json_refused;
mod directives;
mod exit_cause;
mod exit_reason;
mod file_limit_reached;
mod known_errors;
mod known_regression;
mod lifecycle;
mod live_restore;
mod nftables_backend;
mod panic;
mod regressions;
mod unexplained_errors;
mod unreachable;
mod version_skew;

use crate::BuiltIn;

pub use known_regression::name_in_effects;

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[
    &daemon_json_malformed::CHECK,
    &daemon_json_refused::CHECK,
    &live_restore::CHECK,
    &nftables_backend::CHECK,
    &containerd_unresponsive::CHECK,
    &unreachable::CHECK,
    &file_limit_reached::CHECK,
    &api_exposed::CHECK,
    &api_version_too_old::CHECK,
    &crashed::CHECK,
    &version_skew::CHECK,
    &known_regression::CHECK,
    &unexplained_errors::CHECK,
];
