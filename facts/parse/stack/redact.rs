//! Takes secrets out of a compose file and leaves its structure as docker reads it.
//!
//! [`redact`](crate::parse::log::redact) works on lines and knows no YAML: `KEY: hunter2` becomes `KEY: ***`, which
//! is an alias that no anchor defines. Here the file is parsed first, and only values are replaced.

use super::yaml::{Yaml, parse as parse_yaml};
use crate::parse::log::{is_secret, redact as redact_text};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::borrow::Cow;

/// What stands in a secret's place.
const MARK: &str = "***";

/// The compose file without the secrets in it. Keys, lists and line numbers stay as they are.
///
/// Text that is no YAML is redacted line by line.
pub fn redact(text: &str) -> Cow<'_, str> {
    let clean = match values(text) {
        Some(values) => replaced(text, &values),
        None => return by_line(text),
    };
    if clean == text {
        return Cow::Borrowed(text);
    }
    match (parse_yaml(text), parse_yaml(&clean)) {
        (Ok(before), Ok(after)) if same_shape(&before, &after) => Cow::Owned(clean),
        _ => by_line(text),
    }
}

/// A value that is replaced: its bytes in the file, and the text that takes its place.
struct Replacement {
    start: usize,
    end: usize,
    value: String,
}

/// An open list or mapping.
struct Level {
    mapping: bool,
    /// The key whose value comes next; in a list, the item before.
    last: Option<String>,
    /// The last items of a list, as JSON: a program and its flags tell which item is a password.
    items: Vec<String>,
    /// Whether the next scalar is a key.
    expects_key: bool,
}

/// The values that hold secrets, in their order; `None` where the text is no YAML.
fn values(text: &str) -> Option<Vec<Replacement>> {
    let bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let byte = |index: usize| bytes.get(index).copied().unwrap_or(text.len());
    let mut levels: Vec<Level> = Vec::new();
    let mut values = Vec::new();
    let mut end_of_last = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.ok()?;
        match event {
            Event::Scalar(value, style, ..) => {
                let (start, end) = (byte(span.start.index()), byte(span.end.index()));
                let start = value_start(text, end_of_last, start, style);
                comments(text, end_of_last, start, &mut values);
                end_of_last = end;
                let clean = clean(levels.last(), &value);
                let is_key = levels.last().is_some_and(|level| level.mapping && level.expects_key);
                if let Some(clean) = clean.filter(|_| !is_key) {
                    let end = start + text.get(start..end).unwrap_or_default().trim_end().len();
                    let value = quoted(&clean, lines(text, start, end), span);
                    values.push(Replacement { start, end, value });
                }
                next(&mut levels, Some(value.into_owned()));
            }
            Event::Alias(_) => next(&mut levels, None),
            Event::MappingStart(..) => {
                levels.push(Level { mapping: true, last: None, items: Vec::new(), expects_key: true })
            }
            Event::SequenceStart(..) => {
                levels.push(Level { mapping: false, last: None, items: Vec::new(), expects_key: false })
            }
            Event::MappingEnd | Event::SequenceEnd => {
                levels.pop();
                next(&mut levels, None);
            }
            _ => {}
        }
    }
    comments(text, end_of_last, text.len(), &mut values);
    Some(values)
}

/// Where the value itself begins: behind an anchor and a tag, and at the `|` or `>` of a block.
fn value_start(text: &str, from: usize, start: usize, style: ScalarStyle) -> usize {
    if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
        let header = text.get(from..start).and_then(|before| before.rfind(['|', '>']));
        return header.map_or(start, |at| from + at);
    }
    let mut start = start;
    while let Some(rest) = text.get(start..).filter(|rest| rest.starts_with(['&', '!'])) {
        let property = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let value = rest[property..].trim_start();
        start = text.len() - value.len();
    }
    start
}

/// Moves on behind a value or a key.
fn next(levels: &mut [Level], text: Option<String>) {
    let Some(level) = levels.last_mut() else { return };
    if level.mapping {
        level.expects_key = !level.expects_key;
        if level.expects_key {
            return;
        }
    }
    if let Some(text) = text.as_deref().filter(|_| !level.mapping) {
        if level.items.len() == MAX_ITEMS {
            level.items.remove(0);
        }
        level.items.push(serde_json::Value::from(text).to_string());
    }
    level.last = text;
}

/// How many items before a value are read with it.
const MAX_ITEMS: usize = 16;

