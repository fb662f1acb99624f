//! All nodes of the swarm: each one collects its own facts, and they are judged together. This node collects directly; the
//! others are reached with ssh, or by a service of the swarm. Nothing is started and nothing is created unless `--all-nodes` is given.

mod gather;
mod label;
mod lines;
mod missing;
mod plan;
mod progress;
mod relay;
mod ssh;
mod swarm;

pub use gather::{Gathered, Wanted, gather};
pub use missing::{CHECK as NOT_EXAMINED, Missing, report};
pub use relay::{collect_as_lines, enter_host, relay};
