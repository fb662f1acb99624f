//! Writes lines for a terminal. Every text goes through it, so that none reaches the terminal with its control
//! characters and none is wider than the page.

use super::Terminal;
use super::text::{clean, columns, is_wider, split_at_column};
use checks::Severity;
use std::borrow::Cow;
use std::io::{self, Write};
use std::rc::Rc;

/// Narrower than this, wrapping harms more than it helps; wider, lines are hard to follow.
const WIDTHS: std::ops::RangeInclusive<usize> = 40..=120;

/// How a stretch of text is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Faint,
    Red,
    Yellow,
    Green,
    Cyan,
}

impl Style {
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

    /// The style of a severity.
    pub(super) fn of(severity: Severity) -> Self {
        match severity {
            Severity::Error => Self::Red,
            Severity::Warning => Self::Yellow,
            Severity::Info => Self::Cyan,
        }
    }
}

/// Symbols that stand for a word, so that a report can be read without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    Severity(Severity),
    Healthy,
    Unknown,
    Skipped,
    Between,
}

/// A stretch of text in one style.
#[derive(Clone, Debug)]
pub(super) struct Span<'a> {
    style: Style,
    text: Cow<'a, str>,
    /// Lines break at its spaces only where it is wider than a line.
    solid: bool,
    /// The page that it leads to, on terminals that follow links.
    link: Option<Rc<str>>,
}

impl<'a> Span<'a> {
    pub(super) fn new(style: Style, text: impl Into<Cow<'a, str>>) -> Self {
        Self { style, text: text.into(), solid: false, link: None }
    }

    pub(super) fn plain(text: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Style::Plain, text)
    }

    pub(super) fn solid(style: Style, text: impl Into<Cow<'a, str>>) -> Self {
        Self { solid: true, ..Self::new(style, text) }
    }

    /// The id of a check, which leads to its page.
    pub(super) fn check(style: Style, id: &'a str) -> Self {
        Self { link: Some(super::page_of(id).into()), ..Self::new(style, id) }
    }
}

/// A cleaned piece of a span.
#[derive(Clone)]
struct Stretch {
    style: Style,
    link: Option<Rc<str>>,
    text: String,
}

/// How far lines stand in: the first, and those that follow from wrapping it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Indent(pub(super) usize, pub(super) usize);

/// Writes lines that fit the page.
pub(super) struct ReportWriter<'a> {
    out: &'a mut dyn Write,
    width: usize,
    color: bool,
    links: bool,
    pub(super) ascii: bool,
}

/// What stands between two places where a line may break.
type Word = Vec<Stretch>;

impl<'a> ReportWriter<'a> {
    pub(super) fn new(out: &'a mut dyn Write, terminal: Terminal) -> Self {
        let Terminal { width, color, links, ascii } = terminal;
        Self { out, width: usize::from(width).clamp(*WIDTHS.start(), *WIDTHS.end()), color, links, ascii }
    }

    /// The columns left of a line that stands in so far.
    pub(super) fn room(&self, indent: usize) -> usize {
        self.width.saturating_sub(indent)
    }

