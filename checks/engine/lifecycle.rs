//! Whether a dockerd that does not answer is still starting or already stopping.

use super::exit_reason::{is_ready, is_stop_signal};
use facts::engine::Process;
use facts::log::{Line, Log, Program};
use facts::{Seen, SignedDuration, Timestamp};

/// How long a start may take without a line in the log, before the engine counts as hung.
const SILENT_START: SignedDuration = SignedDuration::from_secs(60);
/// How long a start may take that the log shows: an engine restores all its containers before it answers.
const START: SignedDuration = SignedDuration::from_mins(5);
/// How long a stop may take: systemd kills a unit after 90 s.
const STOP: SignedDuration = SignedDuration::from_secs(100);

/// What a running dockerd is doing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase<'a> {
    /// It has not finished starting, for this long.
    Starting(SignedDuration, Option<&'a Line>),
    /// It received a signal to stop, this long ago.
    Stopping(SignedDuration, &'a Line),
    /// It has finished starting, or should have.
    Running,
}

/// The phase of a dockerd at a time.
pub(super) fn phase<'a>(process: &Process, log: Option<&'a Seen<Log>>, now: Timestamp) -> Phase<'a> {
    // A stopped process neither starts nor stops.
    if matches!(process.state, 'T' | 't') {
        return Phase::Running;
    }
    let age = process.started.map(|started| now.duration_since(started));
    let of_process = |line: &&Line| {
        let same = line.pid.is_none_or(|pid| pid == process.pid);
        // A process that started after the line did not write it. The stamps of syslog are cut to whole seconds.
        let during = line
            .at
            .zip(process.started)
            .is_none_or(|(at, started)| at.duration_since(started) > SignedDuration::from_secs(-2));
        line.program == Program::Engine && same && during
    };
    let lines = log.into_iter().flat_map(|log| log.lines.iter().rev()).filter(of_process);
    for line in lines {
        let since = line.at.map(|at| now.duration_since(at));
        if is_stop_signal(line) {
            return match since {
                Some(since) if since < STOP => Phase::Stopping(since, line),
                _ => Phase::Running,
            };
        }
        if is_ready(line) {
            return Phase::Running;
        }
        if line.message.contains("Starting up") {
            return match age.or(since) {
                Some(age) if age < START => Phase::Starting(age, Some(line)),
                _ => Phase::Running,
            };
        }
    }
    match age {
        Some(age) if age < SILENT_START => Phase::Starting(age, None),
        _ => Phase::Running,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use facts::log::Level;
    use facts::{Need, Source};

    fn log(lines: &[(&str, &str)]) -> Seen<Log> {
        let line = |(at, message): &(&str, &str)| Line {
            file: "messages".into(),
            number: 1,
            at: at.parse().ok(),
            host: None,
            program: Program::Engine,
            pid: Some(18),
            level: Level::Info,
            message: (*message).into(),
            fields: Default::default(),
            repeated: 1,
            truncated: false,
        };
        let source = Source { need: Need::EngineLog, artifact: "log".into(), origin: "messages".into() };
        Seen { value: Log { lines: lines.iter().map(line).collect(), ..Log::default() }, source }
    }

    fn dockerd(started: &str) -> Process {
        Process { pid: 18, state: 'S', started: started.parse().ok(), ..Process::default() }
    }

    #[test]
    fn distinguishes_starting_stopping_and_running() {
        let now: Timestamp = "2026-12-01T10:00:30Z".parse().unwrap();
        let starting = log(&[("2026-12-01T10:00:22Z", "Starting up")]);
        let of = |process: &Process, log| phase(process, log, now);
        let young = dockerd("2026-12-01T10:00:22Z");
        let old = dockerd("2026-12-01T08:00:00Z");
        assert!(matches!(of(&young, Some(&starting)), Phase::Starting(_, Some(_))));
        assert!(matches!(of(&young, None), Phase::Starting(_, None)));
        assert_eq!(of(&old, None), Phase::Running);
        let ready = log(&[
            ("2026-12-01T10:00:22Z", "Starting up"),
            ("2026-12-01T10:00:25Z", "API listen on /run/docker.sock"),
        ]);
        assert_eq!(of(&young, Some(&ready)), Phase::Running);
        let stopping = log(&[("2026-12-01T10:00:27Z", "Processing signal 'terminated'")]);
        assert!(matches!(of(&old, Some(&stopping)), Phase::Stopping(_, _)));
        let hung = log(&[("2026-12-01T09:00:27Z", "Processing signal 'terminated'")]);
        assert_eq!(of(&old, Some(&hung)), Phase::Running);
        // The signal was for the process before this one.
        let before = log(&[("2026-12-01T10:00:10Z", "Processing signal 'terminated'")]);
        assert!(matches!(of(&young, Some(&before)), Phase::Starting(_, None)));
        let frozen = Process { state: 'T', ..young };
        assert_eq!(of(&frozen, Some(&starting)), Phase::Running);
    }
}
