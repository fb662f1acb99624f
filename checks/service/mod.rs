//! Why services do not run as configured: no node, no image, no container, a crashing program, a closed port.

mod crash_loop;
mod heap_exceeds_limit;
mod image_unavailable;
mod log_driver_failing;
mod port_shadows_program;
mod replicas_missing;
mod target_port_closed;
mod task_orphaned;
mod task_rejected;
mod unbalanced;
mod unschedulable;
mod update_conflict;
mod update_paused;
mod update_stalled;
mod volume_left_behind;

use crate::BuiltIn;

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[
    &unschedulable::CHECK,
    &image_unavailable::CHECK,
    &task_rejected::CHECK,
    &crash_loop::CHECK,
    &update_paused::CHECK,
    &update_stalled::CHECK,
    &volume_left_behind::CHECK,
    &port_shadows_program::CHECK,
    &task_orphaned::CHECK,
    &log_driver_failing::CHECK,
    &replicas_missing::CHECK,
    &target_port_closed::CHECK,
    &heap_exceeds_limit::CHECK,
    &unbalanced::CHECK,
    &update_conflict::CHECK,
];
