//! The pen that writes for people. Every text goes through it, so that none reaches the terminal uncleaned
//! and none is wider than the page.

use super::text::{clean, columns, is_wider, split_at_column};
use checks::Severity;
use std::borrow::Cow;
use std::io::{self, Write};

/// Narrower than this, wrapping harms more than it helps; wider, lines are hard to follow.
const WIDTHS: std::ops::RangeInclusive<usize> = 40..=120;

/// The look of a stretch of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Bold,
    Faint,
    Red,
    Yellow,
    Green,
    Cyan,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Bold => "1",
            Self::Faint => "2",
            Self::Red => "1;31",
            Self::Yellow => "1;33",
            Self::Green => "32",
            Self::Cyan => "36",
        }
    }

    /// The ink of what weighs so much.
    pub(super) fn of(severity: Severity) -> Self {
        match severity {
            Severity::Error => Self::Red,
            Severity::Warning => Self::Yellow,
            Severity::Info => Self::Cyan,
        }
    }
}

/// Marks that stand for a word, so that a report can be skimmed without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Of(Severity),
    Healthy,
    Unknown,
    Skipped,
    Between,
}

/// A stretch of text in one ink.
#[derive(Clone, Debug)]
pub(super) struct Span<'a> {
    ink: Ink,
    text: Cow<'a, str>,
    /// Lines break at its spaces only where it is wider than a line.
    solid: bool,
}

impl<'a> Span<'a> {
    pub(super) fn new(ink: Ink, text: impl Into<Cow<'a, str>>) -> Self {
        Self { ink, text: text.into(), solid: false }
    }

    pub(super) fn plain(text: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Ink::Plain, text)
    }

    pub(super) fn solid(ink: Ink, text: impl Into<Cow<'a, str>>) -> Self {
        Self { solid: true, ..Self::new(ink, text) }
    }
}

/// How far lines stand in: the first, and those that follow from wrapping it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Indent(pub(super) usize, pub(super) usize);

/// Writes lines that fit the page.
pub(super) struct Pen<'a> {
    out: &'a mut dyn Write,
    width: usize,
    color: bool,
    pub(super) ascii: bool,
}

/// What stands between two places where a line may break.
type Word = Vec<(Ink, String)>;

impl<'a> Pen<'a> {
    pub(super) fn new(out: &'a mut dyn Write, width: u16, color: bool, ascii: bool) -> Self {
        Self { out, width: usize::from(width).clamp(*WIDTHS.start(), *WIDTHS.end()), color, ascii }
    }

    /// The columns left of a line that stands in so far.
    pub(super) fn room(&self, indent: usize) -> usize {
        self.width.saturating_sub(indent)
    }

