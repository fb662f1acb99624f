//! A finding in the report for programs.

use super::subject::{JsonSubject, json_subject};
use crate::judge::{Cause, Ignored};
use checks::{Evidence, Finding, Remedy, Step};
use facts::{Need, Timestamp};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct OneFinding<'a> {
    check: &'a str,
    severity: &'static str,
    confidence: &'static str,
    subject: JsonSubject<'a>,
    summary: &'a str,
    evidence: Vec<Proof<'a>>,
    remedy: Option<JsonRemedy<'a>>,
    /// Absent in a consequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    consequences: Option<Vec<OneFinding<'a>>>,
}

/// An ignored finding.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    text: &'a str,
}

#[derive(Serialize)]
struct JsonRemedy<'a> {
    title: &'a str,
    risk: &'static str,
    impact: &'a str,
    steps: Vec<Action>,
}

#[derive(Serialize)]
pub(super) struct Action {
    node: String,
    kind: &'static str,
    text: String,
    commands: Vec<String>,
}

pub(super) fn top(cause: &Cause) -> OneFinding<'_> {
    // The remedy of the cause resolves its consequences, so theirs is left out.
    let consequence = |finding| OneFinding { remedy: None, ..one(finding) };
    let consequences = cause.consequences.iter().map(consequence).collect();
    OneFinding { consequences: Some(consequences), ..one(&cause.finding) }
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
        subject: json_subject(&finding.subject),
        summary: &finding.summary,
        evidence: finding.evidence().iter().map(proof).collect(),
        remedy: finding.remedy.as_ref().map(json_remedy),
        consequences: None,
    }
}

fn proof(evidence: &Evidence) -> Proof<'_> {
    let (kind, source, line, at, text) = match evidence {
        Evidence::Line { source, line, at, text } => ("line", source, Some(*line), *at, text),
        Evidence::Value { source, shown } => ("value", source, None, None, shown),
        Evidence::Absent { source, what } => ("absent", source, None, None, what),
    };
    Proof { kind, need: source.need, artifact: &source.artifact, origin: &source.origin, line, at, text }
}

fn json_remedy(remedy: &Remedy) -> JsonRemedy<'_> {
    JsonRemedy {
        title: &remedy.title,
        risk: remedy.risk.as_str(),
        impact: &remedy.impact,
        steps: remedy.steps.iter().map(action).collect(),
    }
}

pub(super) fn action(step: &Step) -> Action {
    Action {
        node: step.target().to_string(),
        kind: step.kind(),
        text: step.text(),
        commands: step.commands(),
    }
}