/// The value as the items before it make it: `redis-cli`, `-a` and a password, or `curl`, `-u` and `user:***`.
fn argument(items: &[String], value: &str) -> Option<String> {
    let item = serde_json::Value::from(value).to_string();
    let list = format!("[{},{item}]", items.join(","));
    let clean: Vec<String> = serde_json::from_str(&redact_text(&list)).ok()?;
    clean.into_iter().next_back().filter(|clean| clean != value)
}

/// The value without its secret; `None` where it holds none.
fn clean(level: Option<&Level>, value: &str) -> Option<String> {
    let before = level.and_then(|level| Some((level.mapping, level.last.as_deref()?)));
    let whole = match before {
        Some((true, key)) => is_secret(key),
        // `--password` and its value are two items of a command.
        Some((false, item)) => {
            item.starts_with('-')
                && !item.contains(['=', ' '])
                && is_secret(item.trim_start_matches('-'))
                && !value.starts_with('-')
        }
        None => false,
    };
    let of_list = || level.filter(|level| !level.mapping).and_then(|level| argument(&level.items, value));
    let clean =
        if whole { masked(value) } else { of_list().unwrap_or_else(|| redact_text(value).into_owned()) };
    (clean != value).then_some(clean)
}

/// A mark in place of the value. References to variables stay, because the checks ask whether they are set.
fn masked(value: &str) -> String {
    if matches!(
        value.to_ascii_lowercase().as_str(),
        "" | "~" | "true" | "false" | "null" | "none" | "yes" | "no" | "on" | "off" | "0" | "1"
    ) {
        return value.to_owned();
    }
    let mut clean = String::new();
    let mut rest = value;
    let mark = |clean: &mut String, text: &str| {
        if !text.is_empty() && !clean.ends_with(MARK) {
            clean.push_str(MARK);
        }
    };
    while let Some((before, after)) = rest.split_once("${") {
        let Some((expression, after)) = after.split_once('}') else { break };
        mark(&mut clean, before);
        let name = expression.split([':', '-', '?']).next().unwrap_or_default();
        let operator: String =
            expression[name.len()..].chars().take_while(|char| matches!(char, ':' | '-' | '?')).collect();
        let default = expression.len() > name.len() + operator.len();
        clean.push_str("${");
        clean.push_str(name);
        clean.push_str(&operator);
        clean.push_str(if default { MARK } else { "" });
        clean.push('}');
        rest = after;
    }
    let is_reference = rest
        .strip_prefix('$')
        .is_some_and(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    if is_reference && rest.len() > 1 {
        clean.push_str(rest);
    } else {
        mark(&mut clean, rest);
    }
    clean
}

/// The comments between two scalars. They bear no structure, and people comment passwords out.
fn comments(text: &str, start: usize, end: usize, values: &mut Vec<Replacement>) {
    let Some(between) = text.get(start..end) else { return };
    let mut at = start;
    for line in between.split_inclusive('\n') {
        let comment = line.find('#').filter(|hash| {
            line[..*hash].ends_with([' ', '\t']) || (*hash == 0 && (at == 0 || text[..at].ends_with('\n')))
        });
        if let Some(hash) = comment {
            let comment = &line[hash..];
            if let Cow::Owned(clean) = redact_text(comment) {
                values.push(Replacement { start: at + hash, end: at + line.len(), value: clean });
            }
        }
        at += line.len();
    }
}

/// How many line ends a value holds in the file.
fn lines(text: &str, start: usize, end: usize) -> usize {
    text.get(start..end).unwrap_or_default().matches('\n').count()
}

/// The text in double quotes, on as many lines as the value has in the file.
fn quoted(value: &str, lines: usize, span: Span) -> String {
    let mut quoted = serde_json::Value::from(value).to_string();
    quoted.pop();
    // A line that ends in a backslash goes on behind the blanks of the next.
    let more = format!("\\\n{}", " ".repeat(span.start.col() + 1));
    quoted.push_str(&more.repeat(lines));
    quoted.push('"');
    quoted
}

fn replaced(text: &str, values: &[Replacement]) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut copied = 0;
    for Replacement { start, end, value } in values {
        clean.push_str(text.get(copied..*start).unwrap_or_default());
        clean.push_str(value);
        copied = *end;
    }
    clean.push_str(text.get(copied..).unwrap_or_default());
    clean
}

