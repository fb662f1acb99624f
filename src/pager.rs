//! A long text on a terminal, page by page.

#![expect(
    clippy::disallowed_methods,
    reason = "a pager is a program, and it is started by no command that looks at a swarm"
)]

use std::io::{self, IsTerminal, Write};
use std::process::{Command, Stdio};

/// Shows a text: through `PAGER`, else `less`, where it is longer than the terminal, and else as it is.
pub fn show(text: &[u8]) -> io::Result<()> {
    let lines = text.iter().filter(|byte| **byte == b'\n').count();
    let rows = terminal_size::terminal_size().map_or(0, |(_, rows)| usize::from(rows.0));
    if io::stdout().is_terminal() && lines >= rows && rows > 0 {
        let pager = std::env::var("PAGER").unwrap_or_else(|_| "less".to_owned());
        let mut words = pager.split_whitespace();
        if let Some(program) = words.next()
            && let Ok(shown) = through(program, words, text)
        {
            return shown;
        }
    }
    let mut out = io::stdout().lock();
    out.write_all(text).and_then(|()| out.flush())
}

/// The outer error is that there is no such program.
fn through<'a>(
    program: &str,
    words: impl Iterator<Item = &'a str>,
    text: &[u8],
) -> io::Result<io::Result<()>> {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        // Colours are shown, and a text that fits is left on the screen.
        command.env("LESS", "FRX");
    }
    let mut child = command.spawn()?;
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(text));
    let ended = child.wait();
    // The user may quit the pager before everything was written.
    let written =
        written.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) });
    Ok(written.and(ended.map(drop)))
}
