//! A doctor for Docker Swarm: collect, parse, judge, report.

mod atomic_file;
pub mod bundle;
pub mod check_id;
pub mod cli;
pub mod collect;
pub mod commands;
pub mod demo;
pub mod diff;
pub mod error;
pub mod examine;
pub mod exit;
pub mod fix;
pub mod fleet;
pub mod judge;
pub mod matrix;
pub mod pager;
pub mod policy;
pub mod preflight;
mod redact;
pub mod report;
pub mod rules;
pub mod serve;
mod sha256;
mod toml_place;
pub mod watch;
