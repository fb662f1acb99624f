//! A finding in the report for programs.

use super::subject::{Whom, whom};
use crate::judge::{Cause, Ignored};
use checks::{Evidence, Finding, Remedy, Step};
use facts::{Need, NodeName};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct OneFinding<'a> {
    check: &'a str,
    severity: &'static str,
    confidence: &'static str,
    subject: Whom<'a>,
    summary: &'a str,
    evidence: Vec<Proof<'a>>,
    remedy: Option<Cure<'a>>,
    /// None in a consequence, which has none of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    consequences: Option<Vec<OneFinding<'a>>>,
}

/// A finding that does not count.
#[derive(Serialize)]
pub(super) struct Excused<'a> {
    #[serde(flatten)]
    finding: OneFinding<'a>,
    reason: &'a str,
    until: Option<String>,
    by: &'a str,
}

#[derive(Serialize)]
struct Proof<'a> {
    kind: &'static str,
    need: Need,
    artifact: &'a str,
    origin: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    text: &'a str,
}

#[derive(Serialize)]
struct Cure<'a> {
    title: &'a str,
    risk: &'static str,
    impact: &'a str,
    steps: Vec<Action<'a>>,
}

#[derive(Serialize)]
pub(super) struct Action<'a> {
    node: &'a NodeName,
    kind: &'static str,
    text: String,
    commands: Vec<String>,
}

pub(super) fn top(cause: &Cause) -> OneFinding<'_> {
    OneFinding { consequences: Some(cause.consequences.iter().map(one).collect()), ..one(&cause.finding) }
}

pub(super) fn excused(ignored: &Ignored) -> Excused<'_> {
    let excuse = &ignored.excuse;
    let until = excuse.until.map(|until| until.to_string());
    Excused { finding: one(&ignored.finding), reason: &excuse.reason, until, by: &excuse.by }
}

fn one(finding: &Finding) -> OneFinding<'_> {
    OneFinding {
        check: &finding.check,
        severity: finding.severity.as_str(),
        confidence: finding.confidence.as_str(),
        subject: whom(&finding.subject),
        summary: &finding.summary,
        evidence: finding.evidence().iter().map(proof).collect(),
        remedy: finding.remedy.as_ref().map(cure),
        consequences: None,
    }
}

fn proof(evidence: &Evidence) -> Proof<'_> {
    let (kind, source, line, text) = match evidence {
        Evidence::Line { source, line, text } => ("line", source, Some(*line), text),
        Evidence::Value { source, shown } => ("value", source, None, shown),
        Evidence::Absent { source, what } => ("absent", source, None, what),
    };
    Proof { kind, need: source.need, artifact: &source.artifact, origin: &source.origin, line, text }
}

fn cure(remedy: &Remedy) -> Cure<'_> {
    Cure {
        title: &remedy.title,
        risk: remedy.risk.as_str(),
        impact: &remedy.impact,
        steps: remedy.steps.iter().map(action).collect(),
    }
}

pub(super) fn action(step: &Step) -> Action<'_> {
    Action { node: step.node(), kind: step.kind(), text: step.text(), commands: step.commands() }
}
