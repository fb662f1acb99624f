//! Advice on a swarm that works: risks, limits and settings that differ from what was probably meant. These checks run only where
//! they are asked for, as by `run posture`.

mod address_pools_not_applied;
mod autolock_off;
mod certificate_lifetime;
mod client_address_hidden;
mod diagnostic_port;
mod docker_socket_mounted;
mod engine_end_of_life;
mod external_ca_unpinned;
mod image_not_pinned;
mod kernel_too_old;
mod logs_unbounded;
mod managers_run_tasks;
mod mtu_not_applied;
mod node_unavailable;
mod privileged_service;
mod public_address;
mod published_ports_bypass_firewall;
mod raft_ticks;
mod secrets_in_environment;
mod single_manager;
mod start_first_stateful;
mod stop_grace_short;
mod task_history_long;
mod unencrypted_overlay;

use crate::{BuiltIn, Remedy, Risk, Step, Target};

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[
    &single_manager::CHECK,
    &autolock_off::CHECK,
    &certificate_lifetime::CHECK,
    &external_ca_unpinned::CHECK,
    &raft_ticks::CHECK,
    &task_history_long::CHECK,
    &node_unavailable::CHECK,
    &managers_run_tasks::CHECK,
    &docker_socket_mounted::CHECK,
    &secrets_in_environment::CHECK,
    &privileged_service::CHECK,
    &image_not_pinned::CHECK,
    &stop_grace_short::CHECK,
    &start_first_stateful::CHECK,
    &client_address_hidden::CHECK,
    &public_address::CHECK,
    &unencrypted_overlay::CHECK,
    &logs_unbounded::CHECK,
    &diagnostic_port::CHECK,
    &mtu_not_applied::CHECK,
    &address_pools_not_applied::CHECK,
    &engine_end_of_life::CHECK,
    &kernel_too_old::CHECK,
    &published_ports_bypass_firewall::CHECK,
];

/// A remedy that a person decides on.
fn advice(node: Target, title: &'static str, text: &'static str, commands: Vec<String>) -> Remedy {
    Remedy {
        title: title.into(),
        risk: Risk::Manual,
        impact: "Nothing is broken now; plan the change.".into(),
        steps: vec![Step::Manual { node, text: text.into(), commands }],
    }
}
