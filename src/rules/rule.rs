//! A rule as a check.

use super::expression::{self, Expression, Path, Step};
use super::facts::{Facts, HostFacts, from_json};
use super::log_lines::LogLines;
use super::message::{Message, shown};
use cel::objects::Key;
use cel::{Context, Value};
use checks::{Check, Evidence, Findings, Meta, Risk, Subject, Target, View, shell_quote};
use facts::{Gap, Host, Need, NodeName, Snapshot, Source, Why};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most findings of one rule; the last one says how many more there are.
const MOST_FINDINGS: usize = 100;
/// The most pieces of evidence of one finding.
const MOST_EVIDENCE: usize = 8;
/// The last lines of the log that a finding shows.
const LINES_SHOWN: usize = 3;

/// What a rule is judged on, and so how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subjects {
    /// Once for the whole swarm.
    Swarm,
    /// Each host that was examined.
    Host,
    /// Each entry of the node list.
    Node,
    /// Each service.
    Service,
    /// Each task.
    Task,
    /// Each network that the engine of a host lists.
    Network,
    /// Each probe from a host to another one.
    Link,
    /// The matching lines in the log of each host.
    Log,
}

/// What to do, with values.
pub(super) struct Remedy {
    pub(super) text: Message,
    pub(super) commands: Vec<Message>,
}

/// A check that a user wrote.
pub struct Rule {
    pub(super) meta: Meta,
    pub(super) subjects: Subjects,
    /// The condition; a log rule may have none.
    pub(super) when: Option<Expression>,
    /// The single values that the condition reads.
    pub(super) values: Vec<Expression>,
    pub(super) message: Message,
    pub(super) evidence: Vec<Expression>,
    pub(super) remedy: Option<Remedy>,
    pub(super) log: Option<LogLines>,
}

/// One thing that the rule is judged on.
struct Case<'a> {
    subject: Subject,
    host: Option<&'a HostFacts>,
    /// The variables of this subject.
    variables: Vec<(&'static str, Value)>,
    /// Evidence that is there before the condition is evaluated.
    lines: Vec<Evidence>,
    /// The nodes on which it shows.
    on: Vec<NodeName>,
}

impl Check for Rule {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn each_host(&self) -> bool {
        matches!(self.subjects, Subjects::Host | Subjects::Network | Subjects::Link | Subjects::Log)
    }

    fn judge(&self, view: &View<'_>, out: &mut Findings<'_>) {
        let (swarm, host) = self.fields();
        let facts = Facts::of(view.snapshot, &swarm, &host);
        let mut context = expression::context(view.snapshot.taken);
        for (name, valued) in &facts.swarm {
            if let Ok((value, _)) = valued
                && self.expressions().any(|it| it.facts.iter().any(|path| path.root == *name))
            {
                context.add_variable_from_value(*name, value.clone());
            }
        }
        if self.expressions().any(|it| it.facts.iter().any(|path| path.root == "hosts")) {
            context.add_variable_from_value("hosts", facts.host_list());
        }
        let mut more = 0_usize;
        for case in self.cases(view.snapshot, &facts, out) {
            self.judge_case(case, &facts, &context, out, &mut more);
        }
        if let Some(last) = out.found.last_mut().filter(|_| more > 0) {
            last.summary.push_str(&format!("; {more} more subjects have the same problem"));
        }
    }
}

