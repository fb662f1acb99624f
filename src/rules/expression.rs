//! One CEL expression: parsed with limits, its fields compared with the facts' schema, and evaluated with a limit of steps.

use super::schema::{Fields, Shape};
use crate::check_id::hint;
use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::parser::PrattParser;
use cel::{Context, Env, ExecutionError, Value};
use facts::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

/// The longest expression in bytes, and how deep its parser may recurse.
const MOST_BYTES: usize = 4096;
const DEEPEST: u16 = 32;
/// How deep the tree of an expression may be; it is evaluated by recursion.
const DEEPEST_TREE: usize = 64;
/// How many loops may be inside each other, and how many additions an expression may have: a text or a list that is added to
/// itself in each of several loops grows with the power of their number.
const MOST_LOOPS: usize = 4;
const MOST_ADDITIONS: usize = 32;
/// How many elements all loops of one rule may visit, over all subjects. Tests are not optimised.
const MOST_STEPS: u64 = if cfg!(test) { 20_000 } else { 2_000_000 };
/// Counts a step of a loop. No name in an expression begins so.
const COUNT_STEP: &str = "@count_step";

/// The functions that an expression may call.
const FUNCTIONS: [&str; 13] = [
    "age",
    "bool",
    "bytes",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "int",
    "matches",
    "size",
    "startsWith",
    "string",
    "type",
];

static ENVIRONMENT: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(Env::default().with_optional_support(false).with_stdlib()));

/// Where a value in an expression comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path {
    /// The variable.
    pub(super) root: String,
    /// What leads from there.
    pub(super) steps: Vec<Step>,
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// A field.
    Field(String),
    /// Each element of a list or a map.
    Each,
}

/// An expression that can be evaluated.
pub(super) struct Expression {
    /// As it was written.
    pub(super) text: String,
    /// The facts that it reads; a gap in one of them leaves it undecided.
    pub(super) facts: BTreeSet<Path>,
    /// The single values that it reads, each an expression.
    pub(super) values: BTreeSet<String>,
    tree: IdedExpr,
}

/// What is wrong with an expression.
pub(super) struct Wrong {
    /// The byte in its text, where it is known.
    pub(super) at: usize,
    /// What is wrong.
    pub(super) what: String,
}

impl Expression {
    /// Parses an expression over these variables.
    pub(super) fn parse(text: &str, variables: &BTreeMap<&'static str, Shape>) -> Result<Self, Vec<Wrong>> {
        let whole = |what: String| vec![Wrong { at: 0, what }];
        if text.trim().is_empty() {
            return Err(whole("an expression is expected".into()));
        }
        if text.len() > MOST_BYTES {
            return Err(whole(format!("the expression is longer than {MOST_BYTES} bytes")));
        }
        let parser = PrattParser::new().max_recursion_depth(DEEPEST).max_expression_node_count(2000);
        // The parser is not ours: what it cannot read must not end the run.
        let parsed = catch_unwind(AssertUnwindSafe(|| parser.parse(text)))
            .map_err(|_| whole("the expression cannot be parsed".into()))?;
        let mut tree = parsed.map_err(|errors| {
            let wrong = |error: &cel::ParseError| Wrong {
                at: byte_of(text, error.pos),
                what: format!("the expression cannot be parsed: {}", error.msg.trim()),
            };
            errors.errors.iter().take(3).map(wrong).collect::<Vec<_>>()
        })?;
        if depth(&mut tree) > DEEPEST_TREE {
            return Err(whole(format!("the expression is nested more than {DEEPEST_TREE} levels deep")));
        }
        if loops(&mut tree) > MOST_LOOPS {
            return Err(whole(format!("more than {MOST_LOOPS} loops are inside each other")));
        }
        if additions(&mut tree) > MOST_ADDITIONS {
            return Err(whole(format!("the expression has more than {MOST_ADDITIONS} additions")));
        }
        let mut reader = Reader {
            text,
            scope: variables
                .iter()
                .map(|(name, shape)| ((*name).to_owned(), Typed::root(name, *shape)))
                .collect(),
            facts: BTreeSet::new(),
            values: BTreeMap::new(),
            wrong: Vec::new(),
        };
        reader.read(&tree);
        if !reader.wrong.is_empty() {
            return Err(reader.wrong);
        }
        let (facts, values) = (reader.facts, reader.values.into_values().collect());
        limit(&mut tree);
        Ok(Self { text: text.to_owned(), facts, values, tree })
    }

