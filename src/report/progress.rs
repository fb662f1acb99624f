//! A line on standard error while a run takes long.

use super::text::{clean, cut};
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Shorter runs show nothing.
const PATIENCE: Duration = Duration::from_millis(500);
/// A longer text would wrap on a narrow terminal, and a wrapped line cannot be removed.
const COLUMNS: usize = 48;
/// How often the line is updated.
const BEAT: Duration = Duration::from_millis(250);

/// A line on standard error with the current stage. It is removed when this is dropped.
#[derive(Debug)]
pub struct Progress {
    line: Option<Line>,
}

#[derive(Debug)]
struct Line {
    stage: Sender<String>,
    thread: JoinHandle<()>,
}

impl Progress {
    /// Starts, if standard error is a terminal and `wanted`: the formats for programs want none.
    pub fn start(wanted: bool, stage: &str) -> Self {
        if wanted && io::stderr().is_terminal() {
            Self::on(io::stderr(), PATIENCE, stage)
        } else {
            Self { line: None }
        }
    }

    /// Changes the stage.
    pub fn stage(&self, stage: &str) {
        if let Some(line) = &self.line {
            // The thread ends earlier only when it can no longer write.
            let _ = line.stage.send(stage.to_owned());
        }
    }

    fn on(out: impl Write + Send + 'static, patience: Duration, stage: &str) -> Self {
        let (sender, stages) = channel();
        let stage = stage.to_owned();
        // Without a thread the run goes on without the line.
        let thread =
            thread::Builder::new().name("progress".into()).spawn(move || run(out, patience, stage, &stages));
        Self { line: thread.ok().map(|thread| Line { stage: sender, thread }) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(Line { stage, thread }) = self.line.take() {
            drop(stage);
            // Waits, so that the line is removed before the report is written.
            let _ = thread.join();
        }
    }
}

/// Writes the line until the sender is dropped. A write error ends it silently.
fn run(mut out: impl Write, patience: Duration, mut stage: String, stages: &Receiver<String>) {
    let start = Instant::now();
    let mut shown = false;
    loop {
        let wait = if shown { BEAT } else { patience.saturating_sub(start.elapsed()) };
        match stages.recv_timeout(wait) {
            Ok(next) => stage = next,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if start.elapsed() >= patience {
            let stage = clean(&stage, true);
            let stage = cut(&stage, COLUMNS, true);
            let line = format!("\r\u{1b}[2Kswarm-doctor: {stage} ({} s)", start.elapsed().as_secs());
            shown = true;
            if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
                return;
            }
        }
    }
    if shown {
        let _ = out.write_all(b"\r\x1b[2K").and_then(|()| out.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Screen {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn a_quick_run_shows_nothing() {
        let screen = Screen::default();
        drop(Progress::on(screen.clone(), Duration::from_secs(60), "examining"));
        assert_eq!(screen.text(), "");
    }

    #[test]
    fn a_slow_run_shows_a_line_that_is_removed_at_the_end() {
        let screen = Screen::default();
        let progress = Progress::on(screen.clone(), Duration::ZERO, "examining");
        progress.stage("probing 3 peers");
        while !screen.text().contains("probing 3 peers") {
            thread::sleep(Duration::from_millis(5));
        }
        drop(progress);
        let text = screen.text();
        assert!(text.ends_with("\r\u{1b}[2K"), "{text:?}");
        assert!(!text.contains('\n'), "{text:?}");
    }
}
