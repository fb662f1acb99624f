//! The file of a rule: how it is written, and what is wrong with it.

use super::expression::{Expression, Wrong};
use super::log_lines::LogLines;
use super::message::Message;
use super::rule::{Remedy, Rule, Subjects};
use super::schema::Shape;
use crate::check_id::hint;
use crate::cli::duration;
use crate::toml_place::{place, wrong};
use checks::{Meta, Severity, built_in};
use facts::SignedDuration;
use regex::RegexBuilder;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;

/// The largest file, in bytes.
const MOST: u64 = 64 << 10;
/// The largest compiled pattern of a log rule, in bytes.
const MOST_OF_PATTERN: usize = 1 << 20;

/// Something wrong in the file of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, or the rule where the fault is between files.
    pub file: String,
    /// The line, from 1; 0 for the whole file.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// What is wrong.
    pub what: String,
    /// The id of the rule, where it could be read.
    pub id: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what),
            line => write!(f, "{}:{line}:{}: {}", self.file, self.column, self.what),
        }
    }
}

impl Fault {
    /// A fault that has no place in a file.
    pub(super) fn of_rule(rule: &str, what: String) -> Self {
        Self { file: format!("rule {rule}"), line: 0, column: 0, what, id: Some(rule.to_owned()) }
    }

    /// All of them, one on each line.
    pub(super) fn list(faults: &[Self]) -> String {
        faults.iter().map(|fault| format!("- {fault}\n")).collect()
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: Spanned<String>,
    title: Spanned<String>,
    #[serde(default)]
    healthy: String,
    severity: Spanned<String>,
    subject: Spanned<String>,
    when: Option<Spanned<String>>,
    message: Spanned<String>,
    #[serde(default)]
    evidence: Vec<Spanned<String>>,
    #[serde(default)]
    explain: String,
    #[serde(default)]
    causes: Vec<String>,
    remedy: Option<WrittenRemedy>,
    log: Option<WrittenLog>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRemedy {
    text: Spanned<String>,
    #[serde(default)]
    commands: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLog {
    r#match: Spanned<String>,
    count: Option<Spanned<u64>>,
    window: Option<Spanned<String>>,
}

/// Reads the rule in a file; `taken` is whether another check has an id.
pub fn read(path: &Path, taken: &dyn Fn(&str) -> bool) -> Result<Rule, Vec<Fault>> {
    let text = text(path).map_err(|error| {
        let what = format!("cannot read the file: {error}");
        vec![Fault { file: path.display().to_string(), line: 0, column: 0, what, id: None }]
    })?;
    parse(&text, &path.display().to_string(), taken)
}

fn text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MOST + 1).read_to_string(&mut text)?;
    match text.len() as u64 > MOST {
        true => Err(std::io::Error::other("larger than 64 KiB")),
        false => Ok(text),
    }
}

pub(super) fn parse(text: &str, file: &str, taken: &dyn Fn(&str) -> bool) -> Result<Rule, Vec<Fault>> {
    let mut reading = Reading { text, file, id: None, faults: Vec::new() };
    let written: Written = match toml::from_str(text) {
        Ok(written) => written,
        Err(error) => {
            let (at, what) = wrong(&error);
            reading.fault(at, what);
            return Err(reading.faults);
        }
    };
    let rule = reading.rule(written, taken);
    match rule {
        Some(rule) if reading.faults.is_empty() => Ok(rule),
        _ => Err(reading.faults),
    }
}

/// A file while it is read.
struct Reading<'a> {
    text: &'a str,
    file: &'a str,
    id: Option<String>,
    faults: Vec<Fault>,
}

