//! What can be wrong with a swarm: one pure check a file, over the facts in [`facts::Snapshot`].

#[macro_use]
mod check;
mod finding;
mod firewall_change;
mod model;
mod placement;
mod remedies;
mod remedy;
mod renamed;
mod service_change;
mod step;
mod target;
mod thresholds;
mod view;

pub mod apps;
pub mod dns;
pub mod engine;
pub mod host;
pub mod join;
pub mod network;
pub mod posture;
pub mod service;
pub mod stack;
pub mod swarm;

pub use check::{BuiltIn, Check, Judged, Meta, Run, Str};
pub use facts::JsonRepair;
pub use finding::{Confidence, Evidence, Finding, Findings, Flow, Severity, Subject};
pub use firewall_change::FirewallChange;
pub use remedy::{Remedy, Risk, shell_quote};
pub use renamed::{RENAMED, renamed};
pub use service_change::ServiceChange;
pub use step::{SYSCTL_FILE, Step};
pub use target::Target;
pub use thresholds::Thresholds;
pub use view::View;

/// Every built-in check. Findings of one severity are shown in this order.
pub fn built_in() -> impl Iterator<Item = &'static BuiltIn> {
    [
        join::CHECKS,
        stack::CHECKS,
        swarm::CHECKS,
        engine::CHECKS,
        network::CHECKS,
        apps::CHECKS,
        dns::CHECKS,
        service::CHECKS,
        host::CHECKS,
        posture::CHECKS,
    ]
    .into_iter()
    .flatten()
    .copied()
}
