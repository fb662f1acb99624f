//! The example rules in `docs/rules`: each has a finding on one bundle and none on another.

use crate::support::{fixtures, scenario};
use std::path::{Path, PathBuf};
use swarm_doctor::bundle::write;
use swarm_doctor::examine::offline;
use swarm_doctor::policy::{Policy, Selection};
use swarm_doctor::rules::{self, Catalogue};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules")
}

#[test]
fn each_example_fires_on_its_problem_and_is_silent_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(examples()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        std::fs::copy(&path, folder.path().join(format!("{name}.toml"))).unwrap();
        std::fs::create_dir(folder.path().join(&name)).unwrap();
        for kind in ["fires", "silent"] {
            let bundle = scenario(&name, &fixtures().join("rules").join(&name).join(kind)).bundle;
            write(&bundle, &folder.path().join(&name).join(format!("{kind}.tar.zst"))).unwrap();
        }
        names.push(name);
    }
    assert!(names.len() >= 10, "{names:?}");
    let trials = rules::test(folder.path()).unwrap();
    let failed: Vec<String> =
        trials.iter().filter(|trial| trial.outcome.is_err()).map(ToString::to_string).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(trials.len(), names.len() * 2);
}

#[test]
fn the_findings_of_the_examples_read_as_they_should() {
    let catalogue = Catalogue::load(&[examples()]).unwrap();
    assert!(catalogue.faults.is_empty(), "{:?}", catalogue.faults);
    let policy = Policy::of_checks(catalogue, Selection::default());
    let summary = |name: &str| {
        let bundle = scenario(name, &fixtures().join("rules").join(name).join("fires")).bundle;
        let path = tempfile::tempdir().unwrap();
        let file = path.path().join("node.tar.zst");
        write(&bundle, &file).unwrap();
        let (_, diagnosis) = offline(&[file], &policy).unwrap();
        let finding = diagnosis
            .all_findings()
            .find(|finding| finding.check.ends_with(&format!("/{name}")))
            .unwrap_or_else(|| panic!("{name}: no finding"));
        format!("{}: {}", finding.subject, finding.summary)
    };
    assert_eq!(
        summary("engine-versions"),
        "the swarm: the nodes run different versions of the engine: node1 20.10.24+dfsg1, node2 20.10.24+dfsg1, node3 28.5.2"
    );
    assert_eq!(summary("memory-limit"), "service web: web has no memory limit (lab/busybox:1)");
    assert_eq!(summary("clustered-hostname"), "service db: db is clustered, and its hostname is none");
    assert_eq!(summary("slow-link"), "node1 -> node2: an echo to 192.0.2.2 took 12 ms");
    assert_eq!(
        summary("node-zone"),
        "node3: node3 has no label zone, so services that spread over zones ignore it"
    );
    assert_eq!(summary("plain-overlay"), "network app: the overlay network app is not encrypted");
}
