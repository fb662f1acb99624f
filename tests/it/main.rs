//! The integration tests, as one program: one link instead of seven. `cargo test --test it contract::` runs one module;
//! `live::` needs root and engines, and each of its tests prints why it is skipped where they are missing.

mod anonymous;
mod contract;
mod formats;
#[path = "../live/mod.rs"]
mod live;
mod merged;
mod remedies;
mod rules;
mod scale;
mod scenarios;
mod support;
mod wording;
