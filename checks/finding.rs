//! What a check says when something is wrong, and the evidence it has to bring.

use crate::{Meta, Remedy, Str};
use facts::host::Protocol;
use facts::{Gap, NodeName, Seen, Source, Timestamp};
use std::fmt;

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing is wrong yet.
    Info,
    /// It works now and is likely to fail later.
    Warning,
    /// Something does not work.
    Error,
}

impl Severity {
    /// The word for it, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Confidence of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// There are signs of it; other causes fit as well.
    Low,
    /// One known cause explains the evidence.
    Medium,
    /// The evidence allows no other explanation.
    High,
}

impl Confidence {
    /// The word for it, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The swarm as a whole.
    Cluster,
    /// One node.
    Node(NodeName),
    /// The way from one node to another, by the names they go by.
    Link {
        /// Where it begins.
        from: NodeName,
        /// Where it ends.
        to: NodeName,
    },
    /// A service, by name.
    Service(String),
    /// A network, by name.
    Network(String),
}

impl Subject {
    /// The word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Node(_) => "node",
            Self::Link { .. } => "link",
            Self::Service(_) => "service",
            Self::Network(_) => "network",
        }
    }

    /// Whether what ails `self` may be felt at `other`: they are the same, one is the whole swarm, or one is
    /// an end of the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Cluster, _) | (_, Self::Cluster) => true,
            (Self::Node(node), Self::Link { from, to }) | (Self::Link { from, to }, Self::Node(node)) => {
                node == from || node == to
            }
            // A path has no direction here: both ends report it, each from its own side.
            (Self::Link { from, to }, Self::Link { from: other_from, to: other_to }) => {
                (from, to) == (other_from, other_to) || (from, to) == (other_to, other_from)
            }
            _ => self == other,
        }
    }
}

/// A protocol and port between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    /// The protocol.
    pub protocol: Protocol,
    /// The port; 0 for ESP, which has none.
    pub port: u16,
}

impl Flow {
    /// A TCP port.
    pub fn tcp(port: u16) -> Self {
        Self { protocol: Protocol::Tcp, port }
    }

    /// A UDP port.
    pub fn udp(port: u16) -> Self {
        Self { protocol: Protocol::Udp, port }
    }

    /// IP protocol 50.
    pub fn esp() -> Self {
        Self { protocol: Protocol::Esp, port: 0 }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("the swarm"),
            Self::Node(name) => write!(f, "{name}"),
            Self::Link { from, to } => write!(f, "{from} -> {to}"),
            Self::Service(name) => write!(f, "service {name}"),
            Self::Network(name) => write!(f, "network {name}"),
        }
    }
}

/// Something the reader can go and see.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// A line of a text.
    Line {
        /// Where the text is.
        source: Source,
        /// The number of the line, from 1.
        line: u32,
        /// When it was logged; `None` where the line has no time.
        at: Option<Timestamp>,
        /// The line.
        text: String,
    },
    /// A value.
    Value {
        /// Where it was read.
        source: Source,
        /// The value, named.
        shown: String,
    },
    /// Something that is not there, or could not be had.
    Absent {
        /// Where it was looked for.
        source: Source,
        /// What was looked for.
        what: String,
    },
}

impl Evidence {
    /// A value that was seen.
    pub fn value<T>(seen: &Seen<T>, shown: impl fmt::Display) -> Self {
        Self::Value { source: seen.source.clone(), shown: shown.to_string() }
    }

    /// A line that was seen.
    pub fn line<T>(seen: &Seen<T>, line: u32, text: impl Into<String>) -> Self {
        Self::Line { source: seen.source.clone(), line, at: None, text: text.into() }
    }

    /// A line of the engine's log.
    pub fn log<T>(seen: &Seen<T>, line: &facts::log::Line) -> Self {
        let source = Source { origin: line.file.clone(), ..seen.source.clone() };
        Self::Line { source, line: line.number, at: line.at, text: line.message.clone() }
    }

    /// What is not where it would have to be.
    pub fn absent<T>(seen: &Seen<T>, what: impl Into<String>) -> Self {
        Self::Absent { source: seen.source.clone(), what: what.into() }
    }

