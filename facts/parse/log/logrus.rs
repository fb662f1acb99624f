//! The inner layer: a line of the engine in the formats of logrus.

use super::escape::{controls, unquote, without_colours};
use super::stamp::rfc3339;
use crate::log::Level;
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The content of a message, without its outer layer.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Inner {
    pub(super) at: Option<Timestamp>,
    pub(super) level: Level,
    pub(super) message: String,
    pub(super) fields: BTreeMap<String, String>,
    pub(super) truncated: bool,
}

/// Whether the text is a logrus line in text or JSON format.
///
/// A logrus entry always has a level, and its text form always begins with the time unless that is
/// switched off (`TextFormatter.Format`).
pub(super) fn is_logrus(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with("time=\"") || text.starts_with("level=") || is_json(text)
}

fn is_json(text: &str) -> bool {
    text.starts_with("{\"") && text.contains("\"level\":\"")
}

/// Whether the text is a logrus line in terminal format.
pub(super) fn is_terminal(text: &str) -> bool {
    Inner::of_terminal(&without_colours(&controls(text))).is_some()
}

impl Inner {
    /// Reads a message of the engine or of containerd in any format.
    pub(super) fn read(whole: &str) -> Self {
        let text = whole.trim_start();
        if text.starts_with("time=\"") || text.starts_with("level=") {
            return Self::of_text(text);
        }
        if is_json(text) {
            return Self::of_json(text).unwrap_or_else(|| Self { truncated: true, ..Self::plain(text) });
        }
        Self::of_terminal(&without_colours(&controls(text))).unwrap_or_else(|| Self::plain(whole))
    }

    /// The whole text as the message.
    pub(super) fn plain(text: &str) -> Self {
        Self { message: controls(text).trim_end().to_owned(), ..Self::default() }
    }

    /// `time="…" level=info msg="…" key=value`.
    fn of_text(text: &str) -> Self {
        let mut inner = Self::default();
        inner.truncated = pairs(text, |key, value| inner.take(key, value));
        inner
    }

    /// `INFO[0001] message   key=value`, or with the time between the brackets.
    fn of_terminal(text: &str) -> Option<Self> {
        let level = match text.get(..5)? {
            "TRAC[" => Level::Trace,
            "DEBU[" => Level::Debug,
            "INFO[" => Level::Info,
            "WARN[" => Level::Warning,
            "ERRO[" => Level::Error,
            "FATA[" => Level::Fatal,
            "PANI[" => Level::Panic,
            _ => return None,
        };
        let (time, text) = text[5..].split_once(']')?;
        let (message, fields) = text.split_at(message_end(text));
        let mut inner =
            Self { at: rfc3339(time), level, message: message.trim().to_owned(), ..Self::default() };
        inner.truncated = pairs(fields, |key, value| {
            inner.fields.insert(key.to_owned(), value.into_owned());
        });
        Some(inner)
    }

    /// `{"level":"info","msg":"…","time":"…"}`, written since 25.0 with `log-format: json`.
    fn of_json(text: &str) -> Option<Self> {
        let mut inner = Self::default();
        for (key, value) in serde_json::from_str::<Map<String, Value>>(text).ok()? {
            let value = match value {
                Value::String(value) => value,
                other => other.to_string(),
            };
            inner.take(&key, Cow::Owned(value));
        }
        Some(inner)
    }

    fn take(&mut self, key: &str, value: Cow<'_, str>) {
        match key {
            "time" => self.at = rfc3339(&value),
            "level" => self.level = level(&value),
            "msg" => self.message = value.into_owned(),
            _ => drop(self.fields.insert(key.to_owned(), value.into_owned())),
        }
    }
}

fn level(name: &str) -> Level {
    match name {
        "trace" => Level::Trace,
        "debug" => Level::Debug,
        "info" => Level::Info,
        "warning" | "warn" => Level::Warning,
        "error" => Level::Error,
        "fatal" => Level::Fatal,
        "panic" => Level::Panic,
        _ => Level::Unknown,
    }
}

