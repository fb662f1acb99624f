//! The invariants of the design that every check must satisfy, one test each.

#![expect(clippy::unwrap_used, reason = "a broken fixture has to stop the test")]

use crate::support::{fixtures, healthy, hide, report, scenarios};
use checks::{Check, Evidence, Finding, Findings, View, built_in};
use facts::{Need, parse};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use swarm_doctor::bundle::{read, write};
use swarm_doctor::examine::diagnose_by;
use swarm_doctor::judge::{Cause, Diagnosis};
use swarm_doctor::policy::{Policy, Selection};
use swarm_doctor::rules::Catalogue;

/// What one check makes of a snapshot, with the needs that it read.
fn judge<'c>(check: &'c checks::BuiltIn, snapshot: &facts::Snapshot) -> (Findings<'c>, BTreeSet<Need>) {
    let mut out = Findings::of(&check.meta);
    facts::start_recording_reads();
    check.judge(&View::of(snapshot), &mut out);
    (out, facts::reads())
}

fn check_named(id: &str) -> &'static checks::BuiltIn {
    built_in().find(|check| check.meta.id == id).unwrap()
}

/// Invariant 1.
#[test]
fn the_id_is_the_path_of_the_check_its_fixtures_and_its_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for check in built_in() {
        let id = check.meta.id.as_ref();
        assert_eq!(check.file, format!("checks/{}.rs", id.replace('-', "_")));
        assert!(fixtures().join(id).is_dir(), "fixtures/{id} is missing");
        let page = root.join("docs/checks").join(format!("{id}.md"));
        assert!(page.is_file(), "docs/checks/{id}.md is missing: run `cargo xtask generate`");
    }
}

/// Invariant 2.
#[test]
fn no_check_is_silent_when_it_is_blind() {
    for scenario in scenarios().iter().filter(|scenario| scenario.kind.starts_with("fires")) {
        let check = check_named(&scenario.check);
        for need in check.meta.needs.iter() {
            let (out, _) = judge(check, &parse::snapshot(&hide(&scenario.bundle, *need)));
            let open = out.unknown.iter().any(|(_, gap)| gap.why.leaves_open());
            assert!(
                !out.found.is_empty() || open,
                "{} falls silent on {} without {need:?}",
                scenario.check,
                scenario.folder.display()
            );
        }
    }
}

/// Invariant 3.
#[test]
fn checks_read_only_what_they_say_they_need() {
    let bundles = scenarios().into_iter().map(|scenario| scenario.bundle).chain(healthy().into_values());
    let mut read: BTreeMap<&str, BTreeSet<Need>> = BTreeMap::new();
    for bundle in bundles {
        let snapshot = parse::snapshot(&bundle);
        for check in built_in() {
            let (_, needs) = judge(check, &snapshot);
            for need in &needs {
                assert!(
                    check.meta.needs.contains(need),
                    "{} reads {need:?} and does not say so",
                    check.meta.id
                );
            }
            read.entry(check.meta.id.as_ref()).or_default().extend(needs);
        }
    }
    for check in built_in() {
        for need in check.meta.needs.iter() {
            assert!(read[check.meta.id.as_ref()].contains(need), "{} never reads {need:?}", check.meta.id);
        }
    }
}

/// Invariant 4. What is true of the kernel that the fixture was recorded on is no false alarm.
#[test]
fn no_check_fires_on_health() {
    let bundles = healthy();
    assert!(bundles.len() >= 3, "there are only {} healthy bundles", bundles.len());
    for (name, bundle) in bundles {
        let snapshot = parse::snapshot(&bundle);
        // Advice on a swarm that works is not about its health.
        let about_health = |check: &&checks::BuiltIn| {
            check.meta.id != "host/ipvs-missing" && !check.meta.id.starts_with("posture/")
        };
        for check in built_in().filter(about_health) {
            let (out, _) = judge(check, &snapshot);
            let found: Vec<_> = out.found.iter().map(|finding| &finding.summary).collect();
            assert!(found.is_empty(), "{} on healthy/{name}: {found:?}", check.meta.id);
        }
    }
}

/// Invariant 5.
#[test]
fn every_check_fires_when_it_has_to_and_not_when_it_only_looks_so() {
    let scenarios = scenarios();
    for check in built_in() {
        for kind in ["fires", "near-miss"] {
            let one = scenarios.iter().any(|s| s.check == check.meta.id && s.kind.starts_with(kind));
            assert!(one, "{} has no {kind} fixture", check.meta.id);
        }
    }
    for scenario in &scenarios {
        let (out, _) = judge(check_named(&scenario.check), &parse::snapshot(&scenario.bundle));
        let fires = scenario.kind.starts_with("fires");
        let found: Vec<_> = out.found.iter().map(|finding| &finding.summary).collect();
        assert_eq!(!found.is_empty(), fires, "{}: {:?}, {:?}", scenario.folder.display(), found, out.unknown);
        if fires {
            let text = |piece: &Evidence| match piece {
                Evidence::Line { text, .. } => text.clone(),
                Evidence::Value { shown, .. } => shown.clone(),
                Evidence::Absent { what, .. } => what.clone(),
            };
            let shown = |found: &Finding| found.evidence().iter().all(|piece| !text(piece).trim().is_empty());
            assert!(out.found.iter().all(shown), "{}: evidence without text", scenario.folder.display());
        }
    }
}