    /// An attempt to look that says something by the way it failed.
    pub fn gap(gap: &Gap) -> Self {
        Self::Absent { source: gap.source.clone(), what: gap.why.to_string() }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The id of the check.
    pub check: Str,
    /// Severity of the finding.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// What it is about.
    pub subject: Subject,
    /// One sentence with the values first-hand, and no advice.
    pub summary: String,
    /// Never empty: [`Findings::report`] demands the first.
    evidence: Vec<Evidence>,
    /// Where else it is felt.
    felt: Vec<Subject>,
    /// What to do.
    pub remedy: Option<Remedy>,
    /// The nodes on which it shows: what ails one of them may be its cause.
    on_nodes: Vec<NodeName>,
    /// The flows that it is about; empty for a finding that is not about a port.
    flows: Vec<Flow>,
    /// The only flows and pairs of nodes that it explains, each empty for all.
    explained_flows: Vec<Flow>,
    explained_pairs: Vec<(NodeName, NodeName)>,
    /// Checks whose findings may be its cause, besides those of its check.
    causes: Vec<Str>,
    /// A guess at the cause, which holds only while no other finding is the cause.
    suspicion: Option<String>,
}

impl Finding {
    /// Whether what ails `subject` may be felt in this finding.
    pub fn affected_by(&self, subject: &Subject) -> bool {
        let on = |node: &NodeName| subject.overlaps(&Subject::Node(node.clone()));
        subject.overlaps(&self.subject) || self.on_nodes.iter().any(on)
    }

    /// Says on which nodes it shows, where its subject is not a node.
    pub fn on_nodes(&mut self, nodes: impl IntoIterator<Item = NodeName>) -> &mut Self {
        self.on_nodes.extend(nodes);
        self
    }

    /// What proves it.
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    /// Whether what ails the subject of `self` may be felt in what `other` found.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.places().any(|mine| other.places().any(|theirs| mine.overlaps(theirs)))
    }

    fn places(&self) -> impl Iterator<Item = &Subject> {
        std::iter::once(&self.subject).chain(&self.felt)
    }

    /// Changes where its evidence was seen.
    pub fn sources(&mut self, change: impl Fn(&mut Source)) {
        for piece in &mut self.evidence {
            let (Evidence::Line { source, .. }
            | Evidence::Value { source, .. }
            | Evidence::Absent { source, .. }) = piece;
            change(source);
        }
    }

    /// Says where else it is felt: a service on the node where its tasks are, for one. A finding there may then
    /// be its cause, or follow from it.
    pub fn also_affects(&mut self, place: Subject) -> &mut Self {
        self.felt.push(place);
        self
    }

    /// Whether this finding may be the cause of `other`: they overlap, and if it explains only some flows or pairs of
    /// nodes, the other is about one of them.
    pub fn may_cause(&self, other: &Self) -> bool {
        self.overlaps(other) && self.explains_flow_of(other) && self.explains_pair_of(other)
    }

    /// Whether both are about the same flow, or one is about none.
    pub fn shares_flow(&self, other: &Self) -> bool {
        self.flows.is_empty()
            || other.flows.is_empty()
            || self.flows.iter().any(|flow| other.flows.contains(flow))
    }

    fn explains_flow_of(&self, other: &Self) -> bool {
        self.explained_flows.is_empty()
            || other.flows.is_empty()
            || other.flows.iter().any(|flow| self.explained_flows.contains(flow))
    }

    fn explains_pair_of(&self, other: &Self) -> bool {
        let Subject::Link { from, to } = &other.subject else { return true };
        let is_pair = |(one, another): &(NodeName, NodeName)| {
            (one, another) == (from, to) || (one, another) == (to, from)
        };
        self.explained_pairs.is_empty() || self.explained_pairs.iter().any(is_pair)
    }

    /// Names a flow that the finding is about.
    pub fn about(&mut self, flow: Flow) -> &mut Self {
        self.flows.push(flow);
        self
    }

    /// Limits the findings about a flow that this one explains to those about `flow`. May be repeated.
    pub fn explains(&mut self, flow: Flow) -> &mut Self {
        self.explained_flows.push(flow);
        self
    }

    /// Limits the findings about a path that this one explains to the path between these nodes. May be repeated.
    pub fn explains_pair(&mut self, one: NodeName, another: NodeName) -> &mut Self {
        self.explained_pairs.push((one, another));
        self
    }

    /// Names checks whose findings may be its cause, besides those that its check names.
    pub fn caused_by(&mut self, checks: Vec<Str>) -> &mut Self {
        self.causes = checks;
        self
    }

    /// The checks that [`Self::caused_by`] named.
    pub fn causes(&self) -> &[Str] {
        &self.causes
    }

