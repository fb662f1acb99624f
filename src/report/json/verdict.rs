//! A verdict in the report for programs.

use super::subject::{JsonSubject, json_subject};
use crate::judge::Verdict;
use checks::Subject;
use facts::{Gap, Need, Why};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct CheckEnd<'a> {
    id: &'a str,
    title: &'a str,
    status: &'static str,
    unknown: Vec<Blank<'a>>,
}

#[derive(Serialize)]
struct Blank<'a> {
    subject: JsonSubject<'a>,
    need: Need,
    origin: &'a str,
    reason: String,
    why: &'static str,
    open: bool,
}

pub(super) fn end(verdict: &Verdict) -> CheckEnd<'_> {
    CheckEnd {
        id: &verdict.check,
        title: &verdict.title,
        status: verdict.status.as_str(),
        unknown: verdict.unknown.iter().map(|(subject, gap)| blank(subject, gap)).collect(),
    }
}

fn blank<'a>(subject: &'a Subject, gap: &'a Gap) -> Blank<'a> {
    let why = match &gap.why {
        Why::NotAsked { .. } => "not-asked",
        Why::NotApplicable { .. } => "not-applicable",
        Why::Denied { .. } => "denied",
        Why::TimedOut { .. } => "timed-out",
        Why::Unreachable { .. } => "unreachable",
        Why::Refused { .. } => "refused",
        Why::Undecidable { .. } => "undecidable",
        Why::Malformed { .. } => "malformed",
    };
    Blank {
        subject: json_subject(subject),
        need: gap.source.need,
        origin: &gap.source.origin,
        reason: gap.why.to_string(),
        why,
        open: gap.why.leaves_open(),
    }
}