/// Invariant 6.
#[test]
fn every_check_is_explained() {
    for check in built_in() {
        for heading in ["## Why it matters", "## How to fix it", "## When it is wrong"] {
            assert!(check.meta.explain.contains(heading), "{} lacks {heading:?}", check.meta.id);
        }
        let title = check.meta.title.as_ref();
        assert!(!title.ends_with('.') && title.starts_with(|c: char| c.is_lowercase()), "{title:?}");
    }
}

/// Invariant 7.
#[test]
fn the_order_of_the_input_does_not_show_in_the_report() {
    for scenario in scenarios() {
        let mut turned = scenario.bundle.clone();
        turned.manifest.entries.reverse();
        for (name, content) in &mut turned.artifacts {
            if !name.starts_with("engine/") {
                continue;
            }
            if let Ok(serde_json::Value::Array(mut list)) = serde_json::from_slice(content) {
                list.reverse();
                *content = serde_json::to_vec(&list).unwrap();
            }
        }
        assert_eq!(report(&scenario.bundle), report(&turned), "{}", scenario.folder.display());
    }
}

/// Invariant 8, for every fixture; the live tests hold it for a run.
#[test]
fn a_bundle_written_and_read_back_gives_the_same_report() {
    let path = std::env::temp_dir().join(format!("swarm-doctor-contract-{}.tar.zst", std::process::id()));
    for scenario in scenarios() {
        write(&scenario.bundle, &path).unwrap();
        let back = read(&path).unwrap();
        assert_eq!(report(&scenario.bundle), report(&back), "{}", scenario.folder.display());
    }
    std::fs::remove_file(&path).unwrap();
}

/// A gate may ask one check alone: then no more is collected than it and its causes need, and it says the same.
#[test]
fn a_check_that_is_asked_alone_says_what_it_says_among_all() {
    for scenario in scenarios().iter().filter(|scenario| scenario.kind.starts_with("fires")) {
        let selection =
            Selection::of(std::slice::from_ref(&scenario.check), "a test", &Catalogue::default()).unwrap();
        let alone = Policy::from(selection);
        let mut bundle = scenario.bundle.clone();
        for need in Need::ALL.into_iter().filter(|need| !alone.selection.needs(*need)) {
            bundle = hide(&bundle, need);
        }
        let said = |diagnosis: &Diagnosis| -> Vec<_> {
            let own = diagnosis.all_findings().filter(|finding| finding.check == scenario.check);
            own.map(|finding| (finding.subject.to_string(), finding.summary.clone())).collect()
        };
        let top = |diagnosis: &Diagnosis| {
            let holds = |cause: &&Cause| {
                std::iter::once(&cause.finding)
                    .chain(&cause.consequences)
                    .any(|one| one.check == scenario.check)
            };
            diagnosis.findings.iter().find(holds).map(|cause| cause.finding.check.clone())
        };
        let all = match scenario.check.split_once('/') {
            Some(("posture", _)) => {
                Policy::from(Selection::of(&["posture".to_owned()], "a test", &Catalogue::default()).unwrap())
            }
            _ => Policy::default(),
        };
        let (among, alone) = (diagnose_by(&scenario.bundle, &all), diagnose_by(&bundle, &alone));
        assert_eq!(said(&among), said(&alone), "{}", scenario.folder.display());
        assert_eq!(top(&among), top(&alone), "{}", scenario.folder.display());
    }
}

/// Invariant 9.
#[test]
fn causes_exist_and_form_no_cycle() {
    let ids: Vec<&str> = built_in().map(|check| check.meta.id.as_ref()).collect();
    let unique: BTreeSet<_> = ids.iter().collect();
    assert_eq!(ids.len(), unique.len(), "an id is used twice");
    // A check may be judged once all its causes were; where none is left to judge, the rest is a cycle.
    let mut left: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for check in built_in() {
        let causes: Vec<&str> = check.meta.caused_by.iter().map(AsRef::as_ref).collect();
        for cause in &causes {
            assert!(ids.contains(cause), "{} is caused by {cause}, which does not exist", check.meta.id);
        }
        left.insert(check.meta.id.as_ref(), causes);
    }
    while !left.is_empty() {
        let free: Vec<&str> = left
            .iter()
            .filter(|(_, causes)| causes.iter().all(|c| !left.contains_key(c)))
            .map(|(id, _)| *id)
            .collect();
        assert!(!free.is_empty(), "these cause one another: {:?}", left.keys());
        left.retain(|id, _| !free.contains(id));
    }
}
