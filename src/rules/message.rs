//! Texts with expressions in braces.

use super::expression::{Expression, Wrong};
use super::schema::Shape;
use cel::objects::Key;
use cel::{Context, Value};
use std::collections::BTreeMap;

/// The most characters of one value in a text.
const MOST: usize = 200;

/// A text with expressions in braces; `{{` and `}}` stand for braces.
pub(super) struct Message {
    parts: Vec<Part>,
}

enum Part {
    Text(String),
    Value(Expression),
}

impl Message {
    /// Parses a text over these variables.
    pub(super) fn parse(text: &str, variables: &BTreeMap<&'static str, Shape>) -> Result<Self, Vec<Wrong>> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let here = text.len() - rest.len() + at;
            let (before, after) = rest.split_at(at);
            plain.push_str(before);
            if let Some(next) = after.strip_prefix("{{") {
                plain.push('{');
                rest = next;
            } else if let Some(next) = after.strip_prefix("}}") {
                plain.push('}');
                rest = next;
            } else {
                let inside = after.strip_prefix('{').and_then(|inside| Some((inside, closing(inside)?)));
                let Some((inside, end)) = inside else {
                    let what = "a brace is not closed; write {{ or }} for a brace".to_owned();
                    return Err(vec![Wrong { at: here, what }]);
                };
                let inner = inside.get(..end).unwrap_or_default();
                let expression = Expression::parse(inner, variables).map_err(|mut wrong| {
                    wrong.iter_mut().for_each(|wrong| wrong.at += here + 1);
                    wrong
                })?;
                parts.push(Part::Text(std::mem::take(&mut plain)));
                parts.push(Part::Value(expression));
                rest = inside.get(end + 1..).unwrap_or_default();
            }
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Self { parts })
    }

    /// The expressions in it.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value(expression) => Some(expression),
            Part::Text(_) => None,
        })
    }

    /// The text with its values, each changed by `quote`; `?` stands for one that cannot be evaluated.
    pub(super) fn rendered(&self, context: &Context<'_, '_>, quote: impl Fn(&str) -> String) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Value(expression) => quote(
                    &expression.evaluate(context).map_or_else(|_| "?".to_owned(), |value| shown(&value)),
                ),
            })
            .collect()
    }
}

/// Where the brace is closed; braces in a text literal or in pairs do not count.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    for (at, char) in text.char_indices() {
        match (quote, char) {
            (Some(open), char) if open == char => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(char),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(at),
            (None, '}') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

/// A value as a person reads it.
pub(super) fn shown(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

fn write(value: &Value, out: &mut String) {
    if out.len() > MOST * 4 {
        return;
    }
    match value {
        Value::Null => out.push_str("none"),
        Value::Bool(value) => out.push_str(&value.to_string()),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::UInt(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&value.to_string()),
        Value::String(text) => out.push_str(text),
        Value::List(elements) => {
            for (at, element) in elements.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                write(element, out);
            }
        }
        Value::Map(map) => {
            let name = |key: &Key| key.to_string();
            let mut entries: Vec<(String, &Value)> =
                map.map.iter().map(|(key, value)| (name(key), value)).collect();
            entries.sort_by(|one, other| one.0.cmp(&other.0));
            for (at, (key, value)) in entries.into_iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                out.push_str(&key);
                out.push('=');
                write(value, out);
            }
        }
        Value::Bytes(_) | Value::Function(..) | Value::Opaque(_) | Value::Struct(_) => out.push('?'),
    }
}