    /// Its value, or why it has none.
    pub(super) fn evaluate(&self, context: &Context<'_, '_>) -> Result<Value, String> {
        Value::resolve(&self.tree, context).map_err(|error| reason(&error))
    }
}

/// The functions of an expression, with a limit of steps for all evaluations in this context. `now` is when the facts were
/// taken.
pub(super) fn context<'a>(now: Timestamp) -> Context<'a, 'a> {
    let mut context = Context::with_env(ENVIRONMENT.clone());
    let steps = AtomicU64::new(0);
    let count = move || match steps.fetch_add(1, Ordering::Relaxed) {
        ..MOST_STEPS => Ok(true),
        _ => Err(ExecutionError::function_error(COUNT_STEP, format!("more than {MOST_STEPS} loop steps"))),
    };
    let age = move |time: Arc<String>| match time.parse::<Timestamp>() {
        Ok(time) => Ok(now.duration_since(time).as_secs()),
        Err(_) => Err(ExecutionError::function_error("age", format!("{time:?} is not a time"))),
    };
    // Neither name is declared by the standard library, which is all that adding one can fail for.
    drop(context.add_function(COUNT_STEP, count));
    drop(context.add_function("age", age));
    context
}

/// An error in few words: a value of a fact may be large.
fn reason(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(name) => format!("there is no value {name}"),
        ExecutionError::FunctionError { message, .. } => message.clone(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "a number is too large".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "the list has no such element".to_owned(),
        ExecutionError::NoSuchOverload(error) => error.to_string(),
        ExecutionError::ValuesNotComparable(..) | ExecutionError::UnsupportedBinaryOperator(..) => {
            "these values cannot be compared or calculated with".to_owned()
        }
        error => error.to_string().chars().take(200).collect(),
    }
}

/// The byte of a line and a column, each from 1.
fn byte_of(text: &str, (line, column): (isize, isize)) -> usize {
    let (line, column) = (usize::try_from(line).unwrap_or(1), usize::try_from(column).unwrap_or(1));
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let here = text.get(before..).unwrap_or_default();
    let inside: usize = here.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum();
    (before + inside).min(text.len())
}

/// Makes each loop count its steps.
fn limit(node: &mut IdedExpr) {
    children(node).into_iter().for_each(limit);
    if let Expr::Comprehension(comprehension) = &mut node.expr {
        let call = |func_name: &str, args| {
            let call = CallExpr { func_name: func_name.to_owned(), target: None, args };
            IdedExpr { id: node.id, expr: Expr::Call(call) }
        };
        let condition = std::mem::take(&mut comprehension.loop_cond);
        comprehension.loop_cond = call(operators::LOGICAL_AND, vec![call(COUNT_STEP, Vec::new()), condition]);
    }
}

/// How deep a tree is.
fn depth(root: &mut IdedExpr) -> usize {
    let mut level = vec![root];
    let mut depth = 0;
    while !level.is_empty() && depth <= DEEPEST_TREE {
        level = level.into_iter().flat_map(children).collect();
        depth += 1;
    }
    depth
}

/// How many loops are inside each other.
fn loops(node: &mut IdedExpr) -> usize {
    let own = usize::from(matches!(node.expr, Expr::Comprehension(_)));
    own + children(node).into_iter().map(loops).max().unwrap_or(0)
}

/// How many additions there are, those that `map` and `filter` are made of included.
fn additions(node: &mut IdedExpr) -> usize {
    let own = usize::from(matches!(&node.expr, Expr::Call(call) if call.func_name == operators::ADD));
    own + children(node).into_iter().map(additions).sum::<usize>()
}