/// Passes each pair of `key=value key="value"` to `take`; returns whether the last one is truncated.
fn pairs<'a>(text: &'a str, mut take: impl FnMut(&'a str, Cow<'a, str>)) -> bool {
    let mut rest = text.trim_start_matches(' ');
    while !rest.is_empty() {
        rest = match pair_start(rest) {
            Some((key, value)) => match value.strip_prefix('"') {
                Some(quoted) => {
                    let quoted = unquote(quoted);
                    take(key, quoted.value);
                    if !quoted.closed {
                        return true;
                    }
                    quoted.rest
                }
                None => {
                    let (value, rest) = value.split_at(bare_end(value));
                    take(key, Cow::Borrowed(value.trim_end()));
                    rest
                }
            },
            // Not logrus: another writer interleaved.
            None => rest.find(' ').map_or("", |space| &rest[space..]),
        }
        .trim_start_matches(' ');
    }
    false
}

/// The key of a `key=value` and everything after the `=`.
fn pair_start(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|b| !(b.is_ascii_alphanumeric() || b"._-/@".contains(&b)))?;
    if end == 0 { None } else { Some((&text[..end], text[end..].strip_prefix('=')?)) }
}

/// The end of an unquoted value: before the next key. Logrus of 17.03 quotes only strings and errors, so a struct contains
/// spaces.
fn bare_end(text: &str) -> usize {
    let mut from = 0;
    while let Some(space) = text[from..].find(' ') {
        let space = from + space;
        let next = text[space..].trim_start_matches(' ');
        if next.is_empty() || pair_start(next).is_some() {
            return space;
        }
        from = text.len() - next.len();
    }
    text.len()
}

