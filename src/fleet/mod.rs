//! All nodes of the swarm: each one collects its own facts, and they are judged together. This node collects directly; the
//! others are reached with ssh. Nothing is started and nothing is created unless `--all-nodes` is given.

mod gather;
mod missing;
mod plan;
mod progress;
mod ssh;

pub use gather::{Gathered, Wanted, gather};
pub use missing::{CHECK as NOT_EXAMINED, Missing, report};
