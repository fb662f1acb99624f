//! `daemon.json`.

use crate::bundle::Bundle;
use crate::engine::{DaemonJson, Fault};
use crate::{Fact, Need, Text};
use serde_json::Value;

pub(super) fn daemon_json(bundle: &Bundle) -> Fact<Option<DaemonJson>> {
    let entry = bundle.entries(Need::DaemonJson).next();
    let path = entry.map(|entry| entry.origin.clone()).unwrap_or_default();
    let written = entry.and_then(|entry| entry.written);
    super::content(bundle, Need::DaemonJson, "files/daemon.json").map(|bytes| {
        bytes.map(|bytes| {
            let text = decoded(bytes);
            DaemonJson { path, written, parsed: read(&text), text: Text(text) }
        })
    })
}

/// Decodes the text by its byte order mark: dockerd accepts UTF-8 and, since 23.0, UTF-16 in both byte orders.
fn decoded(bytes: &[u8]) -> String {
    let units = |word: fn([u8; 2]) -> u16| -> String {
        let units = bytes.chunks_exact(2).skip(1).map(|pair| word([pair[0], pair[1]]));
        char::decode_utf16(units).map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match bytes {
        [0xff, 0xfe, ..] => units(u16::from_le_bytes),
        [0xfe, 0xff, ..] => units(u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Parses as dockerd does: one JSON object and nothing after it. An empty file and `null` set no option; engines before
/// 23.0 exit on an empty file and log "EOF".
fn read(text: &str) -> Result<serde_json::Map<String, Value>, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Ok(serde_json::Map::new());
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(serde_json::Map::new()),
        Ok(other) => {
            Err(Fault { line: 1, column: 0, what: format!("expected a JSON object, found {}", kind(&other)) })
        }
        Err(error) => {
            let number = |n: usize| u32::try_from(n).unwrap_or(0);
            let message = error.to_string();
            // serde_json appends the position to its message; it is shown separately.
            let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what).to_owned();
            Err(Fault { line: number(error.line()), column: number(error.column()), what })
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::{decoded, read};

    #[test]
    fn gives_line_and_column_of_a_trailing_comma() {
        let fault = read("{\n  \"debug\": true,\n}\n").unwrap_err();
        assert_eq!((fault.line, fault.column), (3, 1));
        assert_eq!(fault.what, "trailing comma");
    }

    #[test]
    fn rejects_non_objects_and_trailing_text() {
        assert!(read("[]").unwrap_err().what.contains("an array"));
        for text in ["{} {}", "{\"debug\": true} // why", "{\"debug\": true} trailing"] {
            assert_eq!(read(text).unwrap_err().what, "trailing characters", "{text}");
        }
    }

    #[test]
    fn reads_an_empty_file_and_null_as_no_options() {
        for text in ["", " \n", "null"] {
            assert_eq!(read(text).unwrap().len(), 0, "{text:?}");
        }
    }

    #[test]
    fn reads_utf_16_in_both_orders() {
        let text = "\u{feff}{\"debug\": true}";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(read(&decoded(&little)).unwrap().len(), 1);
        assert_eq!(read(&decoded(&big)).unwrap().len(), 1);
    }

    #[test]
    fn reads_an_object_with_a_byte_order_mark() {
        assert_eq!(read("\u{feff}{\"debug\":true}").unwrap().len(), 1);
    }
}
