//! YAML with the line of everything in it: anchors followed, merge keys merged, and an end to both.

use crate::engine::Fault;
use crate::stack::At;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::BTreeMap;

/// The most values that a file may hold once its aliases are followed. A real stack has some hundreds.
const MOST_VALUES: usize = 100_000;
/// How deep lists and mappings may lie in one another.
const MOST_DEPTH: usize = 64;

/// A value and the line it begins on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Yaml {
    pub(super) line: u32,
    pub(super) kind: Kind,
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Without quotes.
    Plain,
    /// In quotes, or as a block.
    Quoted,
    /// With a variable, which was replaced by its value.
    Replaced,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Text. Without quotes it may be a number, a truth value or nothing.
    Scalar(String, Style),
    List(Vec<Yaml>),
    /// Keys in their order, each with its line.
    Map(Vec<(String, u32, Yaml)>),
}

impl Yaml {
    /// The text of a scalar; `None` for what YAML takes for nothing, and for lists and mappings.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(text, _) => (!self.is_null()).then_some(text.as_str()),
            _ => None,
        }
    }

    /// Whether YAML takes it for nothing.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(text, Style::Plain) if is_null(text))
    }

    /// Whether it stands without quotes and reads as a number.
    pub(super) fn is_number(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(text, Style::Plain) if text.parse::<f64>().is_ok())
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Yaml> {
        self.entries().iter().find(|(name, _, _)| name == key).map(|(_, _, value)| value)
    }

    /// The keys and values of a mapping.
    pub(super) fn entries(&self) -> &[(String, u32, Yaml)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The values of a list.
    pub(super) fn items(&self) -> &[Yaml] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    fn size(&self) -> usize {
        match &self.kind {
            Kind::Scalar(..) => 1,
            Kind::List(items) => items.iter().map(Self::size).sum::<usize>() + 1,
            Kind::Map(entries) => entries.iter().map(|(_, _, value)| value.size()).sum::<usize>() + 1,
        }
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// A list or mapping that has not ended.
struct Open {
    line: u32,
    anchor: usize,
    items: Vec<Yaml>,
    mapping: bool,
}

/// Reads the first document of a text.
pub(super) fn parse(text: &str) -> Result<Yaml, Fault> {
    parse_noting(text, &mut Vec::new())
}

/// Reads the first document of a text, and notes the keys that a mapping holds twice.
pub(super) fn parse_noting(text: &str, repeated: &mut Vec<At<String>>) -> Result<Yaml, Fault> {
    let mut open: Vec<Open> = Vec::new();
    let mut anchors: BTreeMap<usize, Yaml> = BTreeMap::new();
    let mut values = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let mark = error.marker();
            fault(number(mark.line()), number(mark.col()).saturating_add(1), error.info())
        })?;
        let line = number(span.start.line());
        let (done, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let style = if style == ScalarStyle::Plain { Style::Plain } else { Style::Quoted };
                (Yaml { line, kind: Kind::Scalar(text.into_owned(), style) }, anchor)
            }
            Event::Alias(id) => {
                let of = "an alias of what is not complete yet";
                let mut value = anchors.get(&id).cloned().ok_or_else(|| at(span, of))?;
                value.line = line;
                values += value.size();
                (value, 0)
            }
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                let mapping = matches!(event, Event::MappingStart(..));
                if open.len() == MOST_DEPTH {
                    return Err(at(span, "lists and mappings lie too deep in one another"));
                }
                open.push(Open { line, anchor, items: Vec::new(), mapping });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { line, anchor, items, mapping }) = open.pop() else { continue };
                let kind = if mapping { Kind::Map(mapped(items, repeated)?) } else { Kind::List(items) };
                (Yaml { line, kind }, anchor)
            }
            Event::DocumentEnd | Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => continue,
        };
        values += 1;
        if values > MOST_VALUES {
            return Err(at(span, "it holds too many values once its aliases are followed"));
        }
        if anchor > 0 {
            anchors.insert(anchor, done.clone());
            values += done.size();
        }
        match open.last_mut() {
            Some(parent) => parent.items.push(done),
            None => return Ok(done),
        }
    }
    Ok(Yaml { line: 1, kind: Kind::Scalar(String::new(), Style::Plain) })
}

/// Keys and values by turns, as a mapping; what `<<` names is merged in and never replaces a key that is there.
fn mapped(items: Vec<Yaml>, repeated: &mut Vec<At<String>>) -> Result<Vec<(String, u32, Yaml)>, Fault> {
    let mut entries: Vec<(String, u32, Yaml)> = Vec::new();
    let mut merged: Vec<Yaml> = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        let Kind::Scalar(name, style) = key.kind else {
            return Err(fault(key.line, 0, "a key that is a list or a mapping"));
        };
        if style == Style::Plain && name == "<<" {
            match value.kind {
                Kind::List(list) => merged.extend(list),
                _ => merged.push(value),
            }
        } else if let Some(at) = seen.insert(name.clone(), entries.len()) {
            // Older docker takes the last of two; newer refuses both.
            repeated.push(At { line: key.line, value: name.clone() });
            let place = entries.get_mut(at);
            seen.insert(name.clone(), at);
            if let Some(place) = place {
                *place = (name, key.line, value);
            }
        } else {
            entries.push((name, key.line, value));
        }
    }
    for (name, line, value) in merged.into_iter().flat_map(|map| map.entries().to_vec()) {
        if !seen.contains_key(&name) {
            seen.insert(name.clone(), entries.len());
            entries.push((name, line, value));
        }
    }
    Ok(entries)
}

fn at(span: Span, what: &str) -> Fault {
    fault(number(span.start.line()), number(span.start.col()).saturating_add(1), what)
}

fn fault(line: u32, column: u32, what: &str) -> Fault {
    Fault { line, column, what: what.to_owned() }
}

fn number(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn merges_what_is_anchored_and_keeps_what_is_there() {
        let yaml = parse("x: &x\n  a: 1\n  b: 2\ny:\n  <<: *x\n  b: 3\nz:\n  <<: [*x, {c: 4}]\n").unwrap();
        let text = |map: &str, key: &str| yaml.get(map)?.get(key)?.text().map(str::to_owned);
        assert_eq!(text("y", "a").as_deref(), Some("1"));
        assert_eq!(text("y", "b").as_deref(), Some("3"));
        assert_eq!(text("z", "c").as_deref(), Some("4"));
        assert_eq!(yaml.get("y").unwrap().get("a").unwrap().line, 2);
    }

    #[test]
    fn a_bomb_of_aliases_ends() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for n in 1..20 {
            let alias = format!("*a{}, ", n - 1).repeat(9);
            text.push_str(&format!("a{n}: &a{n} [{}]\n", alias.trim_end_matches(", ")));
        }
        assert!(parse(&text).unwrap_err().what.contains("too many"));
        assert!(parse("a: &a [*a]").is_err());
        assert!(parse(&"[".repeat(10_000)).is_err());
    }

    #[test]
    fn says_where_it_is_no_yaml() {
        let fault = parse("services:\n  web:\n\timage: x\n").unwrap_err();
        assert_eq!(fault.line, 3);
    }

    #[test]
    fn a_key_that_stands_twice_counts_as_it_stood_last() {
        let twice = parse("a: 1\nb: 2\na: 3\n").unwrap();
        assert_eq!(twice.get("a").and_then(super::Yaml::text), Some("3"));
        assert_eq!(twice.entries().len(), 2);
    }
}
