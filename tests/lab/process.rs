//! A process, distinguished from a later one with the same pid.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::time_limit::seconds;

/// A pid with its start time in clock ticks since boot, which detects a reused pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    start: u64,
}

impl Process {
    /// The running process with this pid; `None` for a zombie.
    pub(crate) fn with_pid(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name, which may contain blanks and brackets.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let running = !matches!(fields.first(), Some(&"Z" | &"X"));
        let start = fields.get(19)?.parse().ok()?;
        running.then_some(Self { pid, start })
    }

    pub(crate) fn running(&self) -> bool {
        Self::with_pid(self.pid) == Some(*self)
    }

    /// Sends SIGKILL. If it is the first process of a pid namespace, the kernel kills all others. Returns a handle to wait for.
    pub(crate) fn kill(&self) -> Result<Option<Dying>> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(None) };
        // The pidfd refers to one process; compare the start time again after opening it.
        if !self.running() {
            return Ok(None);
        }
        pidfd_send_signal(&fd, Signal::KILL)
            .with_context(|| format!("failed to kill process {}", self.pid))?;
        Ok(Some(Dying { pid: self.pid, fd }))
    }

    pub(crate) fn end(&self) -> Result<()> {
        self.kill()?.map_or(Ok(()), Dying::wait)
    }
}

/// A process that was sent SIGKILL.
pub(crate) struct Dying {
    pid: u32,
    fd: OwnedFd,
}

impl Dying {
    pub(crate) fn wait(self) -> Result<()> {
        ensure!(exits_within(&self.fd, seconds(20))?, "process {} does not end", self.pid);
        Ok(())
    }
}

/// Waits for the process of a pidfd to exit; false if it still runs after `limit`.
pub(crate) fn exits_within(pidfd: &OwnedFd, limit: Duration) -> Result<bool> {
    let limit = Timespec::try_from(limit).context("failed to express a time limit")?;
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    Ok(poll(&mut fds, Some(&limit)).context("failed to wait for a process")? > 0)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, id};

    use super::Process;

    #[test]
    fn a_later_process_with_the_same_pid_is_another_one() {
        let me = Process::with_pid(id()).unwrap();
        assert!(me.running());
        let earlier = Process { start: me.start - 1, ..me };
        assert!(!earlier.running());
        earlier.end().unwrap();
    }

    #[test]
    fn a_zombie_does_not_run() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Process::with_pid(child.id()).unwrap();
        process.end().unwrap();
        assert!(!process.running());
        child.wait().unwrap();
    }
}
