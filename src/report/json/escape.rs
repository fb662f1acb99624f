//! JSON that does nothing to a terminal.

use crate::report::text::misleads;
use serde::Serialize;
use std::io::{self, Write};

/// Writes a document; `pretty` on many lines, else on one.
pub(in crate::report) fn write(value: &impl Serialize, pretty: bool, out: &mut dyn Write) -> io::Result<()> {
    let text = if pretty { serde_json::to_string_pretty(value)? } else { serde_json::to_string(value)? };
    out.write_all(visible(&text).as_bytes())?;
    out.write_all(b"\n")
}

/// The document with what would steer a terminal, or reorder or hide text, as escapes, which mean the same. Outside
/// of strings there is none of it.
fn visible(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    let mut units = [0; 2];
    for char in json.chars() {
        if char != '\n' && misleads(char) {
            for unit in char.encode_utf16(&mut units) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            shown.push(char);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal_and_the_value_is_the_same() {
        let value = serde_json::json!({ "a\u{9b}": "\u{1b}[2J\u{7f}\u{202e}\u{e0041}\n節" });
        for pretty in [true, false] {
            let mut out = Vec::new();
            write(&value, pretty, &mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(!text.chars().any(|char| char != '\n' && misleads(char)), "{text:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        }
    }
}
