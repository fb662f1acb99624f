//! Text made safe for a terminal. Names, labels and log lines come from the swarm: without this, the
//! name of a service could contain terminal escape sequences.

use facts::Timestamp;
use std::borrow::Cow;
use std::fmt::{self, Write};
use unicode_width::UnicodeWidthChar;

/// How many marks may stack on one letter; real scripts need no more, and a pile of them blots out the
/// lines above.
const STACKED_MARKS: usize = 3;

/// The text with everything visible: control characters, escapes and characters that reorder or hide their
/// neighbours become `\u{...}`, a line break one sign. With `ascii` nothing else than ASCII is left, because
/// a terminal in another encoding may take the bytes of a harmless letter for an escape.
pub(super) fn clean(text: &str, ascii: bool) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut marks = 0;
    for char in text.chars() {
        marks = if columns_of(char) == 0 { marks + 1 } else { 0 };
        match char {
            '\n' if ascii => shown.push_str("\\n"),
            '\n' => shown.push('⏎'),
            '\t' => shown.push_str("\\t"),
            '\r' => shown.push_str("\\r"),
            _ if misleads(char) || marks > STACKED_MARKS || (ascii && !char.is_ascii()) => {
                // Writing into a String cannot fail.
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(char));
            }
            _ => shown.push(char),
        }
    }
    Cow::Owned(shown)
}

/// Control characters, those that reorder text, break lines, or are not to be seen (Unicode's
/// `Default_Ignorable_Code_Point`).
pub(super) fn misleads(char: char) -> bool {
    char.is_control()
        || is_no_character(char)
        || matches!(char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Code points that are never to stand for a character; XML and HTML forbid them.
fn is_no_character(char: char) -> bool {
    matches!(u32::from(char) & 0xffff, 0xfffe..=0xffff) || matches!(char, '\u{fdd0}'..='\u{fdef}')
}

/// The text for an element or an attribute of XML or HTML: no control character is left, for XML allows few, and
/// nothing that could be an element.
pub(super) fn markup(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 16);
    for char in clean(text, false).chars() {
        match char {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            '\'' => shown.push_str("&#39;"),
            _ => shown.push(char),
        }
    }
    shown
}

/// A text that can be printed on any terminal: [`clean`] was applied to each of its lines. Errors hold their text as one,
/// so that no error from a hostile file reaches a terminal as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printable(String);

impl Printable {
    /// Makes a text printable. Line breaks stay.
    pub fn new(text: &str) -> Self {
        let lines: Vec<_> = text.split('\n').map(|line| clean(line, false)).collect();
        Self(lines.join("\n"))
    }

    /// Makes a text printable on one line.
    pub fn line(text: &str) -> Self {
        Self(clean(text, false).into_owned())
    }
}

impl fmt::Display for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How many columns a text takes on a terminal.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// Whether a text takes more than `limit` columns. Stops reading at the limit.
pub(super) fn is_wider(text: &str, limit: usize) -> bool {
    let mut taken = 0;
    text.chars().any(|char| {
        taken += columns_of(char);
        taken > limit
    })
}

fn columns_of(char: char) -> usize {
    char.width().unwrap_or(0)
}

/// Splits off the longest prefix of at most `limit` columns. The prefix is only empty if the text is, so a loop terminates.
pub(super) fn split_at_column(text: &str, limit: usize) -> (&str, &str) {
    let mut taken = 0;
    for (at, char) in text.char_indices() {
        taken += columns_of(char);
        if taken > limit && at > 0 {
            return text.split_at(at);
        }
    }
    (text, "")
}

/// Shortens a text to `limit` columns, in the middle and between words where possible: a log line has its source at the start
/// and the reason mostly at the end.
pub(super) fn cut(text: &str, limit: usize, ascii: bool) -> Cow<'_, str> {
    if !is_wider(text, limit) {
        return Cow::Borrowed(text);
    }
    let ellipsis = if ascii { " ... " } else { " … " };
    let room = limit.saturating_sub(columns(ellipsis));
    let (head, rest) = split_at_column(text, room * 2 / 3);
    let mut tail = rest;
    let mut left = columns(tail);
    let most = room.saturating_sub(columns(head));
    while left > most {
        let mut chars = tail.chars();
        left -= chars.next().map_or(left, columns_of);
        tail = chars.as_str();
    }
    let head = whole_words_before(head, rest);
    let skipped = text.len() - tail.len();
    let tail = whole_words_after(text.get(..skipped).unwrap_or_default(), tail);
    Cow::Owned(format!("{}{ellipsis}{}", head.trim_end(), tail.trim_start()))
}

/// Shortens a text to `limit` columns at its end, between words where possible.
pub(super) fn cut_end(text: &str, limit: usize, ascii: bool) -> Cow<'_, str> {
    if !is_wider(text, limit) {
        return Cow::Borrowed(text);
    }
    let ellipsis = if ascii { " ..." } else { " …" };
    let (head, rest) = split_at_column(text, limit.saturating_sub(columns(ellipsis)));
    Cow::Owned(format!("{}{ellipsis}", whole_words_before(head, rest).trim_end()))
}

/// `head` without the word that goes on in `rest`. A word that is most of the text stays cut.
fn whole_words_before<'t>(head: &'t str, rest: &str) -> &'t str {
    if rest.starts_with(' ') {
        return head;
    }
    match head.rfind(' ') {
        Some(at) if at >= head.len() / 2 => head.get(..at).unwrap_or(head),
        _ => head,
    }
}

