//! The fields that facts have, from their JSON Schema.

use facts::FACT_KEYWORD;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

static SCHEMA: LazyLock<Value> = LazyLock::new(facts::schema);

/// The JSON Schema of the facts, as `schema facts` prints it.
pub fn facts_schema() -> String {
    format!("{:#}\n", *SCHEMA)
}

/// What a value in an expression is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Nothing is known of it.
    Any,
    /// It has this schema.
    Of(&'static Value),
    /// A list of values with this schema.
    ListOf(&'static Value),
}

/// The fields of a value.
pub(super) enum Fields {
    /// It may have any field.
    Any,
    /// It has these.
    Known(BTreeMap<&'static str, &'static Value>),
    /// It has none: a text or a number.
    None,
}

impl Shape {
    /// A definition of the schema, such as `Host`.
    pub(super) fn named(name: &str) -> Self {
        SCHEMA.pointer(&format!("/$defs/{name}")).map_or(Self::Any, Self::Of)
    }

    /// A fact about the swarm, such as `nodes`.
    pub(super) fn root(name: &str) -> Self {
        SCHEMA.pointer(&format!("/properties/{name}")).map_or(Self::Any, Self::Of)
    }

    /// What its elements are, where it is a list or a map; itself where its schema leaves them open.
    pub(super) fn element(self) -> Self {
        match self {
            Self::ListOf(schema) => Self::Of(schema),
            Self::Of(schema) => {
                let schema = resolved(schema);
                let element = schema.get("items").or_else(|| schema.get("additionalProperties"));
                element.map_or(self, Self::Of)
            }
            Self::Any => Self::Any,
        }
    }

    /// Whether it is a list.
    pub(super) fn is_list(self) -> bool {
        match self {
            Self::Any => false,
            Self::ListOf(_) => true,
            Self::Of(schema) => resolved(schema).get("items").is_some(),
        }
    }

    /// A list of such values.
    pub(super) fn list(self) -> Self {
        match self {
            Self::Of(schema) => Self::ListOf(schema),
            Self::Any | Self::ListOf(_) => Self::Any,
        }
    }

    /// The fields that it may have.
    pub(super) fn fields(self) -> Fields {
        match self {
            Self::Any => Fields::Any,
            Self::ListOf(_) => Fields::None,
            Self::Of(schema) => fields(resolved(schema)),
        }
    }

    /// Whether it is a fact, which may be a gap.
    pub(super) fn is_fact(self) -> bool {
        matches!(self, Self::Of(schema) if schema.get(FACT_KEYWORD).is_some())
    }
}

/// The schema without references, and without the null of an optional value.
fn resolved(schema: &'static Value) -> &'static Value {
    let mut schema = schema;
    // A chain of references is short; the limit keeps a cycle from being endless.
    for _ in 0..16 {
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix('#'));
        let next = match reference {
            Some(pointer) => SCHEMA.pointer(pointer),
            None => optional(schema),
        };
        let Some(next) = next else { break };
        schema = next;
    }
    schema
}

/// The only other alternative than null.
fn optional(schema: &'static Value) -> Option<&'static Value> {
    let alternatives = schema.get("anyOf")?.as_array()?;
    let mut values = alternatives.iter().filter(|it| it.get("type").and_then(Value::as_str) != Some("null"));
    values.next().filter(|_| values.next().is_none())
}

fn fields(schema: &'static Value) -> Fields {
    let mut known: BTreeMap<&'static str, &'static Value> = BTreeMap::new();
    let properties = schema.get("properties").and_then(Value::as_object);
    known.extend(properties.into_iter().flatten().map(|(name, schema)| (name.as_str(), schema)));
    for alternative in ["oneOf", "anyOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten()
    {
        match fields(resolved(alternative)) {
            Fields::Known(more) => known.extend(more),
            Fields::Any => return Fields::Any,
            Fields::None => {}
        }
    }
    let is = |name: &str| {
        let types = schema.get("type");
        types.is_some_and(|it| it == name || it.as_array().is_some_and(|all| all.iter().any(|it| it == name)))
    };
    if !known.is_empty() {
        Fields::Known(known)
    } else if is("object") || schema.as_object().is_none_or(serde_json::Map::is_empty) {
        Fields::Any
    } else {
        Fields::None
    }
}

/// Puts null, an empty text or an empty list where a field is left out, so that an expression may read each field.
pub(super) fn completed(value: &mut Value, schema: &'static Value) {
    let schema = resolved(schema);
    match value {
        Value::Array(elements) => {
            if let Some(items) = schema.get("items") {
                elements.iter_mut().for_each(|element| completed(element, items));
            }
        }
        Value::Object(map) if !map.contains_key(facts::GAP_KEY) => {
            if let Some(more) = schema.get("additionalProperties").filter(|more| more.is_object()) {
                map.values_mut().for_each(|value| completed(value, more));
            }
            for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten()
            {
                completed(map.entry(name.as_str()).or_insert_with(|| absent(property)), property);
            }
        }
        _ => {}
    }
}

fn absent(schema: &'static Value) -> Value {
    match resolved(schema).get("type").and_then(Value::as_str) {
        Some("array") => Value::Array(Vec::new()),
        Some("string") => Value::String(String::new()),
        _ => Value::Null,
    }
}
