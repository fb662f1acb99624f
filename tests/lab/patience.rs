//! How long is waited for what a program has to do.

use std::env;
use std::time::Duration;

/// Seconds on a quiet machine. In an emulated guest everything takes longer, and it says how many times as long.
pub(crate) fn seconds(quiet: u64) -> Duration {
    let times = env::var("SWARM_LAB_SLOWNESS").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    Duration::from_secs(quiet.saturating_mul(times))
}
