//! A text that is nearly JSON, and what makes it JSON where there is only one way.

use serde_json::Value;
use std::fmt;

/// The most that is mended of one text; what has more wrong with it was not meant to be JSON.
const MOST: usize = 4;

/// One thing that is wrong with a text that is nearly JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mend {
    /// The line, from 1.
    pub line: u32,
    /// What is done about it.
    pub kind: MendKind,
}

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MendKind {
    /// A comma with nothing after it is taken out.
    CommaOut,
    /// The comma between two members is put in.
    CommaIn,
}

impl fmt::Display for Mend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            MendKind::CommaOut => {
                write!(f, "take out the comma at the end of what is listed, line {}", self.line)
            }
            MendKind::CommaIn => write!(f, "put in the comma that is missing after line {}", self.line),
        }
    }
}

/// The text as it would be, and what was done to it; none where it is JSON already, or where more than one text
/// could have been meant. Every other byte stays as it is.
pub fn mended(text: &str) -> Option<(String, Vec<Mend>)> {
    let mut mended = text.to_owned();
    let mut mends = Vec::new();
    for _ in 0..MOST {
        let (at, kind) = fault(mended.strip_prefix('\u{feff}').unwrap_or(&mended))?;
        let at = at + mended.len() - mended.strip_prefix('\u{feff}').unwrap_or(&mended).len();
        let line = mended.get(..at)?.matches('\n').count() + 1;
        mends.push(Mend { line: u32::try_from(line).ok()?, kind });
        match kind {
            MendKind::CommaOut => drop(mended.remove(at)),
            MendKind::CommaIn => mended.insert(at, ','),
        }
        let body = mended.strip_prefix('\u{feff}').unwrap_or(&mended);
        if matches!(serde_json::from_str(body), Ok(Value::Object(_))) {
            return Some((mended, mends));
        }
    }
    None
}

/// Where the first thing is that is wrong in one of the ways that can be mended.
fn fault(text: &str) -> Option<(usize, MendKind)> {
    let error = serde_json::from_str::<Value>(text).err()?;
    // serde_json counts bytes within the line, from 1, and stands on the byte that it did not expect.
    let start: usize = text.split_inclusive('\n').take(error.line().checked_sub(1)?).map(str::len).sum();
    let at = start + error.column().checked_sub(1)?;
    let (before, rest) = (text.get(..at)?, text.get(at..)?);
    let last = before.trim_end();
    if rest.starts_with(['}', ']', ',']) && last.ends_with(',') {
        return Some((last.len() - 1, MendKind::CommaOut));
    }
    // Two members: what stands behind a whole value is a key, for a colon follows it.
    let whole = last.ends_with(['"', '}', ']', 'e', 'l']) || last.ends_with(|c: char| c.is_ascii_digit());
    (rest.starts_with('"') && whole && key_follows(rest)).then_some((last.len(), MendKind::CommaIn))
}

/// Whether a text begins with a string and a colon.
fn key_follows(text: &str) -> bool {
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            '\n' => return false,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return text.get(at + 1..).is_some_and(|rest| rest.trim_start().starts_with(':')),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{MendKind, mended};

    fn kinds(text: &str) -> Option<(String, Vec<(u32, MendKind)>)> {
        let (text, mends) = mended(text)?;
        Some((text, mends.into_iter().map(|mend| (mend.line, mend.kind)).collect()))
    }

    #[test]
    fn takes_out_a_comma_too_many() {
        let wrong = "{\n  \"debug\": true ,\n}\n";
        assert_eq!(kinds(wrong), Some(("{\n  \"debug\": true \n}\n".into(), vec![(2, MendKind::CommaOut)])));
        assert_eq!(
            mended("{\"a\": [1, 2,], \"b\": {\"c\": 1,}}").unwrap().0,
            "{\"a\": [1, 2], \"b\": {\"c\": 1}}"
        );
        assert_eq!(mended("{\"a\": 1,, \"b\": 2}").unwrap().0, "{\"a\": 1, \"b\": 2}");
    }

    #[test]
    fn puts_in_a_comma_that_is_missing() {
        let wrong = "{\n  \"a\": \"x\"\n  \"b\": [1]\n  \"c\": 1\n}";
        let (text, mends) = kinds(wrong).unwrap();
        assert_eq!(text, "{\n  \"a\": \"x\",\n  \"b\": [1],\n  \"c\": 1\n}");
        assert_eq!(mends, [(2, MendKind::CommaIn), (3, MendKind::CommaIn)]);
    }

    #[test]
    fn leaves_alone_what_could_have_been_meant_in_two_ways() {
        for text in [
            "{\"a\": 1",
            "{\"a\": 1}}",
            "{\"a\": 1} // why",
            "{'a': 1}",
            "{\"a\": tru}",
            "{\"a\": \"x\"y\": 1}",
            "{\"a\" 1}",
            "{\"a\": [\"x\" \"y\"]}",
            "{\"a\": 1 \"b\"}",
            "{,}",
            "[1,]",
            "",
            "{\"a\": 1}",
        ] {
            assert_eq!(mended(text), None, "{text}");
        }
    }
}
