//! Facts about a swarm and its nodes: the collected value, or the reason why it could not be collected.
//!
//! This crate performs no I/O. [`parse::snapshot`] turns a [`bundle::Bundle`] of collected artifacts
//! into a [`Snapshot`]; checks read the snapshot.

pub mod app;
pub mod bundle;
pub mod container;
pub mod engine;
mod fact;
pub mod firewall;
pub mod gossip_capture;
pub mod host;
mod ids;
pub mod join;
pub mod join_progress;
mod json_repair;
pub mod link;
pub mod log;
pub mod network;
pub mod overlay;
pub mod parse;
pub mod service;
mod snapshot;
pub mod stack;
pub mod swarm;
mod text;

pub use fact::{FACT_KEYWORD, Fact, GAP_KEY, Gap, Need, Seen, Source, Why};
#[cfg(feature = "testing")]
pub use fact::{reads, start_recording_reads};
pub use ids::{ContainerId, NetworkId, NodeId, NodeName, ServiceId, TaskId};
pub use jiff::{SignedDuration, Timestamp};
pub use json_repair::{JsonRepair, JsonRepairKind, repair_json};
pub use snapshot::{FactVisitor, Host, Snapshot, schema};
pub use text::Text;
