//! How a dockerd that does not run ended, from the log of the engine, of systemd and of the kernel.

use facts::log::{Level, Line, Log, Program};

/// How dockerd ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ExitReason<'a> {
    /// It exited with an error message.
    Failed(&'a Line),
    /// It crashed with a Go panic.
    Panicked(&'a Line),
    /// It received a signal to stop.
    Stopped(&'a Line),
    /// The kernel killed it because memory was exhausted.
    OutOfMemory(&'a Line),
}

impl<'a> ExitReason<'a> {
    /// The log line that shows it.
    pub(super) fn line(self) -> &'a Line {
        match self {
            Self::Failed(line) | Self::Panicked(line) | Self::Stopped(line) | Self::OutOfMemory(line) => line,
        }
    }
}

/// How dockerd last ended, if the log shows it. Lines before its last successful start do not count.
pub(super) fn exit_reason(log: &Log) -> Option<ExitReason<'_>> {
    for line in log.lines.iter().rev() {
        let contains = |words: &str| line.message.contains(words);
        match line.program {
            Program::Engine if is_panic(line) => return Some(ExitReason::Panicked(line)),
            Program::Engine if is_exit_message(line) => return Some(ExitReason::Failed(line)),
            Program::Engine if is_stop_signal(line) => return Some(ExitReason::Stopped(line)),
            Program::Engine if is_ready(line) || contains("Starting up") => return None,
            Program::Kernel if is_oom_kill(line) => return Some(ExitReason::OutOfMemory(line)),
            _ => {}
        }
    }
    None
}

/// The message with which dockerd exited, if it did.
pub(super) fn exit_message(log: &Log) -> Option<&Line> {
    match exit_reason(log)? {
        ExitReason::Failed(line) | ExitReason::Panicked(line) => Some(line),
        ExitReason::Stopped(_) | ExitReason::OutOfMemory(_) => None,
    }
}

/// Whether a line shows that dockerd serves its API.
pub(super) fn is_ready(line: &Line) -> bool {
    line.program == Program::Engine && line.message.starts_with("API listen on")
}

/// Whether a line shows that dockerd received a signal to stop.
pub(super) fn is_stop_signal(line: &Line) -> bool {
    line.program == Program::Engine && line.message.contains("Processing signal '")
}

/// Whether a line is the first one of a Go panic or of a fatal error of the Go runtime.
pub(super) fn is_panic(line: &Line) -> bool {
    let first = line.message.starts_with("panic: ") || line.message.starts_with("fatal error: ");
    // The logger panics after it has written the reason in the line before.
    line.program == Program::Engine && first && !line.message.starts_with("panic: (*logrus.Entry)")
}

/// Whether a line shows that the kernel killed dockerd because memory was exhausted.
pub(super) fn is_oom_kill(line: &Line) -> bool {
    line.program == Program::Kernel
        && line.message.contains("Killed process")
        && line.message.contains("(dockerd)")
}

/// Whether a line is the message with which dockerd exits. Newer engines write it without a level.
pub(super) fn is_exit_message(line: &Line) -> bool {
    let starts = [
        "failed to ",
        "unable to ",
        "Error starting",
        "invalid ",
        "process with PID",
        "pid file found",
        "unknown flag: ",
        "unknown shorthand flag: ",
        "Status: unknown ",
    ];
    let by_logger = matches!(line.level, Level::Fatal | Level::Panic);
    by_logger || (line.level == Level::Unknown && starts.iter().any(|words| line.message.starts_with(words)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[(Program, Level, &str)]) -> Log {
        let line = |(program, level, message): &(Program, Level, &str)| Line {
            file: "messages".into(),
            number: 1,
            at: None,
            host: None,
            program: *program,
            pid: None,
            level: *level,
            message: (*message).into(),
            fields: Default::default(),
            repeated: 1,
            truncated: false,
        };
        Log { lines: lines.iter().map(line).collect(), ..Log::default() }
    }

    #[test]
    fn distinguishes_a_failure_a_panic_a_stop_and_an_oom_kill() {
        use Program::{Engine, Kernel};
        let ready = (Engine, Level::Info, "API listen on /run/docker.sock");
        let stopped = (Engine, Level::Info, "Processing signal 'terminated'");
        let failed = (Engine, Level::Unknown, "failed to start daemon: no space left on device");
        let panicked = (Engine, Level::Unknown, "panic: runtime error: invalid memory address");
        let frame = (Engine, Level::Unknown, "goroutine 412 [running]:");
        let flag = (Engine, Level::Unknown, "Status: unknown flag: --nosuch");
        assert!(matches!(exit_reason(&log(&[ready, stopped, flag])), Some(ExitReason::Failed(_))));
        let killed = (Kernel, Level::Unknown, "Out of memory: Killed process 41 (dockerd) total-vm:1kB");
        assert!(matches!(exit_reason(&log(&[ready, failed])), Some(ExitReason::Failed(_))));
        assert!(matches!(exit_reason(&log(&[ready, panicked, frame])), Some(ExitReason::Panicked(_))));
        assert!(matches!(exit_reason(&log(&[failed, ready, stopped])), Some(ExitReason::Stopped(_))));
        assert!(matches!(exit_reason(&log(&[ready, killed])), Some(ExitReason::OutOfMemory(_))));
        assert_eq!(exit_reason(&log(&[failed, ready])), None);
        assert_eq!(exit_message(&log(&[stopped, ready, killed])), None);
    }
}