    pub(super) fn mark(&self, mark: Mark) -> &'static str {
        match (mark, self.ascii) {
            (Mark::Of(Severity::Error), false) => "✗",
            (Mark::Of(Severity::Error), true) => "x",
            (Mark::Of(Severity::Warning), _) => "!",
            (Mark::Of(Severity::Info), _) => "i",
            (Mark::Healthy, false) => "✓",
            (Mark::Healthy, true) => "+",
            (Mark::Unknown, _) => "?",
            (Mark::Skipped, _) => "-",
            (Mark::Between, false) => "·",
            (Mark::Between, true) => "|",
        }
    }

    pub(super) fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        clean(text, self.ascii)
    }

    pub(super) fn blank(&mut self) -> io::Result<()> {
        self.out.write_all(b"\n")
    }

    /// One line as it is, however long: for commands, which nobody could copy once they are wrapped.
    pub(super) fn line(&mut self, indent: usize, ink: Ink, text: &str) -> io::Result<()> {
        let text = clean(text, self.ascii).into_owned();
        self.put(indent, &[(ink, text)])
    }

    /// Spans on one line, however long.
    pub(super) fn whole(&mut self, spans: &[Span<'_>]) -> io::Result<()> {
        let line: Word =
            spans.iter().map(|span| (span.ink, clean(&span.text, self.ascii).into_owned())).collect();
        self.put(0, &line)
    }

    /// Things side by side, with a mark between them; lines break there and nowhere else.
    pub(super) fn items(&mut self, indent: Indent, items: Vec<Span<'_>>) -> io::Result<()> {
        let between = format!(" {}", self.mark(Mark::Between));
        let mut spans = Vec::new();
        let last = items.len().saturating_sub(1);
        for (at, item) in items.into_iter().enumerate() {
            spans.push(Span { solid: true, ..item });
            if at != last {
                spans.push(Span::solid(Ink::Faint, between.clone()));
                spans.push(Span::plain(" "));
            }
        }
        self.flow(indent, &spans)
    }

    /// Prose, broken at spaces.
    pub(super) fn flow(&mut self, indent: Indent, spans: &[Span<'_>]) -> io::Result<()> {
        let mut line = Word::new();
        let mut taken = 0;
        let mut start = indent.0;
        for word in self.words(spans) {
            let wide: usize = word.iter().map(|(_, text)| columns(text)).sum();
            let room = self.room(start).max(1);
            let fits = !line.is_empty() && taken + 1 + wide <= room;
            if fits {
                join(&mut line, Ink::Plain, " ");
                taken += 1;
            } else if !line.is_empty() {
                self.put(start, &line)?;
                line.clear();
                taken = 0;
                start = indent.1;
            }
            for (ink, text) in word {
                let mut rest = text.as_str();
                while is_wider(rest, self.room(start).max(1).saturating_sub(taken)) {
                    let (head, tail) = split_at_column(rest, self.room(start).saturating_sub(taken));
                    // A wide letter may have no room left on this line, and still has to go somewhere.
                    let head = if taken > 0 && taken + columns(head) > self.room(start) { "" } else { head };
                    let tail = if head.is_empty() { rest } else { tail };
                    join(&mut line, ink, head);
                    self.put(start, &line)?;
                    line.clear();
                    taken = 0;
                    start = indent.1;
                    rest = tail;
                }
                join(&mut line, ink, rest);
                taken += columns(rest);
            }
        }
        if line.is_empty() { Ok(()) } else { self.put(start, &line) }
    }

    fn words(&self, spans: &[Span<'_>]) -> Vec<Word> {
        let mut words: Vec<Word> = vec![Word::new()];
        for span in spans {
            let text = clean(&span.text, self.ascii);
            let pieces = if span.solid { vec![text.as_ref()] } else { text.split(' ').collect() };
            for (at, piece) in pieces.into_iter().enumerate() {
                if at > 0 {
                    words.push(Word::new());
                }
                if let Some(word) = words.last_mut() {
                    word.push((span.ink, piece.to_owned()));
                }
            }
        }
        words
    }

    fn put(&mut self, indent: usize, line: &[(Ink, String)]) -> io::Result<()> {
        let mut text = " ".repeat(indent);
        for (ink, stretch) in line.iter().filter(|(_, stretch)| !stretch.is_empty()) {
            if self.color && *ink != Ink::Plain && !stretch.trim().is_empty() {
                text.push_str(&format!("\u{1b}[{}m{stretch}\u{1b}[0m", ink.code()));
            } else {
                text.push_str(stretch);
            }
        }
        writeln!(self.out, "{}", text.trim_end())
    }
}

/// Adds to a line; a space goes with what stands before it.
fn join(line: &mut Word, ink: Ink, text: &str) {
    match line.last_mut() {
        Some((last, before)) if *last == ink || text == " " => before.push_str(text),
        _ => line.push((ink, text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flowed(width: u16, color: bool, spans: &[Span<'_>]) -> String {
        let mut out = Vec::new();
        Pen::new(&mut out, width, color, false).flow(Indent(2, 4), spans).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn no_line_is_wider_than_the_page() {
        let text = format!("one 節点節点 {} {} end", "word ".repeat(40), "節".repeat(120));
        for line in flowed(40, false, &[Span::plain(text)]).lines() {
            assert!(columns(line) <= 40, "{line}");
        }
    }

    #[test]
    fn nothing_is_lost_by_wrapping() {
        let text = format!("{} {}", "a bc def ".repeat(20).trim(), "x".repeat(200));
        let squeezed = |text: &str| text.replace([' ', '\n'], "");
        assert_eq!(squeezed(&flowed(40, false, &[Span::plain(text.as_str())])), squeezed(&text));
    }

    #[test]
    fn colour_takes_no_room() {
        let text = "several words ".repeat(12);
        let spans = [Span::new(Ink::Red, text.as_str()), Span::solid(Ink::Bold, "and more")];
        let plain = flowed(60, false, &spans);
        let mut painted = flowed(60, true, &spans);
        assert!(painted.contains("\u{1b}[1;31m"));
        for code in ["\u{1b}[1;31m", "\u{1b}[1m", "\u{1b}[0m"] {
            painted = painted.replace(code, "");
        }
        let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        assert_eq!(trimmed(&painted), trimmed(&plain));
    }

    #[test]
    fn a_solid_stretch_stays_together() {
        let lead = "x".repeat(30);
        let shown =
            flowed(40, false, &[Span::plain(lead), Span::plain(" "), Span::solid(Ink::Plain, "kept as one")]);
        assert!(shown.ends_with("    kept as one\n"), "{shown}");
    }

    #[test]
    fn untrusted_text_cannot_paint() {
        assert_eq!(flowed(40, true, &[Span::plain("a\u{1b}[31mb")]), "  a\\u{1b}[31mb\n");
    }
}
