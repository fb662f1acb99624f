//! The machine: kernel, clock, forwarding.

mod clock_unsynced;
mod ip_forward_off;
mod ipvs_missing;

use crate::BuiltIn;

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[&ip_forward_off::CHECK, &clock_unsynced::CHECK, &ipvs_missing::CHECK];
