//! The fault bench: each fault is made in a swarm of real engines, the doctor has to say it first, and has to
//! be silent again once it is undone.
//!
//! A fault is one file below `tests/live/faults/`; [`Fault`] says what may stand in it.

mod churn;
mod fault;
mod fix;
mod health;
mod report;
mod run;
mod scene;
mod table;
mod words;

pub use churn::churn;
pub use fault::{Fault, Swarm, faults};
pub use health::healthy;
pub use report::Report;
pub use run::{Bench, Outcome, Verdict};
pub use table::table;
