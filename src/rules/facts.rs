//! The facts of a snapshot as values of an expression, and their gaps.

use super::expression::{Path, Step};
use super::schema::{self, Shape};
use cel::Value;
use cel::objects::{Key, Map};
use facts::{Fact, FactVisitor, GAP_KEY, Gap, Host, NodeName, Snapshot, Source};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A fact as a value, with its source.
type Valued = Result<(Value, Source), Gap>;

/// The facts that a rule reads, of one snapshot.
pub(super) struct Facts {
    /// The facts about the swarm.
    pub(super) swarm: BTreeMap<&'static str, Valued>,
    /// The facts of each host.
    pub(super) hosts: Vec<HostFacts>,
}

/// The facts of one host that a rule reads.
pub(super) struct HostFacts {
    /// Its hostname.
    pub(super) name: NodeName,
    fields: BTreeMap<&'static str, Valued>,
    /// All of them as one value, without the gaps.
    pub(super) value: Value,
}

/// Collects the facts with these names.
struct Wanted<'a> {
    names: &'a BTreeSet<String>,
    shape: fn(&str) -> Shape,
    found: BTreeMap<&'static str, Valued>,
}

impl FactVisitor for Wanted<'_> {
    fn fact<T: Serialize>(&mut self, name: &'static str, fact: &Fact<T>) {
        if self.names.contains(name) {
            let valued = match fact {
                Fact::Seen(seen) => Ok((value(&seen.value, (self.shape)(name)), seen.source.clone())),
                Fact::Unseen(gap) => Err(gap.clone()),
            };
            self.found.insert(name, valued);
        }
    }
}

impl Facts {
    /// The facts with these names: of the swarm, and of each host.
    pub(super) fn of(snapshot: &Snapshot, swarm: &BTreeSet<String>, host: &BTreeSet<String>) -> Self {
        let mut wanted = Wanted { names: swarm, shape: Shape::root, found: BTreeMap::new() };
        snapshot.visit(&mut wanted);
        let hosts = snapshot.hosts.iter().map(|it| {
            let mut wanted = Wanted { names: host, shape: host_field, found: BTreeMap::new() };
            it.visit(&mut wanted);
            HostFacts::new(it, wanted.found)
        });
        Self { hosts: hosts.collect(), swarm: wanted.found }
    }

    /// All hosts as one value.
    pub(super) fn host_list(&self) -> Value {
        Value::List(Arc::new(self.hosts.iter().map(|host| host.value.clone()).collect()))
    }

    /// The first gap on a path, and the source of what it leads to. `host` is the host of the subject.
    pub(super) fn look_up(&self, path: &Path, host: Option<&HostFacts>) -> Result<Option<Source>, Gap> {
        // `[host][0]` is the host, and `hosts[0]` one of all hosts.
        let is_each = |step: &&Step| **step == Step::Each;
        let rest = path.steps.get(path.steps.iter().take_while(is_each).count()..).unwrap_or_default();
        match (path.root.as_str(), rest.split_first()) {
            ("host", Some((Step::Field(field), rest))) => {
                host.map_or(Ok(None), |host| host.look_up(field, rest))
            }
            ("hosts", Some((Step::Field(field), rest))) => {
                let mut source = None;
                for host in &self.hosts {
                    source = source.or(host.look_up(field, rest)?);
                }
                Ok(source)
            }
            (root, _) => source_of(self.swarm.get(root), &[]),
        }
    }
}

fn host_field(name: &str) -> Shape {
    match Shape::named("Host").fields() {
        schema::Fields::Known(fields) => fields.get(name).map_or(Shape::Any, |schema| Shape::Of(schema)),
        schema::Fields::Any | schema::Fields::None => Shape::Any,
    }
}

impl HostFacts {
    fn new(host: &Host, fields: BTreeMap<&'static str, Valued>) -> Self {
        let key = |name: &str| Key::String(Arc::new(name.to_owned()));
        let mut map: HashMap<Key, Value> = HashMap::new();
        for (name, valued) in &fields {
            if let Ok((value, _)) = valued {
                map.insert(key(name), value.clone());
            }
        }
        map.insert(key("name"), Value::String(Arc::new(host.name.to_string())));
        map.insert(key("taken"), Value::String(Arc::new(host.taken.to_string())));
        Self { name: host.name.clone(), fields, value: Value::Map(Map { map: Arc::new(map) }) }
    }

    /// One of its facts.
    pub(super) fn get(&self, field: &str) -> Option<&Valued> {
        self.fields.get(field)
    }

    fn look_up(&self, field: &str, rest: &[Step]) -> Result<Option<Source>, Gap> {
        source_of(self.fields.get(field), rest)
    }
}

fn source_of(valued: Option<&Valued>, rest: &[Step]) -> Result<Option<Source>, Gap> {
    match valued {
        Some(Ok((value, source))) => {
            gap_in(value, rest).map_or(Ok(()), Err)?;
            Ok(Some(source.clone()))
        }
        Some(Err(gap)) => Err(gap.clone()),
        None => Ok(None),
    }
}

/// The first gap on the way that these steps lead.
fn gap_in(value: &Value, steps: &[Step]) -> Option<Gap> {
    if let Value::Map(map) = value
        && let Some(Value::String(text)) = map.map.get(&Key::String(Arc::new(GAP_KEY.to_owned())))
    {
        return serde_json::from_str(text).ok();
    }
    let (step, rest) = steps.split_first()?;
    match (step, value) {
        (Step::Each, Value::List(elements)) => elements.iter().find_map(|element| gap_in(element, rest)),
        (Step::Each, Value::Map(map)) => map.map.values().find_map(|element| gap_in(element, rest)),
        (Step::Field(name), Value::Map(map)) => {
            gap_in(map.map.get(&Key::String(Arc::new(name.clone())))?, rest)
        }
        _ => None,
    }
}

/// A fact as a value. What cannot be written as JSON is null.
fn value<T: Serialize>(fact: &T, shape: Shape) -> Value {
    let mut json = serde_json::to_value(fact).unwrap_or_default();
    if let Shape::Of(schema) = shape {
        schema::completed(&mut json, schema);
    }
    from_json(json)
}

/// A JSON value. Whole numbers become signed, because an expression does not calculate with numbers of both kinds.
pub(super) fn from_json(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::Float(number),
            (None, None) => Value::Null,
        },
        serde_json::Value::String(text) => Value::String(Arc::new(text)),
        serde_json::Value::Array(elements) => {
            Value::List(Arc::new(elements.into_iter().map(from_json).collect()))
        }
        serde_json::Value::Object(map) => {
            let entries = map.into_iter();
            let map = entries.map(|(name, value)| (Key::String(Arc::new(name)), from_json(value))).collect();
            Value::Map(Map { map: Arc::new(map) })
        }
    }
}