impl Rule {
    fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let remedy =
            self.remedy.iter().flat_map(|remedy| std::iter::once(&remedy.text).chain(&remedy.commands));
        let messages = std::iter::once(&self.message).chain(remedy).flat_map(Message::expressions);
        self.when.iter().chain(&self.evidence).chain(messages)
    }

    /// The names of the facts that it reads: of the swarm, and of hosts.
    fn fields(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let mut swarm: BTreeSet<String> = self.subjects.root().map(str::to_owned).into_iter().collect();
        if self.subjects == Subjects::Task {
            swarm.extend(["services", "nodes"].map(str::to_owned));
        }
        let mut host: BTreeSet<String> = self.subjects.host_field().map(str::to_owned).into_iter().collect();
        for path in self.expressions().flat_map(|it| &it.facts) {
            let mut fields = path.steps.iter().filter_map(|step| match step {
                Step::Field(name) => Some(name.clone()),
                Step::Each => None,
            });
            match path.root.as_str() {
                "host" | "hosts" => host.extend(fields.next()),
                root => drop(swarm.insert(root.to_owned())),
            }
        }
        (swarm, host)
    }

    /// The kinds of artifacts that it reads.
    pub(super) fn needs(&self) -> BTreeSet<Need> {
        let (swarm, host) = self.fields();
        let known = |names: BTreeSet<String>, facts: &'static [(&'static str, Need)]| {
            let read = move |(name, _): &&(&'static str, Need)| names.contains(*name);
            facts.iter().filter(read).map(|(_, need)| *need)
        };
        let log = self.log.iter().map(|_| Need::EngineLog);
        known(swarm, Snapshot::FACTS).chain(known(host, Host::FACTS)).chain(log).collect()
    }

    fn cases<'a>(&self, snapshot: &Snapshot, facts: &'a Facts, out: &mut Findings<'_>) -> Vec<Case<'a>> {
        let case = |subject: Subject, host, variables| Case {
            subject,
            host,
            variables,
            lines: Vec::new(),
            on: Vec::new(),
        };
        let mut cases = Vec::new();
        match self.subjects {
            Subjects::Swarm => cases.push(case(Subject::Cluster, None, Vec::new())),
            Subjects::Node | Subjects::Service | Subjects::Task => {
                let root = self.subjects.root().unwrap_or_default();
                let variable = self.subjects.variable();
                match facts.swarm.get(root) {
                    Some(Ok((value, _))) => {
                        let names = Names::of(snapshot);
                        for element in elements(value) {
                            let (subject, on) = names.subject(self.subjects, element);
                            let one = case(subject, None, vec![(variable, element.clone())]);
                            cases.push(Case { on, ..one });
                        }
                    }
                    Some(Err(gap)) => out.inconclusive(Subject::Cluster, gap.clone()),
                    None => {}
                }
            }
            Subjects::Host | Subjects::Network | Subjects::Link | Subjects::Log => {
                for (host, known) in snapshot.hosts.iter().zip(&facts.hosts) {
                    match self.host_cases(host, known) {
                        Ok(more) => cases.extend(more),
                        Err(gap) => out.inconclusive(Subject::Node(known.name.clone()), gap),
                    }
                }
            }
        }
        cases
    }

    fn host_cases<'a>(&self, host: &Host, known: &'a HostFacts) -> Result<Vec<Case<'a>>, Gap> {
        let node = Subject::Node(known.name.clone());
        let own = ("host", known.value.clone());
        let case = |subject, variables, lines| Case {
            subject,
            host: Some(known),
            variables,
            lines,
            on: vec![known.name.clone()],
        };
        if let Some(pattern) = &self.log {
            let log = host.log.get()?;
            let Some((lines, count)) = pattern.find(log, host.taken)? else { return Ok(Vec::new()) };
            let last = lines.last().map(|line| serde_json::to_value(line).unwrap_or_default());
            let variables = vec![
                own,
                ("count", Value::Int(i64::try_from(count).unwrap_or(i64::MAX))),
                ("line", from_json(last.unwrap_or_default())),
            ];
            let shown = lines.iter().rev().take(LINES_SHOWN).rev();
            return Ok(vec![case(node, variables, shown.map(|line| Evidence::log(log, line)).collect())]);
        }
        let Some(field) = self.subjects.host_field() else {
            return Ok(vec![case(node, vec![own], Vec::new())]);
        };
        match known.get(field) {
            Some(Ok((value, _))) => Ok(elements(value)
                .iter()
                .map(|element| {
                    let subject = match self.subjects {
                        Subjects::Link => Subject::Link { from: known.name.clone(), to: peer(element) },
                        _ => Subject::Network(text(element, &["name"])),
                    };
                    case(subject, vec![own.clone(), (self.subjects.variable(), element.clone())], Vec::new())
                })
                .collect()),
            Some(Err(gap)) => Err(gap.clone()),
            None => Ok(Vec::new()),
        }
    }

    fn judge_case(
        &self,
        case: Case<'_>,
        facts: &Facts,
        context: &Context<'_, '_>,
        out: &mut Findings<'_>,
        more: &mut usize,
    ) {
        let mut context = context.new_inner_scope();
        for (name, value) in case.variables {
            context.add_variable_from_value(name, value);
        }
        if let Some(when) = &self.when {
            let fires = self.source(when, facts, case.host).and_then(|source| {
                let undecided = |what: String| Gap { source, why: Why::Undecidable { what } };
                match when.evaluate(&context) {
                    Ok(Value::Bool(fires)) => Ok(fires),
                    Ok(_) => Err(undecided("the condition of the rule is neither true nor false".to_owned())),
                    Err(what) => Err(undecided(format!("the condition of the rule has no value: {what}"))),
                }
            });
            match fires {
                Ok(true) => {}
                Ok(false) => return,
                Err(gap) => return out.inconclusive(case.subject, gap),
            }
        }
        let mut evidence = case.lines;
        evidence.extend(self.evidence(facts, case.host, &context));
        evidence.truncate(MOST_EVIDENCE);
        // Several probes of one link are one finding.
        if let Some(same) = out.found.iter_mut().find(|finding| finding.subject == case.subject) {
            let room = MOST_EVIDENCE.saturating_sub(same.evidence().len());
            for piece in evidence.into_iter().take(room) {
                same.with(piece);
            }
            return;
        }
        if out.found.len() >= MOST_FINDINGS {
            *more += 1;
            return;
        }
        let mut evidence = evidence.into_iter();
        let Some(first) = evidence.next() else { return };
        // What the managers list is changed on a manager.
        let node = match (self.subjects, case.host) {
            (Subjects::Host | Subjects::Link | Subjects::Log, Some(host)) => Target::Node(host.name.clone()),
            _ => Target::AnyManager,
        };
        let summary = self.message.rendered(&context, str::to_owned);
        let finding = out.report(case.subject, summary, first);
        finding.on_nodes(case.on);
        for piece in evidence {
            finding.with(piece);
        }
        if let Some(remedy) = &self.remedy {
            let title = remedy.text.rendered(&context, str::to_owned);
            let commands: Vec<String> =
                remedy.commands.iter().map(|command| command.rendered(&context, shell_quote)).collect();
            let text = if commands.is_empty() { title.clone() } else { "run these commands".to_owned() };
            finding.remedy(checks::Remedy {
                title: Cow::Owned(title),
                risk: Risk::Manual,
                impact: Cow::Borrowed("The rule does not state the effect."),
                steps: vec![checks::Step::Manual { node, text, commands }],
            });
        }
    }

    /// The source of what an expression reads, or the first gap in it.
    fn source(
        &self,
        expression: &Expression,
        facts: &Facts,
        host: Option<&HostFacts>,
    ) -> Result<Source, Gap> {
        let mut source = None;
        for path in &expression.facts {
            let path = self.subjects.origin(path);
            source = source.or(facts.look_up(&path, host)?);
        }
        Ok(source.unwrap_or_else(|| Source {
            need: Need::Info,
            artifact: self.meta.id.to_string(),
            origin: format!("rule {}", self.meta.id),
        }))
    }

    /// The values that the rule names as evidence, else those that its condition reads.
    fn evidence(&self, facts: &Facts, host: Option<&HostFacts>, context: &Context<'_, '_>) -> Vec<Evidence> {
        let named = self.evidence.iter().filter_map(|it| {
            let value = it.evaluate(context).ok()?;
            let source = self.source(it, facts, host).ok()?;
            Some(Evidence::Value { source, shown: format!("{} = {}", it.text, shown(&value)) })
        });
        let mut evidence: Vec<Evidence> = named.collect();
        let Some(when) = self.when.as_ref().filter(|_| evidence.is_empty()) else { return evidence };
        let Ok(source) = self.source(when, facts, host) else { return evidence };
        for read in &self.values {
            if let Ok(value) = read.evaluate(context) {
                let shown = format!("{} = {}", read.text, shown(&value));
                evidence.push(Evidence::Value { source: source.clone(), shown });
            }
        }
        if evidence.is_empty() {
            evidence.push(Evidence::Value { source, shown: when.text.trim().to_owned() });
        }
        evidence
    }
}

