//! Undoes what was done to text on its way: Go's quotes, rsyslog's octal escapes, a terminal's colours.

use std::borrow::Cow;

/// A value that stood in double quotes.
pub(super) struct Quoted<'a> {
    pub(super) value: Cow<'a, str>,
    /// What follows the closing quote.
    pub(super) rest: &'a str,
    /// Whether there was a closing quote.
    pub(super) closed: bool,
}

/// Reads a value that Go's `%q` quoted, from behind its opening quote.
pub(super) fn unquote(text: &str) -> Quoted<'_> {
    let bytes = text.as_bytes();
    let mut value = Vec::new();
    // Everything before this is in `value` already.
    let mut taken = 0;
    let mut at = 0;
    while let Some(next) = bytes[at..].iter().position(|b| matches!(b, b'"' | b'\\')) {
        at += next;
        if bytes[at] == b'"' {
            return Quoted { value: finish(text, value, taken, at), rest: &text[at + 1..], closed: true };
        }
        value.extend_from_slice(&bytes[taken..at]);
        at += 1 + escaped(&text[at + 1..], &mut value);
        taken = at;
    }
    Quoted { value: finish(text, value, taken, text.len()), rest: "", closed: false }
}

fn finish(text: &str, mut value: Vec<u8>, taken: usize, end: usize) -> Cow<'_, str> {
    if taken == 0 {
        return Cow::Borrowed(&text[..end]);
    }
    value.extend_from_slice(&text.as_bytes()[taken..end]);
    Cow::Owned(match String::from_utf8(value) {
        Ok(value) => value,
        Err(broken) => String::from_utf8_lossy(broken.as_bytes()).into_owned(),
    })
}

/// Writes the character that the text behind a backslash stands for, and returns the length of that text.
fn escaped(text: &str, into: &mut Vec<u8>) -> usize {
    let Some(kind) = text.chars().next() else { return 0 };
    let simple = match kind {
        'a' => 7,
        'b' => 8,
        't' => b'\t',
        'n' => b'\n',
        'v' => 11,
        'f' => 12,
        'r' => b'\r',
        'x' | 'u' | 'U' => return numbered(text, into),
        other => {
            into.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
            return other.len_utf8();
        }
    };
    into.push(simple);
    1
}

/// `xNN` is a byte, for Go writes text that is not UTF-8 so; `uNNNN` and `UNNNNNNNN` are characters.
fn numbered(text: &str, into: &mut Vec<u8>) -> usize {
    let digits = match text.as_bytes()[0] {
        b'x' => 2,
        b'u' => 4,
        _ => 8,
    };
    let number = text.get(1..=digits).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    let Some(number) = number.and_then(|hex| u32::from_str_radix(hex, 16).ok()) else {
        into.push(text.as_bytes()[0]);
        return 1;
    };
    match u8::try_from(number) {
        Ok(byte) if digits == 2 => into.push(byte),
        _ => {
            let char = char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER);
            into.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    1 + digits
}

/// Puts control characters back that rsyslog wrote as `#012` (`$EscapeControlCharactersOnReceive`).
///
/// Other numbers stay: rsyslog escapes nothing else, and `#123` is more likely an issue.
pub(super) fn controls(text: &str) -> Cow<'_, str> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('#') {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        match from.get(1..4).and_then(control) {
            Some(char) => {
                plain.push(char);
                rest = &from[4..];
            }
            None => {
                plain.push('#');
                rest = &from[1..];
            }
        }
    }
    if plain.is_empty() {
        return Cow::Borrowed(text);
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

fn control(octal: &str) -> Option<char> {
    if !octal.bytes().all(|b| matches!(b, b'0'..=b'7')) {
        return None;
    }
    let char = char::from(u8::from_str_radix(octal, 8).ok()?);
    char.is_ascii_control().then_some(char)
}

/// Takes a terminal's colours out.
pub(super) fn without_colours(text: &str) -> Cow<'_, str> {
    const START: &str = "\u{1b}[";
    if !text.contains(START) {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split(START);
    let mut plain = parts.next().unwrap_or("").to_owned();
    for part in parts {
        plain.push_str(
            part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';')
                .strip_prefix('m')
                .unwrap_or(part),
        );
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        unquote(text).value.into_owned()
    }

    #[test]
    fn undoes_every_escape_of_go() {
        assert_eq!(value(r#"a\"b\\c\nd\te\rf\a\b\f\v""#), "a\"b\\c\nd\te\rf\u{7}\u{8}\u{c}\u{b}");
        assert_eq!(value(r#"\u00e9\U0001F600é\x41""#), "é😀éA");
        assert_eq!(value(r#"\xff\xfeok""#), "\u{fffd}\u{fffd}ok");
        assert_eq!(value(r#"\xc3\xa9""#), "é");
    }

    #[test]
    fn copies_nothing_without_an_escape() {
        assert!(matches!(
            unquote(r#"plain" rest"#),
            Quoted { value: Cow::Borrowed("plain"), rest: " rest", closed: true }
        ));
    }

    #[test]
    fn takes_a_missing_quote_or_half_an_escape_as_they_are() {
        assert!(!unquote("cut he").closed);
        assert_eq!(value("cut\\"), "cut");
        assert_eq!(value("cut\\u12"), "cutu12");
        assert_eq!(value("cut\\xé\\q\""), "cutxéq");
        assert_eq!(value("\\ud800\\UFFFFFFFF\""), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn puts_back_control_characters_and_no_other() {
        assert_eq!(controls("a#012b#011c#033[0m"), "a\nb\tc\u{1b}[0m");
        assert_eq!(controls("#177"), "\u{7f}");
        assert_eq!(controls("issue #123, #1, #999, ##, #é1, #"), "issue #123, #1, #999, ##, #é1, #");
        assert!(matches!(controls("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn takes_colours_out() {
        assert_eq!(without_colours("\u{1b}[36mINFO\u{1b}[0m[0001] \u{1b}[1;31mx\u{1b}[0m"), "INFO[0001] x");
        assert_eq!(without_colours("cut\u{1b}[3"), "cut3");
    }
}