    /// Adds a guess at the cause. The summary shows it only if no other finding is the cause.
    pub fn suspect(&mut self, guess: String) -> &mut Self {
        self.suspicion = Some(guess);
        self
    }

    /// Moves the guess at the cause into the summary.
    pub fn reveal_suspicion(&mut self) {
        if let Some(guess) = self.suspicion.take() {
            self.summary = format!("{}; {guess}", self.summary);
        }
    }

    /// Adds evidence.
    pub fn with(&mut self, evidence: Evidence) -> &mut Self {
        self.evidence.push(evidence);
        self
    }

    /// Says how sure it is; a finding is proven unless it says less.
    pub fn confidence(&mut self, confidence: Confidence) -> &mut Self {
        self.confidence = confidence;
        self
    }

    /// Sets a severity other than the check's own.
    pub fn severity(&mut self, severity: Severity) -> &mut Self {
        self.severity = severity;
        self
    }

    /// Says what to do.
    pub fn remedy(&mut self, remedy: Remedy) -> &mut Self {
        self.remedy = Some(remedy);
        self
    }
}

/// What one check found, and what it could not judge.
pub struct Findings<'a> {
    /// The check.
    pub meta: &'a Meta,
    /// What is wrong.
    pub found: Vec<Finding>,
    /// What could not be judged, and why.
    pub unknown: Vec<(Subject, Gap)>,
}

impl<'a> Findings<'a> {
    /// Nothing yet.
    pub fn of(meta: &'a Meta) -> Self {
        Self { meta, found: Vec::new(), unknown: Vec::new() }
    }

    /// Something is wrong with `subject`, and here is the first proof.
    pub fn report(&mut self, subject: Subject, summary: impl Into<String>, first: Evidence) -> &mut Finding {
        let at = self.found.len();
        self.found.push(Finding {
            check: self.meta.id.clone(),
            severity: self.meta.severity,
            confidence: Confidence::High,
            subject,
            summary: summary.into(),
            evidence: vec![first],
            felt: Vec::new(),
            remedy: None,
            on_nodes: Vec::new(),
            flows: Vec::new(),
            explained_flows: Vec::new(),
            explained_pairs: Vec::new(),
            causes: Vec::new(),
            suspicion: None,
        });
        &mut self.found[at]
    }

    /// `subject` could not be judged. For loops, where `?` would give up on the rest.
    pub fn inconclusive(&mut self, subject: Subject, gap: Gap) {
        self.unknown.push((subject, gap));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(out: &mut Findings<'_>, subject: Subject) -> Finding {
        let source = Source { need: facts::Need::Probes, artifact: String::new(), origin: String::new() };
        let proof = Evidence::Value { source, shown: String::new() };
        out.report(subject, "", proof).clone()
    }

    fn link(from: &str, to: &str) -> Subject {
        Subject::Link { from: from.into(), to: to.into() }
    }

    #[test]
    fn a_firewall_rule_explains_its_own_flows_and_pairs_only() {
        let mut out = Findings::of(&crate::network::CHECKS[0].meta);
        let mut rule = finding(&mut out, Subject::Node("node1".into()));
        rule.explains(Flow::tcp(2377)).explains_pair("node1".into(), "node2".into());
        let mut blocked = |subject: Subject, flow: Flow| {
            let mut blocked = finding(&mut out, subject);
            blocked.about(flow);
            blocked
        };
        assert!(rule.may_cause(&blocked(link("node2", "node1"), Flow::tcp(2377))));
        assert!(!rule.may_cause(&blocked(link("node2", "node1"), Flow::udp(7946))), "another port");
        assert!(!rule.may_cause(&blocked(link("node1", "node3"), Flow::tcp(2377))), "another pair");
        let mut everything = blocked(link("node2", "node1"), Flow::udp(4789));
        everything.flows.clear();
        assert!(rule.may_cause(&everything), "a finding that is not about a port");
    }

    #[test]
    fn a_guess_is_shown_once() {
        let mut out = Findings::of(&crate::network::CHECKS[0].meta);
        let mut finding = finding(&mut out, Subject::Cluster);
        finding.summary = "7946/tcp is blocked".into();
        finding.suspect("the firewall of node1 is the first suspect".into());
        finding.reveal_suspicion();
        finding.reveal_suspicion();
        assert_eq!(finding.summary, "7946/tcp is blocked; the firewall of node1 is the first suspect");
    }
}