/// Whether two documents have the same keys, lists and lines.
fn same_shape(one: &Yaml, other: &Yaml) -> bool {
    let (entries, others) = (one.entries(), other.entries());
    let (items, other_items) = (one.items(), other.items());
    // The text of a block begins below its `|`; in quotes it begins beside its key.
    let is_scalar = one.entries().is_empty() && one.items().is_empty();
    (is_scalar || one.line == other.line)
        && entries.len() == others.len()
        && items.len() == other_items.len()
        && entries.iter().zip(others).all(|(a, b)| a.0 == b.0 && a.1 == b.1 && same_shape(&a.2, &b.2))
        && items.iter().zip(other_items).all(|(a, b)| same_shape(a, b))
}

/// Line by line. A mark that would begin a value is put into quotes, for a bare `*` begins an alias.
fn by_line(text: &str) -> Cow<'_, str> {
    let Cow::Owned(clean) = redact_text(text) else { return Cow::Borrowed(text) };
    let mut quoted = String::with_capacity(clean.len());
    let mut rest = clean.as_str();
    while let Some((before, after)) = rest.split_once(MARK) {
        quoted.push_str(before);
        let bare = quoted.ends_with([' ', '[', '\t']) && !quoted.ends_with("\" ");
        let begins = quoted.trim_end_matches([' ', '\t']).ends_with([':', '-', '[', ',', '\n']);
        quoted.push_str(if bare && begins { "\"***\"" } else { MARK });
        rest = after;
    }
    quoted.push_str(rest);
    Cow::Owned(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn redacts(text: &str, wanted: &str) {
        assert_eq!(redact(text), wanted);
        assert_eq!(redact(wanted), wanted, "redacting twice changes nothing");
    }

    #[test]
    fn a_secret_leaves_a_text_that_yaml_reads() {
        redacts(
            "services:\n  db:\n    environment:\n      POSTGRES_PASSWORD: hunter2\n      USER: app\n",
            "services:\n  db:\n    environment:\n      POSTGRES_PASSWORD: \"***\"\n      USER: app\n",
        );
        redacts("a:\n  - DB_PASSWORD=hunter2\n", "a:\n  - \"DB_PASSWORD=***\"\n");
        redacts("a: {API_TOKEN: x1, b: c}\n", "a: {API_TOKEN: \"***\", b: c}\n");
        redacts("command: [--password, hunter2, -v]\n", "command: [--password, \"***\", -v]\n");
        redacts("a: 'x'\nTOKEN: 'hunter ''2'\n", "a: 'x'\nTOKEN: \"***\"\n");
    }

    #[test]
    fn structure_anchors_and_names_stay() {
        for text in [
            "services:\n  web:\n    secrets: [db_password]\nsecrets:\n  db_password:\n    external: true\n",
            "secrets:\n  - source: db_password\n    target: password\n",
            "POSTGRES_PASSWORD: ${DB_PASSWORD}\nA_TOKEN: ${T:?}\nB_SECRET: $B\n",
            "DB_PASSWORD_FILE: /run/secrets/db\nRANDOM_PASSWORD: true\nMYSQL_RANDOM_ROOT_PASSWORD: 1\n",
        ] {
            assert!(matches!(redact(text), Cow::Borrowed(_)), "{}", redact(text));
        }
        redacts("a_password: &p hunter2\nb: *p\n", "a_password: &p \"***\"\nb: *p\n");
        redacts("A_PASSWORD: ${P:-hunter2}\n", "A_PASSWORD: \"${P:-***}\"\n");
    }

    #[test]
    fn lines_keep_their_numbers() {
        let text = "a:\n  PRIVATE_KEY: |\n    line one\n    line two\n  b: c\n";
        let clean = redact(text);
        assert!(!clean.contains("line"), "{clean}");
        let yaml = parse_yaml(&clean).unwrap();
        assert_eq!(yaml.get("a").and_then(|a| a.get("b")).map(|b| b.line), Some(5));
        assert_eq!(yaml.get("a").and_then(|a| a.get("PRIVATE_KEY")).and_then(Yaml::text), Some("***"));
        let folded = "a:\n  TOKEN:\n    hunter2\n    hunter3\n  b: c\n";
        assert!(!redact(folded).contains("hunter"), "{}", redact(folded));
    }

    #[test]
    fn comments_and_broken_files_are_redacted_too() {
        redacts("a: b # PASSWORD=hunter2\n# API_TOKEN: hunter2\n", "a: b # PASSWORD=***\n# API_TOKEN: ***\n");
        let broken = "a: [\nDB_PASSWORD: hunter2\n";
        assert!(!redact(broken).contains("hunter2"), "{}", redact(broken));
    }
}
