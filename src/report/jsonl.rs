//! The report for programs, one thing a line: the run, each cause, each check, each peer.

use super::Format;
use super::json::{self, Report};
use crate::judge::Diagnosis;
use serde::Serialize;
use serde_json::Value;
use std::io::{self, Write};

/// The report for programs that read line by line. What stands in a line is what stands in the JSON report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonLines;

#[derive(Serialize)]
struct Line<'a> {
    schema: &'a Value,
    kind: &'static str,
    #[serde(flatten)]
    content: &'a Value,
}

impl Format for JsonLines {
    fn render(&self, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
        let mut report = serde_json::to_value(Report::of(diagnosis))?;
        let mut taken = |name: &str| match report.get_mut(name).map(Value::take) {
            Some(Value::Array(list)) => list,
            _ => Vec::new(),
        };
        let lists = [
            ("finding", taken("findings")),
            ("check", taken("checks")),
            ("peer", taken("peers")),
            ("next", taken("next")),
        ];
        let Some(schema) = report.get_mut("schema").map(Value::take) else { return Ok(()) };
        if let Value::Object(head) = &mut report {
            head.retain(|_, value| !value.is_null());
        }
        json::write(&Line { schema: &schema, kind: "run", content: &report }, false, out)?;
        for (kind, list) in &lists {
            for content in list {
                json::write(&Line { schema: &schema, kind, content }, false, out)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{SCHEMA, sample};

    #[test]
    fn each_line_holds_what_the_document_holds() {
        let diagnosis = sample::rich();
        let mut out = Vec::new();
        JsonLines.render(&diagnosis, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let mut seen = Vec::new();
        for line in text.lines() {
            let mut line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["schema"].take(), schema["properties"]["schema"]["const"]);
            let kind = line["kind"].take().as_str().unwrap().to_owned();
            line.as_object_mut().unwrap().retain(|name, _| name != "schema" && name != "kind");
            let list = match kind.as_str() {
                "finding" => "findings",
                "check" => "checks",
                "peer" => "peers",
                _ => "",
            };
            if !list.is_empty() {
                let mut whole = schema.clone();
                let items = whole["properties"][list]["items"].take();
                let one = serde_json::json!({ "$defs": whole["$defs"], "allOf": [items] });
                let validator = jsonschema::validator_for(&one).unwrap();
                let errors: Vec<String> = validator.iter_errors(&line).map(|e| e.to_string()).collect();
                assert!(errors.is_empty(), "{errors:#?} in {line}");
            }
            seen.push(kind);
        }
        assert_eq!(seen[0], "run");
        assert_eq!(seen.iter().filter(|kind| *kind == "finding").count(), diagnosis.findings.len());
        assert_eq!(seen.iter().filter(|kind| *kind == "check").count(), diagnosis.verdicts.len());
    }
}
