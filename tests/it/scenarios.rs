//! The report of every fixture, compared with the reviewed one.

#![expect(clippy::unwrap_used, reason = "a broken fixture has to stop the test")]

use crate::support::{report_by, scenarios};
use serde_json::{Value, json};
use std::fs;
use swarm_doctor::policy::{Policy, Selection};
use swarm_doctor::rules::Catalogue;

/// `SWARM_DOCTOR_REWRITE=1 cargo test --test it scenarios` rewrites the reports, for review.
#[test]
fn every_scenario_gives_the_report_that_was_reviewed() {
    let rewrite = std::env::var_os("SWARM_DOCTOR_REWRITE").is_some();
    let scenarios = scenarios();
    assert!(!scenarios.is_empty());
    for scenario in scenarios {
        let file = scenario.folder.join("report.json");
        // Checks that run on request have to be asked for.
        let on_request = scenario.check.starts_with("posture/");
        let selection = if on_request {
            Selection::of(std::slice::from_ref(&scenario.check), "a test", &Catalogue::default()).unwrap()
        } else {
            Selection::default()
        };
        let said = said(&report_by(&scenario.bundle, &Policy::from(selection)));
        if rewrite {
            fs::write(&file, &said).unwrap();
            continue;
        }
        let reviewed = fs::read_to_string(&file).unwrap_or_default();
        assert!(said == reviewed, "{}: {}\nnow:\n{said}", scenario.folder.display(), scenario.say);
        assert!(scenario.say.ends_with('.'), "{}: a sentence is wanted", scenario.folder.display());
    }
}

/// The findings, and the checks that could not tell. The checks that had nothing to say are left out: a new one
/// would change every report.
fn said(report: &str) -> String {
    let report: Value = serde_json::from_str(report).unwrap();
    let could_not_tell = |check: &&Value| check["status"] == "unknown";
    let unknown: Vec<_> = report["checks"].as_array().unwrap().iter().filter(could_not_tell).collect();
    let said = json!({ "findings": report["findings"], "unknown": unknown });
    serde_json::to_string_pretty(&said).unwrap() + "\n"
}