impl Reading<'_> {
    fn fault(&mut self, at: usize, what: String) {
        let (line, column) = place(self.text, at);
        self.faults.push(Fault { file: self.file.to_owned(), line, column, what, id: self.id.clone() });
    }

    fn rule(&mut self, written: Written, taken: &dyn Fn(&str) -> bool) -> Option<Rule> {
        let (at, id) = (written.id.span().start, written.id.into_inner());
        match id_fault(&id, taken) {
            Some(what) => self.fault(at, what),
            None => self.id = Some(id.clone()),
        }
        if written.title.get_ref().trim().is_empty() {
            self.fault(written.title.span().start, "a title is expected".to_owned());
        }
        let severity = self.one_of(&written.severity, &SEVERITIES);
        let subjects = self.one_of(&written.subject, &SUBJECTS);
        let log = match written.log {
            Some(log) => self.log(&log),
            None => None,
        };
        let subjects = subjects?;
        let is_log = subjects == Subjects::Log;
        if is_log && log.is_none() && self.faults.is_empty() {
            self.fault(written.subject.span().start, "a rule about log lines needs a [log] table".to_owned());
        }
        if !is_log && log.is_some() {
            self.fault(written.subject.span().start, "a [log] table needs subject = \"log\"".to_owned());
        }
        let variables = subjects.variables();
        let when = match &written.when {
            Some(when) => self.parsed(when, |text| Expression::parse(text, &variables)),
            None => {
                if !is_log {
                    self.fault(0, "missing field `when`".to_owned());
                }
                None
            }
        };
        if let (Some(when), Some(written)) = (&when, &written.when)
            && when.facts.is_empty()
        {
            self.fault(written.span().start, "the condition reads no fact".to_owned());
        }
        let message = self.parsed(&written.message, |text| Message::parse(text, &variables));
        let evidence: Vec<Expression> = written
            .evidence
            .iter()
            .filter_map(|path| self.parsed(path, |text| Expression::parse(text, &variables)))
            .collect();
        let remedy = written.remedy.and_then(|remedy| {
            let text = self.parsed(&remedy.text, |text| Message::parse(text, &variables))?;
            let commands = remedy.commands.iter();
            let commands =
                commands.filter_map(|command| self.parsed(command, |text| Message::parse(text, &variables)));
            Some(Remedy { text, commands: commands.collect() })
        });
        let values = when.iter().flat_map(|when| &when.values);
        let values = values.filter_map(|text| Expression::parse(text, &variables).ok()).collect();
        let mut rule = Rule {
            meta: Meta {
                id: Cow::Owned(id),
                title: Cow::Owned(written.title.into_inner()),
                healthy: Cow::Owned(written.healthy),
                severity: severity?,
                explain: Cow::Owned(written.explain),
                needs: Cow::Borrowed(&[]),
                caused_by: written.causes.into_iter().map(Cow::Owned).collect(),
                remaining: false,
            },
            subjects,
            when,
            values,
            message: message?,
            evidence,
            remedy,
            log,
        };
        rule.meta.needs = rule.needs().into_iter().collect();
        Some(rule)
    }

    fn one_of<T: Copy>(&mut self, written: &Spanned<String>, known: &[(&str, T)]) -> Option<T> {
        let found = known.iter().find(|(name, _)| name == written.get_ref()).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            let hint = hint(written.get_ref(), names.iter().copied());
            let what = format!("{:?} is not one of {}{hint}", written.get_ref(), names.join(", "));
            self.fault(written.span().start, what);
        }
        found
    }

    /// What a text is parsed as; a fault in it gets its place in the file.
    fn parsed<T>(
        &mut self,
        written: &Spanned<String>,
        parse: impl FnOnce(&str) -> Result<T, Vec<Wrong>>,
    ) -> Option<T> {
        match parse(written.get_ref()) {
            Ok(parsed) => Some(parsed),
            Err(wrong) => {
                for Wrong { at, what } in wrong {
                    let at = self.byte_in_file(written.span(), written.get_ref(), at);
                    self.fault(at, what);
                }
                None
            }
        }
    }

    /// Where a byte of a text stands in the file. A text with escapes is longer there; then it is where the text begins.
    fn byte_in_file(&self, span: Range<usize>, text: &str, at: usize) -> usize {
        let raw = self.text.get(span.clone()).unwrap_or_default();
        raw.find(text).map_or(span.start, |begin| span.start + begin + at)
    }

    fn log(&mut self, written: &WrittenLog) -> Option<LogLines> {
        let built = RegexBuilder::new(written.r#match.get_ref()).size_limit(MOST_OF_PATTERN).build();
        let pattern = match built {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.fault(written.r#match.span().start, format!("the pattern is not valid: {last}"));
                None
            }
        };
        let count = written.count.as_ref().map_or(1, |count| *count.get_ref());
        if let Some(written) = written.count.as_ref().filter(|_| count == 0) {
            self.fault(written.span().start, "a count of at least 1 is expected".to_owned());
        }
        let window = match &written.window {
            Some(window) => match duration(window.get_ref()).map(SignedDuration::try_from) {
                Ok(Ok(window)) => Some(window),
                _ => {
                    let what = format!("{:?} is not a duration, such as 10m", window.get_ref());
                    self.fault(window.span().start, what);
                    None
                }
            },
            None => None,
        };
        Some(LogLines { pattern: pattern?, count, window })
    }
}

const SEVERITIES: [(&str, Severity); 3] =
    [("info", Severity::Info), ("warning", Severity::Warning), ("error", Severity::Error)];

const SUBJECTS: [(&str, Subjects); 8] = [
    ("swarm", Subjects::Swarm),
    ("host", Subjects::Host),
    ("node", Subjects::Node),
    ("service", Subjects::Service),
    ("task", Subjects::Task),
    ("network", Subjects::Network),
    ("link", Subjects::Link),
    ("log", Subjects::Log),
];

/// What is wrong with the id of a rule.
fn id_fault(id: &str, taken: &dyn Fn(&str) -> bool) -> Option<String> {
    let word = |word: &str| {
        !word.is_empty()
            && word.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-')
    };
    let Some((category, _)) = id.split_once('/').filter(|(category, name)| word(category) && word(name))
    else {
        return Some(format!(
            "{id:?} is not an id: a category and a name in lower case are expected, such as site/nifi-ports"
        ));
    };
    let ours = built_in().filter_map(|check| check.meta.id.split('/').next()).any(|ours| ours == category);
    if ours || category == "rules" {
        return Some(format!("the category {category:?} belongs to swarm-doctor; use another, such as site"));
    }
    taken(id).then(|| format!("another rule has the id {id:?}"))
}

impl Subjects {
    /// The variables of an expression about such a subject.
    pub(super) fn variables(self) -> BTreeMap<&'static str, Shape> {
        let mut variables = BTreeMap::from([("hosts", Shape::named("Host").list())]);
        variables.extend(["cluster", "nodes", "services", "tasks"].map(|name| (name, Shape::root(name))));
        let host = ("host", Shape::named("Host"));
        match self {
            Self::Swarm => {}
            Self::Host => variables.extend([host]),
            Self::Node => variables.extend([("node", Shape::named("Node"))]),
            Self::Service => variables.extend([("service", Shape::named("Service"))]),
            Self::Task => variables.extend([("task", Shape::named("Task"))]),
            Self::Network => variables.extend([host, ("network", Shape::named("Network"))]),
            Self::Link => variables.extend([host, ("link", Shape::named("Probe"))]),
            Self::Log => variables.extend([host, ("count", Shape::Any), ("line", Shape::Any)]),
        }
        variables
    }
}
