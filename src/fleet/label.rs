//! Labels on everything that a run creates, by which the next run finds what a killed one left.

use nix::unistd::getpid;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The run that created it.
pub(super) const RUN: &str = "swarm-doctor.run";
/// The second of the epoch from which it is stale.
pub(super) const UNTIL: &str = "swarm-doctor.until";
/// The process that created it: the boot of its host, its pid and its start.
pub(super) const OWNER: &str = "swarm-doctor.owner";

/// The filter of a list by one value, as it is written in a query.
pub(super) fn filter(key: &str, value: &str) -> String {
    format!("%7B%22{key}%22%3A%5B%22{value}%22%5D%7D")
}

/// The filter for everything with the label of a run.
pub(super) fn with_label() -> String {
    filter("label", RUN)
}

/// Labels as the engine lists them.
pub(super) type Labels = BTreeMap<String, String>;

/// The second of the epoch so long from now.
pub(super) fn second_after(time: Duration) -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_add(time).as_secs()
}

/// Whether the run that made this is over: its process on this host has ended, or its time has.
pub(super) fn is_stale(labels: &Labels) -> bool {
    let over = labels.get(UNTIL).and_then(|until| until.parse().ok());
    let over = over.is_none_or(|until: u64| until < second_after(Duration::ZERO));
    over || labels.get(OWNER).is_some_and(|owner| has_ended(owner))
}

/// This process.
pub(super) fn owner() -> String {
    let pid = getpid().as_raw();
    format!("{} {pid} {}", boot(), start(pid).unwrap_or_default())
}

fn has_ended(owner: &str) -> bool {
    let mut words = owner.split(' ');
    let (Some(of), Some(pid), Some(began)) = (words.next(), words.next(), words.next()) else { return false };
    let here = !of.is_empty() && of == boot();
    here && pid.parse().is_ok_and(|pid| start(pid).as_deref() != Some(began))
}

/// The boot of this host, with the pid namespace, in which a pid means something.
fn boot() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{}/{}", boot.trim(), namespace.display())
}

/// The start of a process, in clock ticks since boot.
fn start(pid: i32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.split(' ').nth(19)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(owner: &str, until: u64) -> Labels {
        [(OWNER.to_owned(), owner.to_owned()), (UNTIL.to_owned(), until.to_string())].into()
    }

    #[test]
    fn what_belongs_to_a_run_that_goes_on_is_not_stale() {
        let later = second_after(Duration::from_secs(60));
        assert!(!is_stale(&labels(&owner(), later)));
        assert!(!is_stale(&labels("another/pid:[1] 7 100", later)));
        assert!(is_stale(&labels(&owner(), 1)));
        assert!(is_stale(&labels(&format!("{} 1 0", boot()), later)));
        assert!(is_stale(&Labels::new()));
    }
}