fn children(node: &mut IdedExpr) -> Vec<&mut IdedExpr> {
    match &mut node.expr {
        Expr::Call(call) => call.target.iter_mut().map(AsMut::as_mut).chain(&mut call.args).collect(),
        Expr::Select(select) => vec![select.operand.as_mut()],
        Expr::List(list) => list.elements.iter_mut().collect(),
        Expr::Map(map) => map
            .entries
            .iter_mut()
            .flat_map(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => vec![&mut entry.key, &mut entry.value],
                EntryExpr::StructField(field) => vec![&mut field.value],
            })
            .collect(),
        Expr::Comprehension(it) => {
            vec![&mut it.iter_range, &mut it.accu_init, &mut it.loop_cond, &mut it.loop_step, &mut it.result]
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => Vec::new(),
    }
}

/// A value in an expression: what it is, and where it comes from if that is known.
#[derive(Clone)]
struct Typed {
    shape: Shape,
    path: Option<Path>,
}

impl Typed {
    const ANY: Self = Self { shape: Shape::Any, path: None };

    fn root(name: &str, shape: Shape) -> Self {
        Self { shape, path: Some(Path { root: name.to_owned(), steps: Vec::new() }) }
    }

    fn step(&self, shape: Shape, step: Step) -> Self {
        let path = self.path.clone().map(|mut path| {
            path.steps.push(step);
            path
        });
        Self { shape, path }
    }
}

/// Reads an expression: what it reads, and which names in it do not exist.
struct Reader<'a> {
    text: &'a str,
    scope: BTreeMap<String, Typed>,
    facts: BTreeSet<Path>,
    values: BTreeMap<Path, String>,
    wrong: Vec<Wrong>,
}

