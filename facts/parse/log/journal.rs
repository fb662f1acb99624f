//! The outer layer of `journalctl -o json`.

use super::relevance::relevance;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// A record of the journal, as far as it is wanted.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Record {
    #[serde(default, rename = "MESSAGE", deserialize_with = "present")]
    message: Option<Value>,
    #[serde(default, rename = "__REALTIME_TIMESTAMP")]
    micros: Value,
    #[serde(default, rename = "_HOSTNAME")]
    host: Value,
    #[serde(default, rename = "SYSLOG_IDENTIFIER")]
    identifier: Value,
    #[serde(default, rename = "_COMM")]
    command: Value,
    #[serde(default, rename = "_PID")]
    pid: Value,
    #[serde(default, rename = "_LINE_BREAK")]
    line_break: Value,
    #[serde(default, rename = "CONTAINER_ID")]
    container: Value,
}

/// Keeps a `null` apart from nothing.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// What a record holds for a message.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    Text(String),
    /// `journalctl` left it out: longer than 4096 bytes, and `--all` was not given.
    TooLong,
}

/// Whether a line is a record of the journal; the engine's own may be JSON too.
pub(super) fn is_record(line: &str) -> bool {
    line.starts_with('{') && (line.contains("\"__REALTIME_TIMESTAMP\"") || line.contains("\"MESSAGE\""))
}

/// The test of [`super::is_relevant`] for records, without reading them whole.
pub(super) fn is_relevant(line: &str) -> bool {
    // Containers that log to journald carry the unit and command of the engine, and only this sets them
    // apart. Within a message the quotes would have backslashes.
    if line.contains("\"CONTAINER_ID\":") {
        return false;
    }
    match plain(line, "\"SYSLOG_IDENTIFIER\":\"") {
        Some("kernel" | "systemd" | "root" | "journal") | None => true,
        Some(tag) if tag.starts_with("rsyslogd") || tag.starts_with("systemd-journal") => true,
        Some(tag) => relevance(tag, "").is_some(),
    }
}

/// The value of a key, where it is a string without escapes.
fn plain<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let value = line.split_once(key)?.1;
    value.split_once('"').map(|(value, _)| value).filter(|value| !value.contains('\\'))
}

impl Record {
    pub(super) fn read(line: &str) -> Option<Self> {
        serde_json::from_str::<Self>(line).ok().filter(|record| record.container.is_null())
    }

    pub(super) fn message(&self) -> Option<Message> {
        match self.message.as_ref()? {
            Value::Null => Some(Message::TooLong),
            other => text(other).map(Message::Text),
        }
    }

    pub(super) fn at(&self) -> Option<Timestamp> {
        Timestamp::from_microsecond(text(&self.micros)?.parse().ok()?).ok()
    }

    pub(super) fn host(&self) -> Option<String> {
        text(&self.host)
    }

    pub(super) fn tag(&self) -> String {
        text(&self.identifier).or_else(|| text(&self.command)).unwrap_or_default()
    }

    pub(super) fn pid(&self) -> Option<u32> {
        text(&self.pid)?.parse().ok()
    }

    /// Whether journald broke the message off here. It also breaks at the end of a stream.
    pub(super) fn is_cut(&self) -> bool {
        text(&self.line_break).is_some_and(|why| why == "line-max")
    }
}

/// A field's text: a string, the bytes of one that is not UTF-8, or the first of many.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(values) if values.first().is_some_and(Value::is_u64) => {
            let byte = |value: &Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
            let bytes: Vec<u8> = values.iter().map_while(byte).collect();
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        Value::Array(values) => values.iter().find_map(|value| value.as_str().map(str::to_owned)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(message: &str) -> Record {
        let line = format!(
            r#"{{"__REALTIME_TIMESTAMP":"1785658272123456","_HOSTNAME":"h","SYSLOG_IDENTIFIER":"dockerd","_PID":"12","PRIORITY":"6","MESSAGE":{message}}}"#
        );
        assert!(is_record(&line) && is_relevant(&line));
        Record::read(&line).unwrap()
    }

    #[test]
    fn reads_a_record() {
        let record = record(r#""a \"b\"""#);
        assert_eq!(record.at().unwrap().to_string(), "2026-08-02T08:11:12.123456Z");
        assert_eq!(
            (record.tag(), record.pid(), record.host()),
            ("dockerd".into(), Some(12), Some("h".into()))
        );
        assert_eq!(record.message(), Some(Message::Text("a \"b\"".into())));
        assert!(!record.is_cut());
    }

    #[test]
    fn reads_a_message_of_bytes_or_of_many_values() {
        assert_eq!(record("[104,105,255]").message(), Some(Message::Text("hi\u{fffd}".into())));
        assert_eq!(record(r#"["a","b"]"#).message(), Some(Message::Text("a".into())));
    }

    #[test]
    fn knows_a_message_that_was_left_out_from_none() {
        assert_eq!(record("null").message(), Some(Message::TooLong));
        assert_eq!(Record::read(r#"{"__REALTIME_TIMESTAMP":"1"}"#).unwrap().message(), None);
    }

    #[test]
    fn leaves_containers_out() {
        let line = r#"{"MESSAGE":"x","_COMM":"dockerd","_SYSTEMD_UNIT":"docker.service","CONTAINER_ID":"4f66ad9c0b1e"}"#;
        assert!(!is_relevant(line));
        assert!(Record::read(line).is_none());
        assert!(is_relevant(r#"{"MESSAGE":"say \"CONTAINER_ID\": 1","SYSLOG_IDENTIFIER":"dockerd"}"#));
    }

    #[test]
    fn drops_other_programs_by_their_identifier() {
        assert!(!is_relevant(r#"{"MESSAGE":"dockerd","SYSLOG_IDENTIFIER":"sshd"}"#));
        assert!(is_relevant(r#"{"MESSAGE":"x","_COMM":"dockerd"}"#));
    }
}
