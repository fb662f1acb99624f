//! The report for programs. It holds nothing but the diagnosis, so that a bundle judged twice gives the same bytes;
//! `schema.json` describes it.

mod escape;
mod finding;
mod subject;
mod verdict;

use super::tally::Tally;
use super::{Format, TOOL_VERSION};
use crate::judge::Diagnosis;
use crate::matrix::{Path, State};
use facts::{NodeName, Timestamp};
use finding::{Action, OneFinding};
use serde::Serialize;
use std::io::{self, Write};
use verdict::CheckEnd;

pub(super) use escape::write;

/// The layout; a change that could break a reader changes its number.
const LAYOUT: &str = "swarm-doctor.report/v1";

/// The report for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json;

impl Format for Json {
    fn render(&self, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
        write(&Report::of(diagnosis), true, out)
    }
}

#[derive(Serialize)]
pub(super) struct Report<'a> {
    schema: &'static str,
    tool: Tool,
    host: Host<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    nodes: &'a [NodeName],
    taken: Timestamp,
    took_ms: u64,
    summary: Summary,
    findings: Vec<OneFinding<'a>>,
    ignored: Vec<finding::Excused<'a>>,
    checks: Vec<CheckEnd<'a>>,
    peers: Vec<Peer<'a>>,
    notes: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    next: Vec<Action>,
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Host<'a> {
    name: &'a NodeName,
    role: &'a str,
    node_id: Option<&'a str>,
    cluster_id: Option<&'a str>,
    node_addr: Option<&'a str>,
    engine: Option<&'a str>,
    api: Option<&'a str>,
    os: &'a str,
    kernel: &'a str,
    unprivileged: bool,
}

#[derive(Serialize)]
struct Summary {
    findings: FindingCounts,
    checks: CheckCounts,
}

#[derive(Serialize)]
struct FindingCounts {
    errors: usize,
    warnings: usize,
    info: usize,
    ignored: usize,
}

#[derive(Serialize)]
struct CheckCounts {
    total: usize,
    passed: usize,
    incomplete: usize,
    skipped: usize,
}

#[derive(Serialize)]
struct Peer<'a> {
    name: &'a str,
    addr: &'a str,
    answers: Vec<Answer<'a>>,
    /// The layers of which something is known.
    paths: Vec<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    echoes: Option<u32>,
}

#[derive(Serialize)]
struct Answer<'a> {
    attempt: &'a str,
    outcome: String,
}

impl<'a> Report<'a> {
    pub(super) fn of(diagnosis: &'a Diagnosis) -> Self {
        let header = &diagnosis.header;
        let peers = header.peers.iter().map(|peer| Peer {
            name: &peer.name,
            addr: &peer.addr,
            answers: peer.answers.iter().map(|(attempt, outcome)| answer(attempt, outcome)).collect(),
            paths: peer.paths.iter().filter(|path| path.state != State::None).collect(),
            echoes: peer.echoes,
        });
        let tally = Tally::of(diagnosis);
        Self {
            schema: LAYOUT,
            tool: Tool { name: "swarm-doctor", version: TOOL_VERSION },
            host: Host {
                name: &header.host,
                role: &header.role,
                node_id: header.node_id.as_deref(),
                cluster_id: header.cluster_id.as_deref(),
                node_addr: header.node_addr.as_deref(),
                engine: header.engine.as_deref(),
                api: header.api.as_deref(),
                os: &header.os,
                kernel: &header.kernel,
                unprivileged: header.unprivileged,
            },
            nodes: &header.members,
            taken: header.taken,
            took_ms: header.took_ms,
            summary: Summary {
                findings: FindingCounts {
                    errors: tally.errors,
                    warnings: tally.warnings,
                    info: tally.infos,
                    ignored: tally.ignored,
                },
                checks: CheckCounts {
                    total: diagnosis.verdicts.len(),
                    passed: tally.passed,
                    incomplete: tally.incomplete,
                    skipped: tally.skipped,
                },
            },
            findings: diagnosis.findings.iter().map(finding::top).collect(),
            ignored: diagnosis.ignored.iter().map(finding::excused).collect(),
            checks: diagnosis.verdicts.iter().map(verdict::end).collect(),
            peers: peers.collect(),
            notes: &diagnosis.notes,
            next: diagnosis.next.iter().map(finding::action).collect(),
        }
    }
}

/// Words with spaces are for people.
fn answer<'a>(attempt: &'a str, outcome: &str) -> Answer<'a> {
    Answer { attempt, outcome: outcome.replace(' ', "-") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{SCHEMA, sample};
    use facts::Need;
    use serde_json::Value;

    fn rendered(diagnosis: &Diagnosis) -> String {
        let mut out = Vec::new();
        Json.render(diagnosis, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_report_follows_the_schema() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for diagnosis in
            [sample::rich(), sample::healthy(), sample::warned(), sample::blind(), sample::crowd()]
        {
            let report: Value = serde_json::from_str(&rendered(&diagnosis)).unwrap();
            let errors: Vec<String> =
                validator.iter_errors(&report).map(|e| format!("{}: {e}", e.instance_path())).collect();
            assert!(errors.is_empty(), "{errors:#?}");
        }
    }

    #[test]
    fn the_schema_knows_every_need_and_nothing_more_than_the_report_has() {
        let mut schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let needs = serde_json::to_value(Need::ALL.as_slice()).unwrap();
        assert_eq!(schema["$defs"]["need"]["enum"].take(), needs);
        let mut report: Value = serde_json::from_str(&rendered(&sample::rich())).unwrap();
        report["findings"][0]["cause_of"] = Value::from("nothing");
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        assert!(!jsonschema::is_valid(&schema, &report));
    }

    #[test]
    fn the_same_diagnosis_gives_the_same_bytes() {
        assert_eq!(rendered(&sample::rich()), rendered(&sample::rich()));
        assert!(rendered(&sample::rich()).ends_with("}\n"));
    }

    #[test]
    fn evidence_is_whole() {
        let report: Value = serde_json::from_str(&rendered(&sample::rich())).unwrap();
        let findings = report["findings"].as_array().unwrap();
        let mut pieces = findings.iter().flat_map(|finding| finding["evidence"].as_array().unwrap());
        assert!(pieces.any(|piece| piece["text"] == sample::long_line().as_str()), "{report:#}");
    }

    #[test]
    fn the_summary_counts_what_the_report_holds() {
        let report: Value = serde_json::from_str(&rendered(&sample::rich())).unwrap();
        let causes = report["findings"].as_array().unwrap();
        let consequences = causes.iter().flat_map(|cause| cause["consequences"].as_array().unwrap());
        let all: Vec<&Value> = causes.iter().chain(consequences).collect();
        let of = |severity: &str| all.iter().filter(|finding| finding["severity"] == severity).count();
        let summary = &report["summary"];
        assert_eq!(summary["findings"]["errors"], of("error"));
        assert_eq!(summary["findings"]["warnings"], of("warning"));
        let checks = report["checks"].as_array().unwrap();
        let ended = |status: &str| checks.iter().filter(|check| check["status"] == status).count();
        assert_eq!(summary["checks"]["total"], checks.len());
        assert_eq!(summary["checks"]["passed"], ended("healthy"));
        assert_eq!(summary["checks"]["skipped"], ended("skipped"));
    }

    #[test]
    fn a_consequence_has_no_remedy() {
        let report: Value = serde_json::from_str(&rendered(&sample::rich())).unwrap();
        for consequence in report["findings"][0]["consequences"].as_array().unwrap() {
            assert!(consequence["remedy"].is_null(), "{consequence:#}");
        }
    }
}