impl Reader<'_> {
    fn read(&mut self, node: &IdedExpr) -> Typed {
        match &node.expr {
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) => {
                let operand = self.read(&select.operand);
                self.field(&operand, &select.field)
            }
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                let elements: Vec<Typed> = list.elements.iter().map(|element| self.read(element)).collect();
                elements.first().map_or(Typed::ANY, |it| Typed { shape: it.shape.list(), path: listed(it) })
            }
            // What is taken out of it again could be a fact with a gap.
            Expr::Map(_) => {
                self.wrong("{", "a rule cannot build maps".to_owned());
                Typed::ANY
            }
            Expr::Comprehension(it) => {
                let range = self.read(&it.iter_range);
                // The elements of a map are its keys in a loop over one variable.
                let is_map = matches!(range.shape, Shape::Of(_)) && !range.shape.is_list();
                let element = match is_map {
                    true => Typed::ANY,
                    false => range.step(range.shape.element(), Step::Each),
                };
                self.note(&element);
                let outer = self.scope.clone();
                self.scope.insert(it.accu_var.clone(), Typed::ANY);
                self.scope.insert(it.iter_var.clone(), element);
                self.read(&it.accu_init);
                self.read(&it.loop_cond);
                let step = self.read(&it.loop_step);
                self.scope.insert(it.accu_var.clone(), step);
                let result = self.read(&it.result);
                self.scope = outer;
                result
            }
            Expr::Struct(it) => {
                self.wrong(&it.type_name, format!("there is no type {:?}", it.type_name));
                Typed::ANY
            }
            Expr::Literal(_) | Expr::Unspecified => Typed::ANY,
        }
    }

    fn variable(&mut self, name: &str) -> Typed {
        if let Some(typed) = self.scope.get(name).cloned() {
            self.note(&typed);
            return typed;
        }
        if !FUNCTIONS.contains(&name) {
            let known: Vec<&str> =
                self.scope.keys().map(String::as_str).filter(|name| !name.starts_with('@')).collect();
            let hint = hint(name, known.iter().copied());
            let what = format!("there is no variable {name:?}{hint}; there are {}", known.join(", "));
            self.wrong(name, what);
        }
        Typed::ANY
    }

    fn field(&mut self, operand: &Typed, name: &str) -> Typed {
        let shape = match operand.shape.fields() {
            // It could be a fact with a gap.
            Fields::Any
                if is_any(operand) && operand.path.as_ref().is_none_or(|path| path.root != "line") =>
            {
                self.wrong(
                    name,
                    format!("the fields of this value are not known, so {name:?} cannot be read"),
                );
                Shape::Any
            }
            Fields::Any => operand.shape.element(),
            Fields::Known(known) => match known.get(name) {
                Some(schema) => Shape::Of(schema),
                None => {
                    let hint = hint(name, known.keys().copied());
                    let place = operand.path.as_ref().map_or_else(|| "the value".to_owned(), Path::to_string);
                    let several: Vec<&str> = known.keys().copied().take(12).collect();
                    let more = if known.len() > several.len() { ", ..." } else { "" };
                    let what =
                        format!("{place} has no field {name:?}{hint}; it has {}{more}", several.join(", "));
                    self.wrong(name, what);
                    Shape::Any
                }
            },
            Fields::None => {
                let place = operand.path.as_ref().map_or_else(|| "the value".to_owned(), Path::to_string);
                self.wrong(name, format!("{place} has no fields, so it has no {name:?}"));
                Shape::Any
            }
        };
        let typed = operand.step(shape, Step::Field(name.to_owned()));
        if let Some(path) = &operand.path {
            self.values.remove(path);
        }
        self.note(&typed);
        typed
    }

    fn call(&mut self, call: &CallExpr) -> Typed {
        let target = call.target.as_ref().map(|target| self.read(target));
        let args: Vec<Typed> = call.args.iter().map(|arg| self.read(arg)).collect();
        let name = call.func_name.as_str();
        match (name, args.as_slice()) {
            (operators::INDEX, [of, _]) => {
                // A literal key of an object is one of its fields.
                if let Some(Expr::Literal(LiteralValue::String(key))) = call.args.get(1).map(|it| &it.expr) {
                    let key = key.inner().to_owned();
                    if matches!(of.shape.fields(), Fields::Known(_)) {
                        return self.field(of, &key);
                    }
                }
                let typed = of.step(of.shape.element(), Step::Each);
                self.note(&typed);
                typed
            }
            // The list that `map` and `filter` build.
            (operators::ADD, [one, other]) => {
                if is_any(one) {
                    other.clone()
                } else {
                    one.clone()
                }
            }
            (operators::CONDITIONAL, [_, one, other]) => {
                if is_any(one) {
                    other.clone()
                } else {
                    one.clone()
                }
            }
            _ => {
                let operator = !name.starts_with(|char: char| char.is_ascii_alphabetic());
                if !operator && !FUNCTIONS.contains(&name) {
                    let hint =
                        hint(name, FUNCTIONS.into_iter().chain(["all", "exists", "filter", "has", "map"]));
                    self.wrong(name, format!("there is no function {name:?}{hint}"));
                }
                drop(target);
                Typed::ANY
            }
        }
    }

    /// Notes what is read.
    fn note(&mut self, typed: &Typed) {
        let Some(path) = &typed.path else { return };
        let is_root = path.steps.is_empty();
        if typed.shape.is_fact() || is_root {
            self.facts.insert(path.clone());
        }
        if !is_root && !path.steps.contains(&Step::Each) {
            self.values.insert(path.clone(), path.to_string());
        }
    }

    /// Notes that a name is wrong, where it stands first as a whole word.
    fn wrong(&mut self, name: &str, what: String) {
        let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
        let whole = |at: &usize| {
            let before = self.text.get(..*at).unwrap_or_default().chars().next_back();
            let after = self.text.get(at + name.len()..).unwrap_or_default().chars().next();
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        };
        let at = self.text.match_indices(name).map(|(at, _)| at).find(whole).unwrap_or(0);
        self.wrong.push(Wrong { at, what });
    }
}

fn is_any(typed: &Typed) -> bool {
    matches!(typed.shape, Shape::Any)
}

/// The path of a list whose elements have this path. Where no fact is such a list, the step to an element changes nothing.
fn listed(element: &Typed) -> Option<Path> {
    let mut path = element.path.clone()?;
    path.steps.pop_if(|step| *step == Step::Each);
    Some(path)
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.root)?;
        self.steps.iter().try_for_each(|step| match step {
            Step::Field(name) => write!(f, ".{name}"),
            Step::Each => f.write_str("[]"),
        })
    }
}