    pub(super) fn symbol(&self, symbol: Symbol) -> &'static str {
        match (symbol, self.ascii) {
            (Symbol::Severity(Severity::Error), false) => "✗",
            (Symbol::Severity(Severity::Error), true) => "x",
            (Symbol::Severity(Severity::Warning), _) => "!",
            (Symbol::Severity(Severity::Info), _) => "i",
            (Symbol::Healthy, false) => "✓",
            (Symbol::Healthy, true) => "+",
            (Symbol::Unknown, _) => "?",
            (Symbol::Skipped, _) => "-",
            (Symbol::Between, false) => "·",
            (Symbol::Between, true) => "|",
        }
    }

    pub(super) fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        clean(text, self.ascii)
    }

    pub(super) fn blank(&mut self) -> io::Result<()> {
        self.out.write_all(b"\n")
    }

    /// One line as it is, however long: for commands, which could not be copied once they are wrapped.
    pub(super) fn line(&mut self, indent: usize, style: Style, text: &str) -> io::Result<()> {
        let text = clean(text, self.ascii).into_owned();
        self.put(indent, &[Stretch { style, link: None, text }])
    }

    /// Spans on one line, however long.
    pub(super) fn whole(&mut self, spans: &[Span<'_>]) -> io::Result<()> {
        let line: Word =
            spans.iter().map(|span| self.stretch(span, &clean(&span.text, self.ascii))).collect();
        self.put(0, &line)
    }

    /// Items side by side, with a dot between them; lines break there and nowhere else.
    pub(super) fn items(&mut self, indent: Indent, items: Vec<Span<'_>>) -> io::Result<()> {
        let between = format!(" {}", self.symbol(Symbol::Between));
        let mut spans = Vec::new();
        let last = items.len().saturating_sub(1);
        for (at, item) in items.into_iter().enumerate() {
            spans.push(Span { solid: true, ..item });
            if at != last {
                spans.push(Span::solid(Style::Faint, between.clone()));
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
            let wide: usize = word.iter().map(|stretch| columns(&stretch.text)).sum();
            let room = self.room(start).max(1);
            let fits = !line.is_empty() && taken + 1 + wide <= room;
            if fits {
                join(&mut line, Stretch { style: Style::Plain, link: None, text: " ".into() });
                taken += 1;
            } else if !line.is_empty() {
                self.put(start, &line)?;
                line.clear();
                taken = 0;
                start = indent.1;
            }
            for stretch in word {
                let piece = |text: &str| Stretch { text: text.to_owned(), ..stretch.clone() };
                let mut rest = stretch.text.as_str();
                while is_wider(rest, self.room(start).max(1).saturating_sub(taken)) {
                    let (head, tail) = split_at_column(rest, self.room(start).saturating_sub(taken));
                    // A wide letter may have no room left on this line, and still has to go somewhere.
                    let head = if taken > 0 && taken + columns(head) > self.room(start) { "" } else { head };
                    let tail = if head.is_empty() { rest } else { tail };
                    join(&mut line, piece(head));
                    self.put(start, &line)?;
                    line.clear();
                    taken = 0;
                    start = indent.1;
                    rest = tail;
                }
                join(&mut line, piece(rest));
                taken += columns(rest);
            }
        }
        if line.is_empty() { Ok(()) } else { self.put(start, &line) }
    }

    fn stretch(&self, span: &Span<'_>, text: &str) -> Stretch {
        let link = span.link.clone().filter(|_| self.links);
        Stretch { style: span.style, link, text: text.to_owned() }
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
                    word.push(self.stretch(span, piece));
                }
            }
        }
        words
    }

    fn put(&mut self, indent: usize, line: &[Stretch]) -> io::Result<()> {
        let mut shown = " ".repeat(indent);
        for Stretch { style, link, text } in line.iter().filter(|stretch| !stretch.text.is_empty()) {
            let styled = self.color && *style != Style::Plain && !text.trim().is_empty();
            if let Some(link) = link {
                shown.push_str(&format!("\u{1b}]8;;{link}\u{1b}\\"));
            }
            if styled {
                shown.push_str(&format!("\u{1b}[{}m{text}\u{1b}[0m", style.code()));
            } else {
                shown.push_str(text);
            }
            if link.is_some() {
                shown.push_str("\u{1b}]8;;\u{1b}\\");
            }
        }
        writeln!(self.out, "{}", shown.trim_end())
    }
}

/// Adds to a line; a space goes with what stands before it.
fn join(line: &mut Word, next: Stretch) {
    match line.last_mut() {
        Some(last) if (last.style == next.style && last.link == next.link) || next.text == " " => {
            last.text.push_str(&next.text);
        }
        _ => line.push(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flowed(width: u16, color: bool, spans: &[Span<'_>]) -> String {
        let mut out = Vec::new();
        let terminal = Terminal { width, color, ..Terminal::PLAIN };
        ReportWriter::new(&mut out, terminal).flow(Indent(2, 4), spans).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_check_leads_to_its_page_where_the_terminal_follows_links() {
        let shown = |links| {
            let mut out = Vec::new();
            let terminal = Terminal { links, ..Terminal::PLAIN };
            let span = Span::check(Style::Plain, "swarm/lost-quorum");
            ReportWriter::new(&mut out, terminal).flow(Indent(0, 0), &[span]).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(false), "swarm/lost-quorum\n");
        let link = format!("\u{1b}]8;;{}\u{1b}\\", crate::report::page_of("swarm/lost-quorum"));
        assert_eq!(shown(true), format!("{link}swarm/lost-quorum\u{1b}]8;;\u{1b}\\\n"));
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
        let spans = [Span::new(Style::Red, text.as_str()), Span::solid(Style::Bold, "and more")];
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
        let shown = flowed(
            40,
            false,
            &[Span::plain(lead), Span::plain(" "), Span::solid(Style::Plain, "kept as one")],
        );
        assert!(shown.ends_with("    kept as one\n"), "{shown}");
    }

    #[test]
    fn untrusted_text_cannot_paint() {
        assert_eq!(flowed(40, true, &[Span::plain("a\u{1b}[31mb")]), "  a\\u{1b}[31mb\n");
    }
}
