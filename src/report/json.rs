//! The report for programs. It says nothing that the diagnosis does not hold, so that a bundle judged twice
//! gives the same bytes; `schema.json` describes it.

mod escape;
mod finding;
mod subject;
mod verdict;

use super::{Format, TOOL_VERSION};
use crate::judge::{Diagnosis, Status};
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
    next: Vec<Action<'a>>,
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
    checks: usize,
    healthy: usize,
    skipped: usize,
    unknown: usize,
    ignored: usize,
    info: usize,
    warnings: usize,
    errors: usize,
}

#[derive(Serialize)]
struct Peer<'a> {
    name: &'a str,
    addr: &'a str,
    answers: Vec<Answer<'a>>,
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
            echoes: peer.echoes,
        });
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
                checks: diagnosis.verdicts.len(),
                healthy: diagnosis.count(Status::Healthy),
                skipped: diagnosis.count(Status::Skipped),
                unknown: diagnosis.count(Status::Unknown),
                ignored: diagnosis.count(Status::Ignored),
                info: diagnosis.count(Status::Info),
                warnings: diagnosis.count(Status::Warning),
                errors: diagnosis.count(Status::Error),
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
    fn the_summary_adds_up() {
        let report: Value = serde_json::from_str(&rendered(&sample::rich())).unwrap();
        let summary = report["summary"].as_object().unwrap();
        let total: u64 =
            summary.iter().filter(|(name, _)| *name != "checks").filter_map(|(_, n)| n.as_u64()).sum();
        assert_eq!(summary["checks"].as_u64(), Some(total));
        assert_eq!(report["checks"].as_array().map(Vec::len), usize::try_from(total).ok());
    }
}
