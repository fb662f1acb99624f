//! Changing one value of a JSON text and no other byte: order, indentation and line ends stay.

use serde_json::Value;
use std::ops::Range;

/// A member of an object, by where its parts stand.
struct Member {
    name: String,
    key: Range<usize>,
    value: Range<usize>,
}

/// The text with the value at the pointer set, or its key removed. The text has to be JSON.
pub(super) fn edited(text: &str, pointer: &str, to: Option<&str>) -> Result<String, String> {
    let names: Vec<String> = pointer.split('/').skip(1).map(unescaped).collect();
    let Some((last, path)) = names.split_last() else { return Err("the JSON pointer names no key".into()) };
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let start = text.len() - body.len();
    let expected = expected(body, &names, to)?;
    if body.trim().is_empty() || body.trim() == "null" {
        let Some(to) = to else { return Ok(text.to_owned()) };
        let (head, tail) = (&text[..start], if body.ends_with('\n') || body.is_empty() { "\n" } else { "" });
        return Ok(format!("{head}{{\n  {}: {to}\n}}{tail}", Value::from(last.as_str())));
    }
    let mut at = start + body.len() - body.trim_start().len();
    for name in path {
        at = member(text, at, name)?.ok_or_else(|| format!("it has no object {name:?}"))?.value.start;
    }
    let changed = match (member(text, at, last)?, to) {
        (Some(member), Some(to)) => spliced(text, member.value, to),
        (Some(_), None) => without(text, at, last)?,
        (None, Some(to)) => with(text, at, last, to)?,
        (None, None) => return Ok(text.to_owned()),
    };
    // The result is checked by an independent parser.
    let parsed: Value = serde_json::from_str(&changed[start..]).map_err(|error| error.to_string())?;
    if parsed == expected { Ok(changed) } else { Err("the change would affect other values as well".into()) }
}

/// The value of the changed text.
fn expected(body: &str, names: &[String], to: Option<&str>) -> Result<Value, String> {
    let empty = body.trim().is_empty() || body.trim() == "null";
    let text = if empty { "{}" } else { body };
    let mut root: Value =
        serde_json::from_str(text).map_err(|error| format!("it is not valid JSON: {error}"))?;
    let Some((last, path)) = names.split_last() else { return Err("the JSON pointer names no key".into()) };
    let mut object = &mut root;
    for name in path {
        object = object.get_mut(name).ok_or_else(|| format!("it has no object {name:?}"))?;
    }
    let Some(object) = object.as_object_mut() else { return Err("it is not a JSON object".into()) };
    match to {
        Some(to) => {
            let to =
                serde_json::from_str(to).map_err(|error| format!("{to:?} is not valid JSON: {error}"))?;
            object.insert(last.clone(), to);
        }
        None => drop(object.remove(last)),
    }
    Ok(root)
}

fn unescaped(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

fn spliced(text: &str, span: Range<usize>, with: &str) -> String {
    format!("{}{with}{}", &text[..span.start], &text[span.end..])
}

/// The member of this name of the object that begins at `at`.
fn member(text: &str, at: usize, name: &str) -> Result<Option<Member>, String> {
    let mut named = members(text, at)?.into_iter().filter(|member| member.name == name);
    match (named.next(), named.next()) {
        (_, Some(_)) => Err(format!("the key {name:?} occurs more than once")),
        (found, None) => Ok(found),
    }
}

/// Adds a member after the last one, in the same layout.
fn with(text: &str, at: usize, name: &str, to: &str) -> Result<String, String> {
    let key = Value::from(name).to_string();
    let all = members(text, at)?;
    let Some(last) = all.last() else {
        return Ok(spliced(text, at + 1..end(text, at)? - 1, &format!("\n  {key}: {to}\n")));
    };
    let before = text[..last.key.start].trim_end().len();
    let (lead, colon) = (&text[before..last.key.start], &text[last.key.end..last.value.start]);
    // Blanks before a comma are no part of the layout of a first member.
    Ok(spliced(text, last.value.end..last.value.end, &format!(",{lead}{key}{colon}{to}")))
}

/// Removes a member together with one comma.
fn without(text: &str, at: usize, name: &str) -> Result<String, String> {
    let all = members(text, at)?;
    let Some(number) = all.iter().position(|member| member.name == name) else { return Ok(text.to_owned()) };
    let span = match (number.checked_sub(1).and_then(|before| all.get(before)), all.get(number + 1)) {
        (_, Some(next)) => all[number].key.start..next.key.start,
        (Some(before), None) => before.value.end..all[number].value.end,
        (None, None) => at + 1..end(text, at)? - 1,
    };
    Ok(spliced(text, span, ""))
}

fn members(text: &str, at: usize) -> Result<Vec<Member>, String> {
    let bytes = text.as_bytes();
    if bytes.get(at) != Some(&b'{') {
        return Err("it is not a JSON object".into());
    }
    let mut members = Vec::new();
    let mut at = blank(bytes, at + 1);
    while bytes.get(at) == Some(&b'"') {
        let key = at..end(text, at)?;
        let name = serde_json::from_str(&text[key.clone()]).map_err(|error| error.to_string())?;
        let start = blank(bytes, blank(bytes, key.end) + 1);
        let value = start..end(text, start)?;
        at = blank(bytes, value.end);
        if bytes.get(at) == Some(&b',') {
            at = blank(bytes, at + 1);
        }
        members.push(Member { name, key, value });
    }
    Ok(members)
}

fn blank(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|byte| b" \t\r\n".contains(byte)) {
        at += 1;
    }
    at
}

