//! Settings in structured text: the leaves of JSON, YAML and XML, with their paths.

use serde_json::Value;

/// A leaf.
pub(super) struct Line {
    /// The line, from 1.
    pub(super) line: u32,
    /// The path, the outermost name first.
    pub(super) path: Vec<String>,
    /// Its value.
    pub(super) value: String,
}

/// The leaves of a text that is a JSON object, by their own names; none of any other text.
pub(super) fn json(text: &str) -> Vec<(String, String)> {
    let text = text.trim();
    match text.starts_with('{').then(|| serde_json::from_str::<Value>(text)) {
        Some(Ok(value)) => {
            let mut leaves = Vec::new();
            descend(&value, &mut Vec::new(), &mut leaves);
            leaves.into_iter().filter_map(|(path, value)| Some((path.last()?.clone(), value))).collect()
        }
        _ => Vec::new(),
    }
}

/// The leaves of a file of JSON.
pub(super) fn json_lines(text: &str) -> Vec<Line> {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return Vec::new() };
    let mut leaves = Vec::new();
    descend(&value, &mut Vec::new(), &mut leaves);
    let one = |(path, value): (Vec<String>, String)| {
        let quoted = format!("\"{}\"", path.last().map(String::as_str).unwrap_or_default());
        let at = text.lines().position(|line| line.contains(&quoted)).unwrap_or_default();
        Line { line: number(at), path, value }
    };
    leaves.into_iter().map(one).collect()
}

fn descend(value: &Value, path: &mut Vec<String>, leaves: &mut Vec<(Vec<String>, String)>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                path.push(name.clone());
                descend(value, path, leaves);
                path.pop();
            }
        }
        // The items of a list have the name of the list.
        Value::Array(items) => items.iter().for_each(|item| descend(item, path, leaves)),
        Value::String(text) => leaves.push((path.clone(), text.clone())),
        Value::Null => {}
        other => leaves.push((path.clone(), other.to_string())),
    }
}

/// The leaves of a file of YAML, as configurations have it: mappings, and lists of plain values.
pub(super) fn yaml(text: &str) -> Vec<Line> {
    let mut above: Vec<(usize, String)> = Vec::new();
    let mut leaves = Vec::new();
    for (at, whole) in text.lines().enumerate() {
        let bare = whole.split(" #").next().unwrap_or_default().trim_end();
        let line = bare.trim_start();
        let indent = bare.len() - line.len();
        if line.is_empty() || line.starts_with(['#', '%']) || line == "---" {
            continue;
        }
        let item = line.strip_prefix("- ").map(str::trim_start);
        // The items of a list may stand as far to the left as its name.
        above.retain(|(column, _)| *column < indent || (item.is_some() && *column == indent));
        let names = || above.iter().map(|(_, name)| name.clone());
        let pair = item
            .unwrap_or(line)
            .split_once(": ")
            .or(item.unwrap_or(line).strip_suffix(':').map(|it| (it, "")));
        match (pair, item) {
            (Some((name, value)), _) if value.trim().is_empty() => above.push((indent, plain(name))),
            (Some((name, value)), _) => leaves.push(Line {
                line: number(at),
                path: names().chain([plain(name)]).collect(),
                value: plain(value),
            }),
            (None, Some(item)) => {
                leaves.push(Line { line: number(at), path: names().collect(), value: plain(item) });
            }
            (None, None) => {}
        }
    }
    leaves
}

/// The elements of a file of XML that stand on one line with their text.
pub(super) fn xml(text: &str) -> Vec<Line> {
    let one = |(at, line): (usize, &str)| {
        let (name, rest) = line.trim().strip_prefix('<')?.split_once('>')?;
        let (value, _) = rest.split_once("</")?;
        let name = name.split_whitespace().next()?.to_owned();
        Some(Line { line: number(at), path: vec![name], value: value.trim().to_owned() })
    };
    text.lines().enumerate().filter_map(one).collect()
}

fn plain(text: &str) -> String {
    text.trim().trim_matches(['"', '\'']).to_owned()
}

fn number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lines: &[Line]) -> Vec<String> {
        lines.iter().map(|it| format!("{} {}={}", it.line, it.path.join("."), it.value)).collect()
    }

    #[test]
    fn leaves_of_yaml_have_the_names_above_them() {
        let text = "# own\nnetwork:\n  host: \"localhost\" # here\n  port: 1\ndiscovery:\n  seed_hosts:\n  - es1\n  - es2\nnode.name: n1\nhosts: [a, b]\n";
        let wanted = [
            "3 network.host=localhost",
            "4 network.port=1",
            "7 discovery.seed_hosts=es1",
            "8 discovery.seed_hosts=es2",
            "9 node.name=n1",
            "10 hosts=[a, b]",
        ];
        assert_eq!(shown(&yaml(text)), wanted);
    }

    #[test]
    fn leaves_of_json_and_xml_have_their_lines() {
        let text =
            "{\n\"bind_addr\": \"127.0.0.1\",\n\"ports\": {\"http\": 1},\n\"retry_join\": [\"a\", \"b\"]}";
        let wanted = ["2 bind_addr=127.0.0.1", "3 ports.http=1", "4 retry_join=a", "4 retry_join=b"];
        assert_eq!(shown(&json_lines(text)), wanted);
        assert!(json("no JSON").is_empty() && json("{").is_empty());
        assert_eq!(json(r#"{"a":{"b":1}}"#), [("b".to_owned(), "1".to_owned())]);
        let text = "<network>\n <public-address>localhost:5701</public-address>\n</network>";
        assert_eq!(shown(&xml(text)), ["2 public-address=localhost:5701"]);
    }
}
