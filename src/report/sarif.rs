//! The report as SARIF 2.1.0, for what shows the results of analyses.

use super::{Format, HOME, TOOL_VERSION, evidence, finding, json, page_of};
use crate::judge::{Cause, Diagnosis, Header};
use checks::{BuiltIn, Evidence, Finding, Severity, Subject};
use serde_json::{Value, json};
use std::io::{self, Write};

/// SARIF 2.1.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sarif;

impl Format for Sarif {
    fn render(&self, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
        let header = &diagnosis.header;
        let host = header.host.as_str();
        let ids: Vec<&str> = diagnosis.verdicts.iter().map(|verdict| verdict.check.as_ref()).collect();
        let mut results = Vec::new();
        for cause in &diagnosis.findings {
            results.push(result(&cause.finding, None, &ids, header));
            results.extend(cause.consequences.iter().map(|found| result(found, Some(cause), &ids, header)));
        }
        for ignored in &diagnosis.ignored {
            let mut result = result(&ignored.finding, None, &ids, header);
            result["suppressions"] = json!([{ "kind": "external", "justification": ignored.excuse.reason }]);
            results.push(result);
        }
        let run = json!({
            "tool": { "driver": {
                "name": "swarm-doctor",
                "version": TOOL_VERSION,
                "semanticVersion": TOOL_VERSION,
                "informationUri": HOME,
                "rules": diagnosis.verdicts.iter().map(|verdict| rule(&verdict.check, &verdict.title)).collect::<Vec<_>>(),
            } },
            "automationDetails": { "id": format!("swarm-doctor/{host}/") },
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": true,
                "startTimeUtc": diagnosis.header.taken,
                "machine": host,
                "toolExecutionNotifications": notifications(diagnosis, &ids),
            }],
            "results": results,
        });
        let log = json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [run],
        });
        json::write(&log, true, out)
    }
}

fn rule(id: &str, title: &str) -> Value {
    let mut rule = json!({
        "id": id,
        "name": name(id),
        "shortDescription": { "text": title },
        "helpUri": page_of(id),
        "properties": { "tags": [id.split('/').next().unwrap_or_default()] },
    });
    if let Some(BuiltIn { meta, .. }) = checks::built_in().find(|check| check.meta.id == id) {
        let lines = meta.explain.trim_end().lines().map(|line| line.strip_prefix(' ').unwrap_or(line));
        let text = lines.collect::<Vec<_>>().join("\n");
        rule["fullDescription"] = json!({ "text": text.split("\n\n").next().unwrap_or_default() });
        rule["help"] = json!({ "text": text, "markdown": text });
        rule["defaultConfiguration"] = json!({ "level": level(meta.severity) });
    }
    rule
}

