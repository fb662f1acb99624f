//! Running a program of the system: exact arguments, no shell, no input, a time limit.

use crate::fix::error::{CommandFailure, FixError, Result};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Where the system keeps its programs; the PATH of the caller is not used.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// How long the output of a program is read after its end; a service that it started may hold it open.
const DRAIN: Duration = Duration::from_millis(300);

/// Runs a program to its end; its standard output.
pub(super) fn run(argv: &[String], limit: Duration) -> Result<String> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(FixError::Refused("no program is named".into()));
    };
    let failed = |failure| FixError::Command { command: argv.join(" "), failure };
    #[expect(
        clippy::disallowed_methods,
        reason = "only a fix starts programs: those that own what it changes"
    )]
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", PATH).env("LC_ALL", "C").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A signal from the keyboard is for swarm-doctor, which ends after the current operation.
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| failed(CommandFailure::Start(error)))?;
    let (out, err) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let began = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if began.elapsed() < limit => thread::sleep(Duration::from_millis(10)),
            Ok(None) => {
                drop(child.kill());
                drop(child.wait());
                return Err(failed(CommandFailure::TimedOut(limit.as_secs())));
            }
            Err(error) => return Err(failed(CommandFailure::Start(error))),
        }
    };
    let text = |pieces: mpsc::Receiver<Vec<u8>>| {
        let mut bytes = Vec::new();
        while let Ok(piece) = pieces.recv_timeout(DRAIN) {
            bytes.extend(piece);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (output, errors) = (text(out), text(err));
    if status.success() {
        return Ok(output);
    }
    let output = [errors.trim(), output.trim()].into_iter().find(|text| !text.is_empty());
    let output = output.unwrap_or("it printed nothing").to_owned();
    Err(failed(CommandFailure::Exit { status: status.code(), output }))
}

/// What comes out of a pipe, piece by piece, from a separate thread.
fn reader(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    let read = move || {
        let Some(mut pipe) = pipe else { return };
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut piece) {
            if sender.send(piece[..length].to_vec()).is_err() {
                return;
            }
        }
    };
    // Without the thread there is no output, and the exit status still counts.
    drop(thread::Builder::new().spawn(read));
    receiver
}

#[cfg(test)]
mod tests {
    use super::run;
    use std::time::{Duration, Instant};

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn returns_the_output_or_the_error_of_a_program() {
        let second = Duration::from_secs(10);
        assert_eq!(run(&words("echo $HOME ;"), second).unwrap(), "$HOME ;\n");
        assert!(run(&words("cat /nonexistent"), second).unwrap_err().to_string().contains("No such file"));
        assert!(
            run(&words("no-such-program"), second).unwrap_err().to_string().contains("could not be started")
        );
    }

    #[test]
    fn ends_after_the_limit() {
        let began = Instant::now();
        assert!(
            run(&words("sleep 60"), Duration::from_millis(50))
                .unwrap_err()
                .to_string()
                .contains("did not end")
        );
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}