/// Where the value that begins at `at` ends. The text is JSON, so that brackets match.
fn end(text: &str, at: usize) -> Result<usize, String> {
    let bytes = text.as_bytes();
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (here, byte) in bytes.iter().enumerate().skip(at) {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    quoted = false;
                    if depth == 0 {
                        return Ok(here + 1);
                    }
                }
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return Ok(here),
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Ok(here + 1);
                }
            }
            b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return Ok(here),
            _ => {}
        }
    }
    Ok(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::edited;

    const TEXT: &str = "{\r\n\t\"debug\" : true,\r\n\t\"live-restore\": true ,\r\n\t\"log-opts\": {\"max-size\": \"1}\\\"m\", \"a\":[1, 2]}\r\n}";

    #[test]
    fn changes_a_value_and_nothing_else() {
        assert_eq!(
            edited(TEXT, "/live-restore", Some("false")).unwrap(),
            TEXT.replace("\"live-restore\": true", "\"live-restore\": false")
        );
        assert_eq!(edited(TEXT, "/log-opts/a", Some("3")).unwrap(), TEXT.replace("[1, 2]", "3"));
        assert_eq!(edited("\u{feff}{\"a\":1}", "/a", Some("2")).unwrap(), "\u{feff}{\"a\":2}");
        assert_eq!(edited(r#"{"a~b/c": 1}"#, "/a~0b~1c", Some("2")).unwrap(), r#"{"a~b/c": 2}"#);
    }

    #[test]
    fn adds_a_member_in_the_layout_of_its_neighbours() {
        assert_eq!(
            edited("{\n    \"a\": 1,\n    \"b\": 2\n}\n", "/c", Some("3")).unwrap(),
            "{\n    \"a\": 1,\n    \"b\": 2,\n    \"c\": 3\n}\n"
        );
        assert_eq!(edited("{\"a\":1}", "/b", Some("[2]")).unwrap(), "{\"a\":1,\"b\":[2]}");
        assert_eq!(edited("{}", "/a", Some("1")).unwrap(), "{\n  \"a\": 1\n}");
        assert_eq!(edited("", "/a", Some("1")).unwrap(), "{\n  \"a\": 1\n}\n");
        assert_eq!(edited("{\"o\": { }}", "/o/a", Some("1")).unwrap(), "{\"o\": {\n  \"a\": 1\n}}");
    }

    #[test]
    fn removes_a_member_with_its_comma() {
        assert_eq!(edited("{\n \"a\": 1,\n \"b\": 2\n}", "/a", None).unwrap(), "{\n \"b\": 2\n}");
        assert_eq!(edited("{\n \"a\": 1,\n \"b\": 2\n}", "/b", None).unwrap(), "{\n \"a\": 1\n}");
        assert_eq!(edited("{ \"a\": 1 }", "/a", None).unwrap(), "{}");
        assert_eq!(edited("{\"a\":1}", "/b", None).unwrap(), "{\"a\":1}");
    }

    #[test]
    fn refuses_what_it_cannot_change_alone() {
        for (text, pointer, why) in [
            ("{\"a\":1,\"a\":2}", "/a", "more than once"),
            ("{\"a\":1", "/a", "not valid JSON"),
            ("[1]", "/a", "not a JSON object"),
            ("{\"a\":1}", "/a/b", "not a JSON object"),
            ("{\"a\":1}", "/b/c", "no object \"b\""),
            ("{}", "", "names no key"),
        ] {
            let error = edited(text, pointer, Some("1")).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
