//! Why services do not run as configured: no node, no image, no container, a crashing program, a closed port.

mod crash_loop;
mod image_unavailable;
mod replicas_missing;
mod target_port_closed;
mod task_rejected;
mod unschedulable;
mod update_paused;

use crate::BuiltIn;

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[
    &unschedulable::CHECK,
    &image_unavailable::CHECK,
    &task_rejected::CHECK,
    &crash_loop::CHECK,
    &update_paused::CHECK,
    &replicas_missing::CHECK,
    &target_port_closed::CHECK,
];