impl Subjects {
    /// The fact about the swarm that lists the subjects.
    fn root(self) -> Option<&'static str> {
        match self {
            Self::Node => Some("nodes"),
            Self::Service => Some("services"),
            Self::Task => Some("tasks"),
            Self::Swarm | Self::Host | Self::Network | Self::Link | Self::Log => None,
        }
    }

    /// The fact of a host that lists the subjects.
    fn host_field(self) -> Option<&'static str> {
        match self {
            Self::Network => Some("networks"),
            Self::Link => Some("probes"),
            Self::Swarm | Self::Host | Self::Node | Self::Service | Self::Task | Self::Log => None,
        }
    }

    /// The variable that holds the subject.
    fn variable(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Service => "service",
            Self::Task => "task",
            Self::Network => "network",
            Self::Link => "link",
            Self::Swarm | Self::Host | Self::Log => "host",
        }
    }

    /// Where a path begins in the facts: `node.state` is in `nodes`.
    fn origin(self, path: &Path) -> Path {
        let root = match path.root.as_str() {
            root if root == self.variable() && root != "host" => match (self.root(), self.host_field()) {
                (Some(list), _) => return Path { root: list.to_owned(), steps: Vec::new() },
                (None, Some(field)) => {
                    return Path { root: "host".to_owned(), steps: vec![Step::Field(field.to_owned())] };
                }
                (None, None) => root,
            },
            root => root,
        };
        Path { root: root.to_owned(), steps: path.steps.clone() }
    }
}

