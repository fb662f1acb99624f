//! The report of an anonymised bundle equals the report of the bundle, with pseudonyms.

use crate::support::{healthy, scenarios};
use facts::bundle::Bundle;
use std::collections::BTreeMap;
use swarm_doctor::bundle::Pseudonyms;
use swarm_doctor::examine::diagnose;
use swarm_doctor::judge::Diagnosis;

/// The causes and what follows from them: check, severity, confidence and subject, each with how many there are.
fn said(diagnosis: &Diagnosis, pseudonym: &dyn Fn(&str) -> String) -> BTreeMap<String, usize> {
    let mut said = BTreeMap::new();
    for cause in &diagnosis.findings {
        let head = &cause.finding;
        for finding in std::iter::once(head).chain(&cause.consequences) {
            let grade = (finding.severity.as_str(), finding.confidence.as_str());
            let subject = pseudonym(&finding.subject.to_string());
            let line = format!("{} under {}: {grade:?} {subject}", finding.check, head.check);
            *said.entry(line).or_default() += 1;
        }
    }
    said
}

fn bundles() -> BTreeMap<String, Bundle> {
    let scenarios = scenarios().into_iter().map(|it| (it.folder.display().to_string(), it.bundle));
    scenarios.chain(healthy()).collect()
}

#[test]
fn the_same_causes_are_named_on_the_pseudonyms() {
    let mut differ = Vec::new();
    for (at, bundle) in bundles() {
        let pseudonyms = Pseudonyms::of(&bundle);
        let expected = said(&diagnose(&bundle), &|text| pseudonyms.text(text));
        let now = said(&diagnose(&pseudonyms.bundle(bundle)), &|text| text.to_owned());
        if expected != now {
            differ.push(format!("{at}\n  expected {expected:#?}\n  now {now:#?}"));
        }
    }
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
}

/// The names of the machines and the addresses they have, be they text or the bytes of a rule.
#[test]
fn no_name_and_no_address_is_left() {
    for (at, bundle) in bundles() {
        let pseudonyms = Pseudonyms::of(&bundle);
        let mut telling: Vec<&str> = ["node1", "node2", "node3", "lab/busybox"].into();
        telling.retain(|name| pseudonyms.text(name) != *name);
        // By chance a subnet may keep its address.
        if !pseudonyms.text("192.0.2.1").starts_with("192.0.2.") {
            telling.extend(["192.0.2.", "\"c00002"]);
        }
        let bundle = pseudonyms.bundle(bundle);
        let manifest = serde_json::to_string(&bundle.manifest).unwrap();
        for telling in &telling {
            assert!(!manifest.contains(telling), "{at}: the manifest has {telling}");
            for (name, content) in &bundle.artifacts {
                let text = String::from_utf8_lossy(content);
                assert!(!text.contains(telling), "{at}: {name} has {telling}");
            }
        }
    }
}
