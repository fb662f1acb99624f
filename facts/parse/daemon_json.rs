//! `daemon.json`.

use crate::bundle::Bundle;
use crate::engine::{DaemonJson, Fault};
use crate::{Fact, Need, Text};
use serde_json::Value;

pub(super) fn daemon_json(bundle: &Bundle) -> Fact<Option<DaemonJson>> {
    let path = bundle.entries(Need::DaemonJson).next().map(|entry| entry.origin.clone()).unwrap_or_default();
    super::content(bundle, Need::DaemonJson, "files/daemon.json").map(|bytes| {
        bytes.map(|bytes| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            DaemonJson { path, parsed: read(&text), text: Text(text) }
        })
    })
}

/// Reads as dockerd does: one JSON object, an UTF-8 byte order mark before it allowed, nothing after it minded.
fn read(text: &str) -> Result<serde_json::Map<String, Value>, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let first = serde_json::Deserializer::from_str(text).into_iter::<Value>().next();
    match first {
        Some(Ok(Value::Object(map))) => Ok(map),
        Some(Ok(other)) => Err(Fault {
            line: 1,
            column: 0,
            what: format!("an object is expected, and this is {}", kind(&other)),
        }),
        Some(Err(error)) => {
            let number = |n: usize| u32::try_from(n).unwrap_or(0);
            let message = error.to_string();
            // serde_json repeats the place at the end of its message; it is shown apart here.
            let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what).to_owned();
            Err(Fault { line: number(error.line()), column: number(error.column()), what })
        }
        None => Err(Fault { line: 1, column: 0, what: "the file is empty".into() }),
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
    use super::read;

    #[test]
    fn gives_line_and_column_of_a_trailing_comma() {
        let fault = read("{\n  \"debug\": true,\n}\n").unwrap_err();
        assert_eq!((fault.line, fault.column), (3, 1));
        assert_eq!(fault.what, "trailing comma");
    }

    #[test]
    fn refuses_what_is_no_object_and_what_is_empty() {
        assert!(read("[]").unwrap_err().what.contains("an array"));
        assert!(read(" \n").unwrap_err().what.contains("empty"));
    }

    #[test]
    fn reads_an_object_with_a_byte_order_mark() {
        assert_eq!(read("\u{feff}{\"debug\":true}").unwrap().len(), 1);
    }
}
