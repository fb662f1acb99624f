//! Messages, plans and questions while a command runs.

use super::writer::{Indent, ReportWriter, Span, Style};
use super::{Printable, Terminal, remedy, stats};
use crate::fix::{Level, Plan};
use crate::judge::Diagnosis;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead as _, Write};

/// Writes messages for a person.
pub struct Console {
    terminal: Terminal,
    stream: Stream,
}

/// Where messages go. A report for programs has standard output to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// The kind of a message, which gives its colour.
#[derive(Clone, Copy, Debug)]
pub enum MessageKind {
    /// Something is as it should be.
    Good,
    /// Something is not as it should be.
    Bad,
    /// Neither.
    Plain,
}

impl Console {
    /// A console on one of the standard streams.
    pub fn new(terminal: Terminal, stream: Stream) -> Self {
        Self { terminal, stream }
    }

    fn with(&self, write: impl FnOnce(&mut ReportWriter<'_>) -> io::Result<()>) {
        let mut text = Vec::new();
        // Writing into memory cannot fail, and an unread message must not stop the work.
        drop(write(&mut ReportWriter::new(&mut text, self.terminal)));
        drop(match self.stream {
            Stream::Error => io::stderr().write_all(&text),
            Stream::Output => io::stdout().write_all(&text).and_then(|()| io::stdout().flush()),
        });
    }

    /// Writes one message.
    pub fn say(&self, kind: MessageKind, text: &str) {
        let style = match kind {
            MessageKind::Good => Style::Green,
            MessageKind::Bad => Style::Red,
            MessageKind::Plain => Style::Plain,
        };
        self.with(|writer| writer.flow(Indent(0, 2), &[Span::new(style, text)]));
    }

    /// Writes how long a run took.
    pub fn stats(&self, diagnosis: &Diagnosis) {
        self.with(|writer| stats::write(writer, diagnosis));
    }

    /// Writes lines, never wrapped.
    pub fn lines(&self, lines: &[String]) {
        self.with(|writer| lines.iter().try_for_each(|line| writer.line(4, Style::Cyan, line)));
    }

    /// Writes a plan: the finding, what would be done here with its risk, and what is left to do by hand. Without
    /// operations, the steps of the remedy are shown.
    pub fn plan(&self, plan: &Plan, number: usize, operations: &[String], difference: &[String]) {
        self.with(|writer| {
            let (check, subject) = plan.key();
            let style = Style::of(plan.finding.severity);
            writer.blank()?;
            let head =
                [Span::solid(style, format!("{number} {check}")), Span::plain(format!(" on {subject}"))];
            writer.flow(Indent(0, 2), &head)?;
            writer.flow(Indent(2, 2), &[Span::plain(plan.finding.summary.as_str())])?;
            let Some(remedy) = &plan.finding.remedy else {
                return writer.flow(Indent(2, 2), &[Span::plain("No remedy is known.")]);
            };
            let title = [Span::new(Style::Bold, "Remedy: "), Span::plain(remedy.title.as_ref())];
            writer.flow(Indent(2, 4), &title)?;
            if !plan.here.is_empty() {
                let level = plan.level();
                let style = match level {
                    Level::Safe => Style::Green,
                    Level::Disruptive => Style::Yellow,
                    Level::Destructive => Style::Red,
                };
                let undo = if plan.is_final() { " It cannot be undone." } else { "" };
                let risk = [
                    Span::plain("Risk: "),
                    Span::solid(style, format!("{}.", level.as_str())),
                    Span::plain(if remedy.impact.is_empty() { "" } else { " " }),
                    Span::plain(super::text::sentence(&remedy.impact)),
                    Span::plain(undo),
                ];
                writer.flow(Indent(2, 4), &risk)?;
                if operations.is_empty() {
                    remedy::steps(writer, 0, &plan.here)?;
                }
                // The operations as they are run.
                for (at, operation) in operations.iter().enumerate() {
                    writer.flow(Indent(4, 7), &[Span::plain(format!("{}. {operation}", at + 1))])?;
                }
            }
            for line in difference {
                let style = match line.as_bytes().first() {
                    Some(b'+') => Style::Green,
                    Some(b'-') => Style::Red,
                    _ => Style::Faint,
                };
                writer.line(6, style, line)?;
            }
            if !plan.rest.is_empty() {
                let lead = if plan.here.is_empty() { "By hand:" } else { "Then, by hand:" };
                writer.flow(Indent(2, 4), &[Span::plain(lead)])?;
                remedy::steps(writer, 0, &plan.rest)?;
            }
            Ok(())
        });
    }

    /// Asks a question and returns the answer without surrounding blanks, or `None` at the end of the input. The wait
    /// can be interrupted.
    pub async fn ask(&self, question: &str) -> Option<String> {
        let mut out = io::stderr();
        let question = Printable::new(question);
        drop(write!(out, "{question} ").and_then(|()| out.flush()));
        let answer = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            let read = io::stdin().lock().read_line(&mut line);
            read.is_ok_and(|length| length > 0).then(|| line.trim().to_owned())
        });
        answer.await.ok()?
    }

    /// Asks for a secret, which is not shown while it is typed.
    pub async fn secret(&self, question: &str) -> Option<String> {
        let hidden = Hidden::begin()?;
        let answer = self.ask(question).await;
        drop(hidden);
        // The line break that ended the answer was not shown either.
        drop(writeln!(io::stderr()));
        answer
    }
}

/// The terminal does not show what is typed until this is dropped.
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
