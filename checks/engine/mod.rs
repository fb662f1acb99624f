//! The engine itself and its configuration.

mod daemon_json_malformed;
mod live_restore;
mod unreachable;

use crate::BuiltIn;

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[&daemon_json_malformed::CHECK, &live_restore::CHECK, &unreachable::CHECK];