/// `swarm/lost-quorum` as `LostQuorum`.
fn name(id: &str) -> String {
    let words = id.rsplit('/').next().unwrap_or_default().split('-');
    words
        .map(|word| word.get(..1).unwrap_or_default().to_uppercase() + word.get(1..).unwrap_or_default())
        .collect()
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn result(found: &Finding, cause: Option<&Cause>, ids: &[&str], header: &Header) -> Value {
    let (host, taken) = (header.host.as_str(), header.taken);
    let mut text = format!("{}: {}", found.subject, found.summary);
    if let Some(remedy) = found.remedy.as_ref().filter(|_| cause.is_none()) {
        text.push_str(&format!("\n\nRemedy: {}", remedy.title));
    }
    if let Some(cause) = cause {
        text.push_str(&format!("\n\nConsequence, {}.", finding::caused_by(cause)));
    }
    let proofs: Vec<String> = found
        .evidence()
        .iter()
        .map(|piece| format!("{}: {}", evidence::origin(piece, taken), evidence::text(piece)))
        .collect();
    let mut result = json!({
        "ruleId": found.check,
        "level": level(found.severity),
        "message": { "text": text },
        "locations": [location(found, host)],
        "partialFingerprints": { "checkAndSubject/v1": fingerprint(found) },
        "properties": { "confidence": found.confidence.as_str(), "evidence": proofs },
    });
    if let Some(at) = ids.iter().position(|id| *id == found.check) {
        result["ruleIndex"] = json!(at);
    }
    result
}

/// What the finding is about, and the file that shows it. Where no file does, the subject stands for one, because
/// some readers take no result without.
fn location(found: &Finding, host: &str) -> Value {
    let (kind, name) = (found.subject.kind(), found.subject.to_string());
    let on = match &found.subject {
        Subject::Node(node) => node.as_str(),
        _ => host,
    };
    let file = found.evidence().iter().find_map(|piece| match piece {
        Evidence::Line { source, line, .. } if source.origin.starts_with('/') => {
            Some((&source.origin, *line))
        }
        Evidence::Value { source, .. } if source.origin.starts_with('/') => Some((&source.origin, 0)),
        _ => None,
    });
    let physical = match file {
        Some((path, line)) => {
            let uri = format!("file://{}{}", encoded(on, ""), encoded(path, "/"));
            // The file is on that node, and its line is all that is known of the place.
            json!({ "artifactLocation": { "uri": uri }, "region": { "startLine": line.max(1) } })
        }
        None => {
            let uri = format!("swarm/{kind}/{}", encoded(&name, ""));
            json!({ "artifactLocation": { "uri": uri }, "region": { "startLine": 1 } })
        }
    };
    json!({
        "physicalLocation": physical,
        "logicalLocations": [{ "name": name, "kind": kind, "fullyQualifiedName": format!("{kind}/{name}") }],
    })
}

/// A part of an address, with all escaped that could mean something in it.
fn encoded(text: &str, kept: &str) -> String {
    text.bytes()
        .map(|byte| match char::from(byte) {
            char if char.is_ascii_alphanumeric() || "-._~".contains(char) || kept.contains(char) => {
                char.to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// What stays the same from run to run.
fn fingerprint(found: &Finding) -> String {
    let key = format!("{}\n{}\n{}", found.check, found.subject.kind(), found.subject);
    crate::sha256::of(key)
}

/// What could not be looked at.
fn notifications(diagnosis: &Diagnosis, ids: &[&str]) -> Vec<Value> {
    let open = diagnosis.open();
    open.map(|verdict| {
        let gaps = verdict.open();
        let mut reasons: Vec<String> =
            gaps.map(|(subject, gap)| format!("{subject}: {}: {}", gap.source.origin, gap.why)).collect();
        reasons.dedup();
        let mut rule = json!({ "id": verdict.check });
        if let Some(at) = ids.iter().position(|id| *id == verdict.check) {
            rule["index"] = json!(at);
        }
        json!({
            "level": "warning",
            "message": { "text": format!("{} is incomplete: {}", verdict.check, reasons.join("; ")) },
            "associatedRule": rule,
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn results_have_a_place_a_rule_and_a_name_that_stays() {
        let mut out = Vec::new();
        Sarif.render(&sample::rich(), &mut out).unwrap();
        let log: Value = serde_json::from_slice(&out).unwrap();
        let run = &log["runs"][0];
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), sample::rich().all_findings().count());
        for result in results {
            let at = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(run["tool"]["driver"]["rules"][at]["id"], result["ruleId"]);
        }
        let uri = |at: usize| &results[at]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        assert_eq!(uri(0), "swarm/node/m3");
        let dns = results.iter().position(|result| result["ruleId"] == "dns/upstream-dead").unwrap();
        assert_eq!(uri(dns), "file://m1/var/log/messages");
        assert_eq!(results[dns]["locations"][0]["physicalLocation"]["region"]["startLine"], 51_200);
        assert_eq!(run["invocations"][0]["toolExecutionNotifications"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_name_cannot_lead_elsewhere() {
        assert_eq!(encoded("../x?#\u{e9} ", ""), "..%2Fx%3F%23%C3%A9%20");
    }
}
