//! Names and virtual addresses.

mod vip_pinned_in_hosts;

use crate::BuiltIn;

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[&vip_pinned_in_hosts::CHECK];
