//! The doctor on real engines. If no engine can run here, each test prints why it is skipped.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed lab must fail the test"
)]
#![expect(clippy::print_stdout, reason = "a test prints what it skips and its progress")]

mod all_nodes;
mod bundles;
mod crash;
mod doctor;
mod engine_down;
mod faults;
mod fix_refused;
mod force_new_cluster;
mod gate;
mod healthy;
mod members;
mod merged;
mod reports;
mod secrets;
mod terminal;
mod unchanged;
mod unprivileged;
mod verdicts;
mod vip_without_ipvs;

/// Skips a test and prints the reason if no lab can run here.
macro_rules! needs_a_lab {
    () => {
        let why = lab::missing();
        if !why.is_empty() {
            println!("skipped: {}", why.join(", "));
            return;
        }
    };
}
use needs_a_lab;
