//! Repair of a text that is nearly JSON, where only one repair is possible.

use serde_json::Value;
use std::fmt;

/// The most repairs in one text; a text with more faults was not meant to be JSON.
const MOST: usize = 4;

/// One repair of a text that is nearly JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonRepair {
    /// The line, from 1.
    pub line: u32,
    /// What is changed.
    pub kind: JsonRepairKind,
}

/// What a repair changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonRepairKind {
    /// Removes a comma that nothing follows.
    RemoveComma,
    /// Inserts the comma between two members.
    InsertComma,
}

impl fmt::Display for JsonRepair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            JsonRepairKind::RemoveComma => write!(f, "remove the trailing comma in line {}", self.line),
            JsonRepairKind::InsertComma => write!(f, "insert the missing comma after line {}", self.line),
        }
    }
}

/// The repaired text with its repairs; `None` where the text is JSON already or where more than one repair is possible.
/// All other bytes stay as they are.
pub fn repair_json(text: &str) -> Option<(String, Vec<JsonRepair>)> {
    let mut repaired = text.to_owned();
    let mut repairs = Vec::new();
    for _ in 0..MOST {
        let (at, kind) = first_fault(repaired.strip_prefix('\u{feff}').unwrap_or(&repaired))?;
        let at = at + repaired.len() - repaired.strip_prefix('\u{feff}').unwrap_or(&repaired).len();
        let line = repaired.get(..at)?.matches('\n').count() + 1;
        repairs.push(JsonRepair { line: u32::try_from(line).ok()?, kind });
        match kind {
            JsonRepairKind::RemoveComma => drop(repaired.remove(at)),
            JsonRepairKind::InsertComma => repaired.insert(at, ','),
        }
        let body = repaired.strip_prefix('\u{feff}').unwrap_or(&repaired);
        if matches!(serde_json::from_str(body), Ok(Value::Object(_))) {
            return Some((repaired, repairs));
        }
    }
    None
}

/// The position of the first fault that can be repaired.
fn first_fault(text: &str) -> Option<(usize, JsonRepairKind)> {
    let error = serde_json::from_str::<Value>(text).err()?;
    // serde_json counts bytes within the line, from 1, and points at the byte that it did not expect.
    let start: usize = text.split_inclusive('\n').take(error.line().checked_sub(1)?).map(str::len).sum();
    let at = start + error.column().checked_sub(1)?;
    let (before, rest) = (text.get(..at)?, text.get(at..)?);
    let last = before.trim_end();
    if rest.starts_with(['}', ']', ',']) && last.ends_with(',') {
        return Some((last.len() - 1, JsonRepairKind::RemoveComma));
    }
    // Two members without a comma: the text after a complete value is a key, because a colon follows it.
    let complete = last.ends_with(['"', '}', ']', 'e', 'l']) || last.ends_with(|c: char| c.is_ascii_digit());
    (rest.starts_with('"') && complete && starts_with_key(rest))
        .then_some((last.len(), JsonRepairKind::InsertComma))
}

/// Whether a text begins with a string and a colon.
fn starts_with_key(text: &str) -> bool {
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
    use super::{JsonRepairKind, repair_json};

    fn kinds(text: &str) -> Option<(String, Vec<(u32, JsonRepairKind)>)> {
        let (text, repairs) = repair_json(text)?;
        Some((text, repairs.into_iter().map(|repair| (repair.line, repair.kind)).collect()))
    }

    #[test]
    fn removes_a_trailing_comma() {
        let wrong = "{\n  \"debug\": true ,\n}\n";
        assert_eq!(
            kinds(wrong),
            Some(("{\n  \"debug\": true \n}\n".into(), vec![(2, JsonRepairKind::RemoveComma)]))
        );
        assert_eq!(
            repair_json("{\"a\": [1, 2,], \"b\": {\"c\": 1,}}").unwrap().0,
            "{\"a\": [1, 2], \"b\": {\"c\": 1}}"
        );
        assert_eq!(repair_json("{\"a\": 1,, \"b\": 2}").unwrap().0, "{\"a\": 1, \"b\": 2}");
    }

    #[test]
    fn inserts_a_missing_comma() {
        let wrong = "{\n  \"a\": \"x\"\n  \"b\": [1]\n  \"c\": 1\n}";
        let (text, repairs) = kinds(wrong).unwrap();
        assert_eq!(text, "{\n  \"a\": \"x\",\n  \"b\": [1],\n  \"c\": 1\n}");
        assert_eq!(repairs, [(2, JsonRepairKind::InsertComma), (3, JsonRepairKind::InsertComma)]);
    }

    #[test]
    fn repairs_nothing_that_is_ambiguous() {
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
            assert_eq!(repair_json(text), None, "{text}");
        }
    }
}
