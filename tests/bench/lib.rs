//! The fault bench: it injects each fault into a swarm of real engines. The doctor must report it as its first finding, and
//! must report nothing after the fault is undone.
//!
//! A fault is one file below `tests/live/faults/`; [`Fault`] is its format.

mod churn;
mod fault;
mod fix;
mod health;
mod report;
mod run;
mod scene;
mod table;
mod variables;

pub use churn::churn;
pub use fault::{Fault, Swarm, faults};
pub use health::healthy;
pub use report::Report;
pub use run::{Bench, Outcome, Verdict};
pub use table::table;
