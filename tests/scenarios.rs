//! Every fixture's report, compared with the one that was reviewed.

mod support;

use std::fs;
use support::{report, scenarios};

/// `SWARM_DOCTOR_REWRITE=1 cargo test --test scenarios` writes the reports anew, for review.
#[test]
fn every_scenario_gives_the_report_that_was_reviewed() {
    let rewrite = std::env::var_os("SWARM_DOCTOR_REWRITE").is_some();
    let scenarios = scenarios();
    assert!(!scenarios.is_empty());
    for scenario in scenarios {
        let file = scenario.folder.join("report.json");
        let report = report(&scenario.bundle);
        if rewrite {
            fs::write(&file, &report).unwrap();
            continue;
        }
        let reviewed = fs::read_to_string(&file).unwrap_or_default();
        assert!(report == reviewed, "{}: {}\nnow:\n{report}", scenario.folder.display(), scenario.say);
        assert!(scenario.say.ends_with('.'), "{}: a sentence is wanted", scenario.folder.display());
    }
}