/// `tail` without the word that began in `before`.
fn whole_words_after<'t>(before: &str, tail: &'t str) -> &'t str {
    if before.ends_with(' ') {
        return tail;
    }
    match tail.find(' ') {
        Some(at) if at <= tail.len() / 2 => tail.get(at..).unwrap_or(tail),
        _ => tail,
    }
}

/// A text as a sentence: with a capital letter and a full stop. A first word that is not of plain letters, such as an
/// option or a path, stays as it is.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim();
    let first = text.split(' ').next().unwrap_or_default();
    let mut chars = text.chars();
    let mut shown = match chars.next() {
        Some(char) if first.chars().all(|char| char.is_ascii_lowercase()) => {
            format!("{}{}", char.to_ascii_uppercase(), chars.as_str())
        }
        _ => text.to_owned(),
    };
    if !shown.is_empty() && !shown.ends_with(['.', '!', '?']) {
        shown.push('.');
    }
    shown
}

/// A time, always in UTC.
pub(super) fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A stretch of time in its two largest units: `1.5 s`, `2 min 5 s`, `3 h 20 min`, `4 d 1 h`.
pub(super) fn duration(millis: u64) -> String {
    let seconds = millis / 1000;
    let pair = |large: u64, unit: &str, small: u64, part: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {part}"),
    };
    match seconds {
        0 => format!("{millis} ms"),
        1..10 => format!("{seconds}.{} s", millis % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..3_600 => pair(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => pair(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => pair(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// A number with its noun.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_sequence_is_shown_and_not_obeyed() {
        assert_eq!(clean("a\u{1b}[2Jb\u{7}\u{9b}c", false), "a\\u{1b}[2Jb\\u{7}\\u{9b}c");
    }

    #[test]
    fn markup_holds_no_element_and_no_forbidden_character() {
        assert_eq!(
            markup("<script>a & \"b\"]]>'\u{b}\u{0}\u{ffff}\u{fdd0}\n"),
            "&lt;script&gt;a &amp; &quot;b&quot;]]&gt;&#39;\\u{b}\\u{0}\\u{ffff}\\u{fdd0}⏎"
        );
    }

    #[test]
    fn text_cannot_be_reordered_or_hidden() {
        assert_eq!(
            clean("a\u{202e}b\u{200b}c\u{feff}\u{2066}\u{e0041}", false),
            "a\\u{202e}b\\u{200b}c\\u{feff}\\u{2066}\\u{e0041}"
        );
    }

    #[test]
    fn a_line_break_does_not_break_the_line() {
        assert_eq!(clean("one\ntwo\r\tthree\u{2028}", false), "one⏎two\\r\\tthree\\u{2028}");
        assert_eq!(clean("one\ntwo", true), "one\\ntwo");
    }

    #[test]
    fn letters_of_every_script_stay_as_they_are() {
        for text in ["Grüße", "節点一", "узел", "งาน", "नोड", "e\u{301}"] {
            assert_eq!(clean(text, false), text);
        }
    }

    #[test]
    fn an_ascii_terminal_gets_ascii() {
        assert_eq!(clean("Grüße \u{6db}", true), "Gr\\u{fc}\\u{df}e \\u{6db}");
    }

    #[test]
    fn a_printable_text_keeps_its_lines_and_no_escape() {
        assert_eq!(Printable::new("a\u{1b}[2J\nb\r").to_string(), "a\\u{1b}[2J\nb\\r");
    }

    #[test]
    fn a_pile_of_marks_is_taken_apart() {
        let pile = format!("a{}", "\u{301}".repeat(40));
        assert_eq!(clean(&pile, false).matches("\\u{301}").count(), 37);
    }

    #[test]
    fn what_is_cut_keeps_both_ends_and_fits() {
        let line = format!("begin {} end", "節".repeat(60));
        for ascii in [false, true] {
            let shown = cut(&line, 40, ascii);
            assert!(columns(&shown) <= 40, "{shown}");
            assert!(shown.starts_with("begin") && shown.ends_with(" end"), "{shown}");
        }
        assert_eq!(cut("short", 40, false), "short");
    }

    #[test]
    fn what_is_cut_is_cut_between_words() {
        let line = "the swarm does not have a leader; make sure more than half of the managers are online";
        assert_eq!(cut(line, 50, false), "the swarm does not have a … are online");
        assert_eq!(cut_end(line, 30, false), "the swarm does not have a …");
        assert_eq!(cut_end(line, 30, true), "the swarm does not have a ...");
        assert_eq!(cut_end(&"x".repeat(40), 10, false), "xxxxxxxx …");
    }

    #[test]
    fn an_impact_reads_as_a_sentence() {
        assert_eq!(sentence("running tasks are not affected"), "Running tasks are not affected.");
        assert_eq!(
            sentence("--force-new-cluster removes the others."),
            "--force-new-cluster removes the others."
        );
        assert_eq!(sentence(""), "");
    }

    #[test]
    fn a_duration_has_its_two_largest_units() {
        let shown = [84, 1_540, 59_900, 125_000, 3_600_000, 12_000_000, 349_200_000].map(duration);
        assert_eq!(shown, ["84 ms", "1.5 s", "59 s", "2 min 5 s", "1 h", "3 h 20 min", "4 d 1 h"]);
    }

    #[test]
    fn splitting_always_moves_on() {
        assert_eq!(split_at_column("節点", 1), ("節", "点"));
        assert_eq!(split_at_column("abc", 2), ("ab", "c"));
        assert_eq!(split_at_column("", 2), ("", ""));
    }
}
