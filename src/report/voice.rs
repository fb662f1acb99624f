//! What a fix says while it goes on.

use super::pen::{Indent, Ink, Pen, Span};
use super::{Terminal, remedy, stats};
use crate::fix::{Level, Plan};
use crate::judge::Diagnosis;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead as _, Write};

/// Says what is done. A report for programs has standard output to itself.
pub struct Voice {
    terminal: Terminal,
    aside: bool,
}

/// How a thing is said.
#[derive(Clone, Copy, Debug)]
pub enum Tone {
    /// It is well.
    Good,
    /// It is not as it should be.
    Bad,
    /// It is only said.
    Plain,
}

impl Voice {
    /// To standard output, or aside to standard error.
    pub fn new(terminal: Terminal, aside: bool) -> Self {
        Self { terminal, aside }
    }

    fn with(&self, write: impl FnOnce(&mut Pen<'_>) -> io::Result<()>) {
        let mut text = Vec::new();
        let mut pen = Pen::new(&mut text, self.terminal.width, self.terminal.color, self.terminal.ascii);
        // Writing into memory cannot fail; and what is done does not hang on somebody reading along.
        drop(write(&mut pen));
        drop(match self.aside {
            true => io::stderr().write_all(&text),
            false => io::stdout().write_all(&text).and_then(|()| io::stdout().flush()),
        });
    }

    /// One sentence.
    pub fn say(&self, tone: Tone, text: &str) {
        let ink = match tone {
            Tone::Good => Ink::Green,
            Tone::Bad => Ink::Red,
            Tone::Plain => Ink::Plain,
        };
        self.with(|pen| pen.flow(Indent(0, 2), &[Span::new(ink, text)]));
    }

    /// How long a run took, and with what.
    pub fn stats(&self, diagnosis: &Diagnosis) {
        self.with(|pen| stats::write(pen, diagnosis));
    }

    /// Lines as they are.
    pub fn lines(&self, lines: &[String]) {
        self.with(|pen| lines.iter().try_for_each(|line| pen.line(4, Ink::Cyan, line)));
    }

    /// A plan: what is wrong, what would be done, how much it may hurt, and what is left to others.
    pub fn plan(&self, plan: &Plan, number: usize, difference: &[String]) {
        self.with(|pen| {
            let (check, subject) = plan.key();
            let ink = Ink::of(plan.finding.severity);
            pen.blank()?;
            let head = [Span::solid(ink, format!("{number} {check}")), Span::plain(format!(" on {subject}"))];
            pen.flow(Indent(0, 2), &head)?;
            pen.flow(Indent(2, 2), &[Span::plain(plan.finding.summary.as_str())])?;
            let Some(cure) = &plan.finding.remedy else {
                return pen.flow(Indent(2, 2), &[Span::plain("There is no remedy to offer.")]);
            };
            let title = [Span::new(Ink::Bold, "Remedy: "), Span::plain(cure.title.as_ref())];
            pen.flow(Indent(2, 4), &title)?;
            if !plan.here.is_empty() {
                let level = plan.level();
                let ink = match level {
                    Level::Safe => Ink::Green,
                    Level::Disruptive => Ink::Yellow,
                    Level::Destructive => Ink::Red,
                };
                let impact =
                    if cure.impact.is_empty() { String::new() } else { format!(": {}", cure.impact) };
                let back = if plan.is_final() { "; it cannot be taken back" } else { "" };
                let risk = [
                    Span::plain("Risk: "),
                    Span::solid(ink, level.as_str()),
                    Span::plain(impact),
                    Span::plain(back),
                ];
                pen.flow(Indent(2, 4), &risk)?;
                remedy::steps(pen, 0, &plan.here)?;
            }
            for line in difference {
                let ink = match line.as_bytes().first() {
                    Some(b'+') => Ink::Green,
                    Some(b'-') => Ink::Red,
                    _ => Ink::Faint,
                };
                pen.line(6, ink, line)?;
            }
            if !plan.rest.is_empty() {
                let lead = if plan.here.is_empty() { "Left to you:" } else { "Left to you afterwards:" };
                pen.flow(Indent(2, 4), &[Span::plain(lead)])?;
                remedy::steps(pen, 0, &plan.rest)?;
            }
            Ok(())
        });
    }

    /// Asks, and gives back the answer without blanks; none where there is nobody to answer. Whoever waits for it can be
    /// interrupted.
    pub async fn ask(&self, question: &str) -> Option<String> {
        let mut out = io::stderr();
        drop(write!(out, "{question} ").and_then(|()| out.flush()));
        let answer = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            let read = io::stdin().lock().read_line(&mut line);
            read.is_ok_and(|length| length > 0).then(|| line.trim().to_owned())
        });
        answer.await.ok()?
    }

    /// Asks for what nobody looking on may see.
    pub async fn secret(&self, question: &str) -> Option<String> {
        let hidden = Hidden::begin()?;
        let said = self.ask(question).await;
        drop(hidden);
        // The key that ended the answer was not shown either.
        drop(writeln!(io::stderr()));
        said
    }
}

/// While it lives the terminal does not show what is typed.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> Option<Self> {
        let shown = tcgetattr(io::stdin()).ok()?;
        let mut hidden = shown.clone();
        hidden.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &hidden).ok()?;
        Some(Self(shown))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing anyway.
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &self.0).ok();
    }
}
