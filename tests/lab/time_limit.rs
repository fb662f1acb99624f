//! Time limits for programs.

use std::env;
use std::time::Duration;

/// A time limit in seconds on an idle host, multiplied by the slowdown factor of an emulated guest.
pub(crate) fn seconds(quiet: u64) -> Duration {
    let times = env::var("SWARM_LAB_SLOWNESS").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    Duration::from_secs(quiet.saturating_mul(times))
}