fn elements(value: &Value) -> &[Value] {
    match value {
        Value::List(elements) => elements,
        _ => &[],
    }
}

/// A text inside a value; empty where it is not there.
fn text(value: &Value, path: &[&str]) -> String {
    match (path.split_first(), value) {
        (Some((name, rest)), Value::Map(map)) => {
            let inside = map.map.get(&Key::String(Arc::new((*name).to_owned())));
            inside.map(|value| text(value, rest)).unwrap_or_default()
        }
        (None, Value::String(text)) => text.to_string(),
        _ => String::new(),
    }
}

/// The other end of a probe: its hostname, else its address.
fn peer(probe: &Value) -> NodeName {
    let name = text(probe, &["peer", "name"]);
    NodeName(if name.is_empty() { text(probe, &["peer", "addr"]) } else { name })
}

/// The names of services and nodes by their ids.
struct Names<'a> {
    services: BTreeMap<&'a str, &'a str>,
    nodes: BTreeMap<&'a str, &'a NodeName>,
}

impl<'a> Names<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let services = snapshot.services.get().into_iter().flat_map(|seen| &seen.value);
        let nodes = snapshot.nodes.get().into_iter().flat_map(|seen| &seen.value);
        Self {
            services: services.map(|service| (service.id.as_str(), service.name.as_str())).collect(),
            nodes: nodes.map(|node| (node.id.as_str(), &node.name)).collect(),
        }
    }

    /// What a finding about an element is about, and the nodes on which it shows.
    fn subject(&self, subjects: Subjects, element: &Value) -> (Subject, Vec<NodeName>) {
        match subjects {
            Subjects::Node => (Subject::Node(NodeName(text(element, &["name"]))), Vec::new()),
            Subjects::Task => {
                let id = text(element, &["service"]);
                let name = self.services.get(id.as_str()).map_or(id.clone(), |name| (*name).to_owned());
                let node = self.nodes.get(text(element, &["node"]).as_str()).map(|name| (*name).clone());
                (Subject::Service(name), node.into_iter().collect())
            }
            _ => (Subject::Service(text(element, &["name"])), Vec::new()),
        }
    }
}