/// The end of the message in terminal format: it is padded to 44 columns, and a space precedes each key.
fn message_end(text: &str) -> usize {
    let mut from = 0;
    while let Some(gap) = text[from..].find("  ") {
        let gap = from + gap;
        let next = text[gap..].trim_start_matches(' ');
        if pair_start(next).is_some() {
            return gap;
        }
        from = text.len() - next.len();
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(inner: &Inner) -> Vec<(&str, &str)> {
        inner.fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    #[test]
    fn reads_the_present_text_format() {
        let inner = Inner::read(
            r#"time="2026-08-22T10:11:12.123456789+02:00" level=error msg="agent: session failed" backoff=100ms error="rpc error: code = Unavailable desc = \"transport: x\"" module=node/agent node.id=abc"#,
        );
        assert_eq!(inner.at, "2026-08-22T08:11:12.123456789Z".parse().ok());
        assert_eq!((inner.level, inner.message.as_str()), (Level::Error, "agent: session failed"));
        let error = "rpc error: code = Unavailable desc = \"transport: x\"";
        assert_eq!(
            fields(&inner),
            [("backoff", "100ms"), ("error", error), ("module", "node/agent"), ("node.id", "abc")]
        );
        assert!(!inner.truncated);
    }

    #[test]
    fn reads_the_text_of_17_03_with_bare_values_of_many_words() {
        let inner = Inner::read(
            r#"time="2017-03-17T02:27:48.650544962-04:00" level=info msg="x y" backoff=1m 2s module="node/agent" peer={a b c} node.id="" "#,
        );
        assert_eq!(inner.message, "x y");
        assert_eq!(
            fields(&inner),
            [("backoff", "1m 2s"), ("module", "node/agent"), ("node.id", ""), ("peer", "{a b c}")]
        );
        assert!(!inner.truncated);
    }

    #[test]
    fn reads_empty_values_renamed_keys_and_a_missing_message() {
        let inner =
            Inner::read(r#"time="2026-08-22T10:11:12Z" level=debug fields.time=5s data-path-addr= x=1"#);
        assert_eq!((inner.level, inner.message.as_str()), (Level::Debug, ""));
        assert_eq!(fields(&inner), [("data-path-addr", ""), ("fields.time", "5s"), ("x", "1")]);
    }

    #[test]
    fn reads_quotes_in_quotes_and_lines_in_lines() {
        let inner = Inner::read(
            r#"level=warning msg="[core] grpc: createTransport failed to connect to {Addr: \"10.0.0.1:2377\", }. Err: desc = \"x \\\"y\\\"\"" module=grpc"#,
        );
        let wanted = r#"[core] grpc: createTransport failed to connect to {Addr: "10.0.0.1:2377", }. Err: desc = "x \"y\"""#;
        assert_eq!((inner.message.as_str(), inner.fields["module"].as_str()), (wanted, "grpc"));
        let inner =
            Inner::read(r#"level=error msg=x error="1 error occurred:\n\t* failed to join 10.0.0.1\n\n""#);
        assert_eq!(inner.fields["error"], "1 error occurred:\n\t* failed to join 10.0.0.1\n\n");
    }

    #[test]
    fn reads_every_level() {
        for (name, wanted) in [
            ("trace", Level::Trace),
            ("debug", Level::Debug),
            ("info", Level::Info),
            ("warning", Level::Warning),
            ("error", Level::Error),
            ("fatal", Level::Fatal),
            ("panic", Level::Panic),
            ("loud", Level::Unknown),
        ] {
            assert_eq!(Inner::read(&format!("level={name} msg=x")).level, wanted);
        }
    }

    #[test]
    fn reads_a_truncated_line() {
        let inner = Inner::read(r#"time="2026-08-22T10:11:12Z" level=info msg=x error="dial tcp 10.0"#);
        assert_eq!(fields(&inner), [("error", "dial tcp 10.0")]);
        assert!(inner.truncated);
    }

    #[test]
    fn reads_json() {
        let inner = Inner::read(
            r#"{"backoff":100000000,"error":"a \u003cb\u003e","level":"warning","module":"node/agent","msg":"x","time":"2026-08-22T10:11:12.5Z"}"#,
        );
        assert_eq!(inner.at, "2026-08-22T10:11:12.5Z".parse().ok());
        assert_eq!((inner.level, inner.message.as_str()), (Level::Warning, "x"));
        assert_eq!(fields(&inner), [("backoff", "100000000"), ("error", "a <b>"), ("module", "node/agent")]);
    }

    #[test]
    fn keeps_truncated_json_as_text() {
        let inner = Inner::read(r#"{"error":"a","level":"warning","msg":"x y"#);
        assert_eq!(inner.message, r#"{"error":"a","level":"warning","msg":"x y"#);
        assert!(inner.truncated);
    }

    #[test]
    fn reads_the_terminal_format() {
        let inner = Inner::read("INFO[0001] API listen on  two things             addr=\"a b\" module=x");
        assert_eq!((inner.level, inner.message.as_str()), (Level::Info, "API listen on  two things"));
        assert_eq!(fields(&inner), [("addr", "a b"), ("module", "x")]);
        let inner = Inner::read(
            "WARN[2026-08-22T10:11:12.5+02:00] a message longer than forty-four columns, with x=1 in it  k=v",
        );
        assert_eq!(inner.at, "2026-08-22T08:11:12.5Z".parse().ok());
        assert_eq!(inner.message, "a message longer than forty-four columns, with x=1 in it");
        assert_eq!(fields(&inner), [("k", "v")]);
    }

    #[test]
    fn reads_the_terminal_format_in_colour_and_through_rsyslog() {
        for line in [
            "\u{1b}[31mERRO\u{1b}[0m[0001] no quorum           \u{1b}[31mmodule\u{1b}[0m=raft",
            "#033[31mERRO#033[0m[0001] no quorum           #033[31mmodule#033[0m=raft",
        ] {
            let inner = Inner::read(line);
            assert_eq!((inner.level, inner.message.as_str()), (Level::Error, "no quorum"));
            assert_eq!(fields(&inner), [("module", "raft")]);
        }
    }

    #[test]
    fn keeps_lines_in_other_formats() {
        let inner = Inner::read("panic: invalid page#012#012goroutine 1 [running]:");
        assert_eq!(
            (inner.level, inner.message.as_str()),
            (Level::Unknown, "panic: invalid page\n\ngoroutine 1 [running]:")
        );
        assert_eq!(Inner::read("sync duration of 6.1s, expected less than 1s").at, None);
    }

    #[test]
    fn keeps_octal_escapes_in_logrus_lines() {
        assert_eq!(Inner::read(r#"level=info msg="task #012""#).message, "task #012");
    }
}
