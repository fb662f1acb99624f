//! How an engine that does not run came to its end, by what it and the machine wrote.

use facts::log::{Level, Line, Log, Program};

/// How an engine ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ending<'a> {
    /// It gave up, and said why.
    GaveUp(&'a Line),
    /// It was asked to stop.
    Asked(&'a Line),
    /// The kernel killed it for memory.
    Starved(&'a Line),
}

/// How the engine last ended, where the log tells. What stands before its last start is of another time.
pub(super) fn ending(log: &Log) -> Option<Ending<'_>> {
    for line in log.lines.iter().rev() {
        let says = |words: &str| line.message.contains(words);
        match line.program {
            Program::Engine if is_last_word(line) => return Some(Ending::GaveUp(line)),
            Program::Engine if says("Processing signal '") => return Some(Ending::Asked(line)),
            Program::Engine if line.message.starts_with("API listen on") || says("Starting up") => {
                return None;
            }
            Program::Kernel if says("Killed process") && says("(dockerd)") => {
                return Some(Ending::Starved(line));
            }
            _ => {}
        }
    }
    None
}

/// What the engine said when it gave up, where it did.
pub(super) fn last_words(log: &Log) -> Option<&Line> {
    match ending(log)? {
        Ending::GaveUp(line) => Some(line),
        Ending::Asked(_) | Ending::Starved(_) => None,
    }
}

/// What dockerd says when it gives up. Newer engines write the reason without a level.
fn is_last_word(line: &Line) -> bool {
    let starts = [
        "failed to ",
        "unable to ",
        "Error starting",
        "invalid ",
        "process with PID",
        "pid file found",
        "panic: ",
        "fatal error: ",
    ];
    matches!(line.level, Level::Fatal | Level::Panic)
        || (line.level == Level::Unknown
            // The logger that ended the engine has said why in the line before.
            && !line.message.starts_with("panic: (*logrus.Entry)")
            && starts.iter().any(|words| line.message.starts_with(words)))
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
        Log { lines: lines.iter().map(line).collect(), holes: Vec::new(), ends: None }
    }

    #[test]
    fn tells_an_engine_that_gave_up_from_one_that_was_asked_to_stop() {
        use Program::{Engine, Kernel};
        let up = (Engine, Level::Info, "API listen on /run/docker.sock");
        let asked = (Engine, Level::Info, "Processing signal 'terminated'");
        let gave_up = (Engine, Level::Unknown, "failed to start daemon: no space left on device");
        let starved = (Kernel, Level::Unknown, "Out of memory: Killed process 41 (dockerd) total-vm:1kB");
        assert!(matches!(ending(&log(&[up, gave_up])), Some(Ending::GaveUp(_))));
        assert!(matches!(ending(&log(&[gave_up, up, asked])), Some(Ending::Asked(_))));
        assert!(matches!(ending(&log(&[up, starved])), Some(Ending::Starved(_))));
        assert_eq!(ending(&log(&[gave_up, up])), None);
        assert_eq!(last_words(&log(&[asked, up, starved])), None);
    }
}
