//! Starting a program of the system: its arguments as they are, no shell, no input, and an end to the waiting.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Where the system keeps its programs; the caller's own PATH does not count.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// How long a program may take to let go of its output once it has ended; a service that it started may keep it.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Runs a program to its end; what it printed, or what it complained of.
pub(super) fn run(argv: &[String], deadline: Duration) -> Result<String, String> {
    let Some((program, arguments)) = argv.split_first() else { return Err("no program is named".into()) };
    let shown = argv.join(" ");
    #[expect(
        clippy::disallowed_methods,
        reason = "only a fix starts programs: those that own what it changes"
    )]
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", PATH).env("LC_ALL", "C").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // An interrupt from the keyboard is for the doctor, which then ends after a whole step.
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| format!("failed to start `{program}`: {error}"))?;
    let (out, err) = (heard(child.stdout.take()), heard(child.stderr.take()));
    let began = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if began.elapsed() < deadline => thread::sleep(Duration::from_millis(10)),
            Ok(None) => {
                drop(child.kill());
                drop(child.wait());
                return Err(format!("`{shown}` did not end within {} s", deadline.as_secs()));
            }
            Err(error) => return Err(format!("failed to wait for `{shown}`: {error}")),
        }
    };
    let text = |heard: mpsc::Receiver<Vec<u8>>| {
        let mut bytes = Vec::new();
        while let Ok(piece) = heard.recv_timeout(LAST_WORDS) {
            bytes.extend(piece);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (said, complained) = (text(out), text(err));
    if status.success() {
        return Ok(said);
    }
    let why = [complained.trim(), said.trim()]
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or("it said nothing");
    Err(format!("`{shown}` failed with {status}: {why}"))
}

/// What comes out of a pipe, piece by piece, from a thread of its own.
fn heard(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (tell, told) = mpsc::channel();
    let listen = move || {
        let Some(mut pipe) = pipe else { return };
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut piece) {
            if tell.send(piece[..length].to_vec()).is_err() {
                return;
            }
        }
    };
    // Without the thread nothing is heard, and the exit status still counts.
    drop(thread::Builder::new().spawn(listen));
    told
}

#[cfg(test)]
mod tests {
    use super::run;
    use std::time::{Duration, Instant};

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn tells_what_a_program_printed_or_complained_of() {
        let second = Duration::from_secs(10);
        assert_eq!(run(&words("echo $HOME ;"), second).unwrap(), "$HOME ;\n");
        assert!(run(&words("cat /nonexistent"), second).unwrap_err().contains("No such file"));
        assert!(run(&words("no-such-program"), second).unwrap_err().contains("failed to start"));
    }

    #[test]
    fn does_not_wait_for_ever() {
        let began = Instant::now();
        assert!(run(&words("sleep 60"), Duration::from_millis(50)).unwrap_err().contains("did not end"));
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}
