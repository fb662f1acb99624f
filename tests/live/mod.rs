//! The doctor on real engines. Where engines cannot run, each test prints why it was skipped.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a lab that fails has to stop the test"
)]
#![expect(clippy::print_stdout, reason = "a test says what it skips and where it stands")]

mod bundles;
mod crash;
mod doctor;
mod faults;
mod founded;
mod gate;
mod gone;
mod healthy;
mod hostile;
mod members;
mod merged;
mod reports;
mod secrets;
mod terminal;
mod unchanged;
mod unprivileged;
mod verdicts;
mod virtual_addresses;

/// Ends a test with the reason where no lab can run.
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
